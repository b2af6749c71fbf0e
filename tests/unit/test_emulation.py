"""Whether a platform is emulated where it is built, and what is said about that."""

from __future__ import annotations

import pytest

from bailing_tasks.emulation import word
from bailing_tasks.platforms import Platform


@pytest.mark.parametrize(
    ("platform", "machine", "emulated"),
    [
        ("linux/amd64", "linux/amd64", False),
        ("linux/386", "linux/amd64", False),
        ("linux/arm/v7", "linux/arm64", False),
        ("linux/arm64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", True),
        ("linux/arm64", "linux/arm/v7", True),
    ],
)
def test_what_the_machine_runs_itself_is_not_emulated(
    platform: str, machine: str, emulated: bool
) -> None:
    said = word(Platform.parse(platform), Platform.parse(machine))
    assert bool(said) == emulated


def test_the_word_says_how_slow_it_is_and_names_the_setting() -> None:
    said = word(Platform.parse("linux/arm64"), Platform.parse("linux/amd64"))
    assert "linux/arm64 is emulated on a machine of linux/amd64" in said
    assert "5 times" in said
    assert 'builders = { "linux/arm64" = "NAME" }' in said
