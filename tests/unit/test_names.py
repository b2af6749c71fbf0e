"""The names of built and kept images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import names
from bailing_tasks.configuration import resolve
from bailing_tasks.platforms import Platform
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


def test_a_published_tag_says_which_python_it_is_for() -> None:
    assert names.registry_tag("latest", "3.11", settings()) == "latest"
    assert names.registry_tag("latest", "3.12", settings()) == "latest-py3.12"


def test_names_that_are_never_used_twice_stand_under_a_host_that_refuses_at_once() -> None:
    target = settings().builder
    assert names.fingerprint_name(target, "0123456789abcdef" * 4) == (
        "localhost/bailing-builder:fp-0123456789abcdef"
    )
    assert names.staging_name(target, "0123456789abcdef" * 4) == (
        "localhost/bailing-builder:new-0123456789abcdef"
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
    passing = [names.staging_name(app, "ab" * 8), "bailing:latest", "docker.io/x:fp-1"]
    assert not any(map(names.lasts, passing))


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
