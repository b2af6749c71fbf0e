"""Platforms read and print as Docker's do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks.errors import UsageError
from bailing_tasks.platforms import Platform


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("Linux/AMD64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/5", "linux/arm/v5"),
        ("armhf", "linux/arm/v7"),
        ("armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("riscv64", "linux/riscv64"),
        ("windows/amd64", "windows/amd64"),
        ("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"),
        ("macos/arm64", "darwin/arm64"),
        ("linux", "linux/amd64"),
        ("anything/goes", "anything/goes"),
    ],
)
def test_text_becomes_normal(text: str, normal: str) -> None:
    assert str(Platform.parse(text)) == normal


@pytest.mark.parametrize(
    "text", ["", "v9", "linux/", "/amd64", "linux/amd64/v1/x", "linux/*", "a b", "linux(", "$X"]
)
def test_malformed_text_is_refused_with_cause_and_remedy(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Platform.parse(text)
    assert caught.value.cause
    assert caught.value.remedy


def test_a_system_alone_takes_the_machine_s_architecture() -> None:
    assert str(Platform.parse("linux", architecture="arm64")) == "linux/arm64"


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv6l", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_a_machine_has_a_platform(machine: str, platform: str) -> None:
    assert str(Platform.from_machine(machine)) == platform


@given(st.text(alphabet="linuxarmd64v78/()-.", max_size=16))
def test_normal_form_is_idempotent(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except UsageError:
        return
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize(
    ("platform", "taken"),
    [
        ("linux/amd64", ["linux/amd64", "linux/386"]),
        ("linux/amd64/v3", ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]),
        (
            "linux/arm64",
            ["linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"],
        ),
        ("linux/arm/v7", ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
        ("linux/arm/v9", ["linux/arm/v9"]),
        ("linux/s390x", ["linux/s390x"]),
    ],
)
def test_images_of_older_variants_are_taken_after_the_platforms_own(
    platform: str, taken: list[str]
) -> None:
    found = Platform.parse(platform)
    assert [str(each) for each in found.preferences()] == taken
    assert all(found.takes(each) for each in found.preferences())
    assert not found.takes(Platform.parse("linux/ppc64le"))
