"""What builds are bound to after a bundle was loaded."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks.bundle.contents import External
from bailing_tasks.bundle.loading import pins
from bailing_tasks.console import Console
from bailing_tasks.lockfile import Locked
from bailing_tasks.state import Pin
from tests.unit.bundle.images import filled

OTHER = "sha256:" + "0" * 64


@pytest.fixture
def image(tmp_path: Path) -> External:
    return filled(tmp_path)[1].external[0]


def added(
    image: External, known: Pin | None = None, locked: Locked | None = None
) -> tuple[list[Pin], str]:
    """Return what is pinned, and what people are told."""
    said = io.StringIO()
    found = pins(
        [image],
        {known.key: known} if known else {},
        {locked.key: locked} if locked else {},
        Console(said, live=False, folded=False),
    )
    return found, said.getvalue()


def test_what_is_not_pinned_is_pinned_as_it_was_where_the_bundle_was_saved(image: External) -> None:
    assert added(image) == ([image.pin], "")


def test_a_pin_that_is_the_same_stays_as_it_is(image: External) -> None:
    served_elsewhere = replace(image.pin, served_from="mirror.example/base")
    assert added(image, served_elsewhere) == ([], "")


def test_a_pin_that_is_another_gives_way_and_it_is_said(image: External) -> None:
    found, said = added(image, replace(image.pin, digest=OTHER))
    assert found == [image.pin]
    assert f"base:1 (linux/amd64) was pinned to {OTHER[:19]}" in said


def test_a_lock_that_says_another_is_told_of(image: External) -> None:
    locked = Locked(
        reference=image.reference, platform=image.platform, digest=OTHER, index_digest=OTHER
    )
    found, said = added(image, locked=locked)
    assert found == [image.pin]
    assert f"images.lock binds base:1 (linux/amd64) to {OTHER[:19]}" in said
    assert "take the images.lock that it was saved with" in said
