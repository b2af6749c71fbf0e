"""The words for the steps of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks.configuration import resolve
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.steps import prefetch_step, rows, step
from bailing_tasks.variants import Variant
from bailing_tasks.wanted import WantedImage

AMD64 = Platform.parse("linux/amd64")


@pytest.fixture
def app(tmp_path: Path) -> Variant:
    found = resolve(tmp_path, document={}, environment={}, overrides={})
    return Variant(target=found.app, platform=AMD64, python="3.11")


def images(*names: str) -> list[WantedImage]:
    return [
        WantedImage(reference=Reference.parse(name), platform=AMD64, named_at=(), targets=())
        for name in names
    ]


@pytest.mark.parametrize(
    ("absent", "unpinned", "action", "reason"),
    [
        ((), (), "skip", "all 5 images are here, and pinned"),
        (("a", "b"), (), "do", "a:latest, b:latest: not here"),
        ((), ("a:1",), "do", "a:1: here, but not pinned"),
        (
            ("a:1", "b:1", "c:1", "d:1"),
            ("e:1",),
            "do",
            "a:1, b:1, c:1 and 1 more: not here; e:1: here, but not pinned",
        ),
    ],
)
def test_a_prefetch_says_what_it_would_bring(
    app: Variant, absent: tuple[str, ...], unpinned: tuple[str, ...], action: str, reason: str
) -> None:
    found = prefetch_step(
        app, app.platform, absent=images(*absent), unpinned=images(*unpinned), count=5
    )
    assert rows([found]) == [("prefetch", "app", "linux/amd64", "3.11", action, reason)]


def test_one_image_is_one(app: Variant) -> None:
    assert (
        prefetch_step(app, app.platform, absent=[], unpinned=[], count=1).reason
        == "1 image is here, and pinned"
    )


def test_images_that_no_dockerfile_names_have_no_target() -> None:
    found = prefetch_step(None, Platform.parse("linux/arm64"), absent=[], unpinned=[], count=2)
    assert (found.target, found.platform, found.python) == ("-", "linux/arm64", "")


def test_who_needs_no_image_is_said_to(app: Variant) -> None:
    found = prefetch_step(app, app.platform, absent=[], unpinned=[], count=0)
    assert (found.action, found.reason) == ("skip", "it needs none")


def test_a_step_is_of_a_variant(app: Variant) -> None:
    found = step("verify", app, "do", "it is checked in each run", fingerprint="f")
    assert rows([found]) == [
        ("verify", "app", "linux/amd64", "3.11", "do", "it is checked in each run")
    ]
    assert found.fingerprint == "f"
