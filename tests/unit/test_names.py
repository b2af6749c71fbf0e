"""The names of built and kept images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks import names
from bailing_tasks.configuration import resolve
from bailing_tasks.errors import UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.services import as_tag
from bailing_tasks.settings import Settings
from bailing_tasks.variants import Variant

AMD64 = Platform.parse("linux/amd64")
ARM64 = Platform.parse("linux/arm64")
ARM7 = Platform.parse("linux/arm/v7")


def settings(**document: Any) -> Settings:
    return resolve(
        Path("/w"),
        document={"name": "bailing", "python": ["3.11", "3.12"], **document},
        environment={},
        overrides={},
    )


@pytest.mark.parametrize(
    ("platform", "python", "name"),
    [
        (AMD64, "3.11", "bailing:latest"),
        (ARM64, "3.11", "bailing:latest-arm64"),
        (AMD64, "3.12", "bailing:latest-py3.12"),
        (ARM7, "3.12", "bailing:latest-arm-v7-py3.12"),
    ],
)
def test_only_the_host_and_the_first_python_have_the_plain_name(
    platform: Platform, python: str, name: str
) -> None:
    found = settings()
    variant = Variant(target=found.app, platform=platform, python=python)
    assert names.local_name(variant, found, AMD64) == name


ODD = ["linux", "windows", "windows(10.0.1)", "arm64", "a-v7", "a", "v7", "py3.12", "amd64"]
PLATFORMS = st.lists(st.sampled_from(ODD), min_size=1, max_size=3).map("/".join)


@st.composite
def variants(draw: st.DrawFn) -> Variant:
    tag = draw(st.sampled_from(["v1", "v1-arm64", "v1-py3.12", "x" * 122 + "-arm64", "x" * 128]))
    try:
        platform = Platform.parse(draw(PLATFORMS))
    except UsageError:
        platform = AMD64
    target = replace(settings().app, tag=as_tag(tag))
    return Variant(target=target, platform=platform, python=draw(st.sampled_from(["3.11", "3.12"])))


@given(variants(), variants())
def test_no_two_variants_have_one_local_name_or_one_file(one: Variant, other: Variant) -> None:
    found, other = settings(), replace(other, target=one.target)
    local = [names.local_name(each, found, AMD64) for each in (one, other)]
    assert (local[0] == local[1]) == (one == other)
    assert all(Reference.parse(name).path == "library/bailing" for name in local)
    held = [names.current_name(each, "ab" * 6) for each in (one, other)]
    assert (held[0] == held[1]) == (one == other)
    assert all(Reference.parse(name).path == "bailing" for name in held)
    files = [names.file_name(*each.key) for each in (one, other)]
    assert (files[0] == files[1]) == (one == other)


PART = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80) | st.text(
    alphabet="abAB:/+@-.=%~", min_size=1, max_size=3
)
PARTS = st.lists(PART, min_size=1, max_size=3) | st.lists(
    st.sampled_from(["x" * 300, "x" * 301, "x" * 300 + "/y"]), min_size=1, max_size=2
)


@given(PARTS, PARTS)
def test_no_two_names_share_a_file(one: list[str], other: list[str]) -> None:
    found = [names.file_name(*parts) for parts in (one, other)]
    assert (found[0] == found[1]) == (one == other)
    assert (found[0].casefold() == found[1].casefold()) == (one == other)
    for name in found:
        assert "/" not in name
        assert len(f".{name}.Dockerfile.dockerignore.01234567".encode()) <= 255


def held_name(workspace: str) -> str:
    return names.current_name(
        Variant(target=settings().app, platform=ARM64, python="3.12"), workspace
    )


def test_the_workspace_holds_what_it_uses_by_a_name_of_its_id() -> None:
    variant = Variant(target=settings().app, platform=ARM7, python="3.12")
    assert names.current_name(variant, "ab" * 6) == (
        "localhost/bailing:ws-abababababab-arm-v7-py3.12"
    )
    service = replace(variant, platform=AMD64, python="")
    assert names.current_name(service, "ab" * 6) == "localhost/bailing:ws-abababababab-amd64"


def test_a_file_name_can_be_read() -> None:
    assert names.file_name("app", "linux/arm64", "3.11") == "app@linux+arm64@3.11"
    assert names.file_name("reports-v0.3.7") == "reports-v0.3.7"
    assert names.file_name("V1@x") == "%561%40x"


def test_a_published_tag_says_which_python_it_is_for() -> None:
    assert names.registry_tag("latest", "3.11", settings()) == "latest"
    assert names.registry_tag("latest", "3.12", settings()) == "latest-py3.12"


def test_names_that_are_never_used_twice_stand_under_a_host_that_refuses_at_once() -> None:
    target = settings().builder
    assert names.fingerprint_name(target, "0123456789abcdef" * 4) == (
        "localhost/bailing-builder:fp-0123456789abcdef"
    )
    assert names.staging_name(target, "012345678901", "89abcdef") == (
        "localhost/bailing-builder:new-012345678901-89abcdef"
    )
    assert names.identity_name(target, "sha256:" + "ab" * 32) == (
        "localhost/bailing-builder:id-" + "ab" * 8
    )


def test_the_label_names_the_repository_or_else_the_image() -> None:
    target = settings(repository="ghcr.io/a/b").app
    assert names.fingerprint_label(target, ARM64, "ff") == "ghcr.io/a/b:linux/arm64:ff"
    assert names.fingerprint_label(settings().app, ARM64, "ff") == "bailing:linux/arm64:ff"


def test_pins_and_kept_images_differ_by_reference_and_by_platform() -> None:
    keys = [("a", "linux/amd64"), ("a", "linux/arm64"), ("b", "linux/amd64")]
    assert len({names.pin_name(*key) for key in keys}) == 3
    kept = {names.kept_name(*key, digest) for key in keys for digest in ("sha256:1", "sha256:2")}
    assert len(kept) == 6
    assert names.pin_name(*keys[0]).startswith("pin-")


def test_names_that_are_made_from_a_digest_are_never_given_again() -> None:
    app = settings().app
    lasting = [
        names.fingerprint_name(app, "ab" * 8),
        names.identity_name(app, "sha256:" + "ab" * 8),
    ]
    lasting += [names.kept_name("a", "linux/amd64", "sha256:1")]
    assert all(map(names.lasts, lasting))
    moving = [names.staging_name(app, "ab" * 6, "cd" * 8), held_name("ab" * 6)]
    passing = ["bailing:latest", "docker.io/x:fp-1", "localhost/x:new-1", "localhost/x:ws-tool"]
    assert not any(map(names.lasts, [*moving, *passing]))
    assert all(map(names.is_internal, [*lasting, *moving]))
    assert not any(map(names.is_internal, passing))


def test_the_workspaces_own_images_are_known_by_all_their_names() -> None:
    assert settings(repository="ghcr.io/a/b").builder.repositories == {
        "docker.io/library/bailing-builder",
        "localhost/bailing-builder",
        "ghcr.io/a/b-builder",
    }


def test_a_published_image_is_found_by_its_fingerprint() -> None:
    found = settings(repository="ghcr.io/Owner/Voice")
    digits = "0123456789abcdef" * 4
    assert names.published_name(found.app, digits) == "ghcr.io/owner/voice:fp-0123456789abcdef"
    builder = names.published_name(found.builder, digits)
    assert builder == "ghcr.io/owner/voice-builder:fp-0123456789abcdef"
