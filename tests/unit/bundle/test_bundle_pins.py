"""What builds are bound to after a bundle was loaded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks.bundle.contents import Contents, External
from bailing_tasks.bundle.loading import pin_of, pins
from bailing_tasks.bundle.reading import Bundle, opened
from bailing_tasks.bundle.writing import write
from bailing_tasks.console import Console
from bailing_tasks.engine.blobs import Manifest
from bailing_tasks.engine.layout import Layout
from bailing_tasks.errors import UsageError
from bailing_tasks.lockfile import Locked
from bailing_tasks.state import Pin
from tests.unit.bundle.images import filled

OTHER = "sha256:" + "0" * 64


@pytest.fixture
def source(tmp_path: Path) -> tuple[Layout, Contents]:
    layout, contents = filled(tmp_path / "layout")
    return layout, replace(contents, external=contents.external[:1])


@pytest.fixture
def bundle(tmp_path: Path, source: tuple[Layout, Contents]) -> Iterator[Bundle]:
    """A bundle with one image as its registry has it."""
    layout, contents = source
    write(tmp_path / "all.tar", contents, layout)
    with opened(tmp_path / "all.tar") as found:
        yield found


@pytest.fixture
def repacked(tmp_path: Path, source: tuple[Layout, Contents]) -> Iterator[Bundle]:
    """A bundle with one image under another manifest, as the classic store gives it."""
    layout, contents = source
    (base,) = contents.external
    changed = replace(base, pinned=OTHER, index_digest=OTHER)
    write(tmp_path / "repacked.tar", replace(contents, external=(changed,)), layout)
    with opened(tmp_path / "repacked.tar") as found:
        yield found


def external(bundle: Bundle) -> External:
    (found,) = bundle.contents.external
    return found


def config(bundle: Bundle) -> str:
    return Manifest.parse(bundle.read(external(bundle).digest)).config.digest


def locked(bundle: Bundle, digest: str, config_digest: str = "") -> Locked:
    of = external(bundle)
    return Locked(
        reference=of.reference,
        platform=of.platform,
        digest=digest,
        index_digest=digest,
        config_digest=config_digest,
    )


def added(
    bundle: Bundle, known: Pin | None = None, locked: Locked | None = None
) -> tuple[list[Pin], str]:
    """Return what is pinned, and what people are told."""
    said = io.StringIO()
    found = pins(
        bundle,
        {known.key: known} if known else {},
        {locked.key: locked} if locked else {},
        Console(said, live=False, folded=False),
    )
    return found, said.getvalue()


def test_what_is_not_pinned_is_pinned_as_it_was_where_the_bundle_was_saved(bundle: Bundle) -> None:
    pin = replace(external(bundle).pin, config_digest=config(bundle))
    assert added(bundle) == ([pin], "")


def test_a_pin_that_is_the_same_stays_as_it_is(bundle: Bundle) -> None:
    served_elsewhere = replace(pin_of(bundle, external(bundle)), served_from="mirror.example/base")
    assert added(bundle, served_elsewhere) == ([], "")
    earlier = replace(served_elsewhere, config_digest="")
    assert added(bundle, earlier) == ([served_elsewhere], "")


def test_a_pin_that_is_another_gives_way_and_it_is_said(bundle: Bundle) -> None:
    pin = pin_of(bundle, external(bundle))
    found, said = added(bundle, replace(pin, digest=OTHER))
    assert found == [pin]
    assert f"base:1 (linux/amd64) was pinned to {OTHER[:19]}" in said


def test_a_lock_that_says_another_is_told_of(bundle: Bundle) -> None:
    found, said = added(bundle, locked=locked(bundle, OTHER))
    assert found == [pin_of(bundle, external(bundle))]
    assert f"images.lock binds base:1 (linux/amd64) to {OTHER[:19]}" in said
    assert "take the images.lock that it was saved with" in said


def test_an_image_under_another_manifest_is_bound_with_both_of_its_digests(
    repacked: Bundle,
) -> None:
    ((pin,), _) = added(repacked, locked=locked(repacked, OTHER, config(repacked)))
    assert (pin.digest, pin.config_digest) == (OTHER, config(repacked))
    assert pin.repacked == external(repacked).digest
    assert added(repacked)[0] == [pin]
    assert added(repacked, replace(pin, config_digest=""))[0] == [pin]


def test_an_image_under_another_manifest_has_to_have_the_configuration_that_is_locked(
    repacked: Bundle,
) -> None:
    for known in (OTHER, ""):
        with pytest.raises(UsageError, match=r"the image of images\.lock; nothing was changed"):
            added(repacked, locked=locked(repacked, OTHER, known))
    pin = replace(external(repacked).pin, config_digest=OTHER)
    with pytest.raises(UsageError, match="the image of an earlier prefetch"):
        added(repacked, pin)


def test_a_digest_that_is_right_needs_no_other(bundle: Bundle) -> None:
    lock = locked(bundle, external(bundle).pinned, OTHER)
    assert added(bundle, locked=lock)[0][0].config_digest == config(bundle)
