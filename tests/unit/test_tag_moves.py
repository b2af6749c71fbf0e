"""Whether a published tag moves: a version for good, and nothing that people follow back."""

from __future__ import annotations

import pytest

from bailing_tasks.tag_moves import (
    BRANCH,
    KINDS,
    LINE,
    OTHER,
    VERSION,
    Standing,
    kind_of,
    moves,
)
from bailing_tasks.tag_names import LATEST, Pattern
from tests.unit.test_tags import COMMIT, OLD, event, one, settings

LATER = "1a7e4ff" + "0" * 33


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("latest", LATEST),
        ("{version}", VERSION),
        ("builder-{version}", VERSION),
        ("{major}.{minor}.{patch}", VERSION),
        ("{tag}", VERSION),
        ("{version}-{sha}", VERSION),
        ("{branch}", BRANCH),
        ("{branch}-{sha}", BRANCH),
        ("{major}.{minor}", LINE),
        ("v{major}", LINE),
        ("sha-{sha}", OTHER),
        ("nightly-{date}", OTHER),
        ("edge", OTHER),
    ],
)
def test_the_kind_of_a_pattern(pattern: str, kind: str) -> None:
    assert kind_of(Pattern(pattern)) == kind


def test_a_line_of_a_prerelease_is_a_version() -> None:
    assert one("tag:v1.2.3", "{major}.{minor}").kind == LINE
    made = one("tag:v1.2.3-rc.1", "{major}.{minor}")
    assert (made.tag, made.kind) == ("1.2.3-rc.1", VERSION)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_tag_moves_and_what_is_not_known_is_not_decided(kind: str) -> None:
    assert moves(kind, Standing(), event("push:main"), settings()).moves
    found = moves(kind, Standing(unknown="nobody answers"), event("push:main"), settings())
    assert found.moves is None
    assert "nobody answers" in found.why


@pytest.mark.parametrize(
    ("kind", "text", "standing", "moved", "why"),
    [
        (VERSION, "tag:v1.2.3", Standing(revision=OLD), False, "another image, of commit 01d01d0"),
        (VERSION, "tag:v1.2.3", Standing(revision=""), False, "of an unknown commit"),
        (VERSION, "tag:v1.2.3", Standing(revision=COMMIT), None, "a build of this commit"),
        (BRANCH, "push:x", Standing(revision=OLD, descends=True), True, "push of branch x"),
        (BRANCH, "push:x", Standing(revision=OLD), False, "which this clone does not have"),
        (BRANCH, "push:x", Standing(revision=OLD, is_tip=True), True, "push of branch x"),
        (BRANCH, "push:x", Standing(revision=OLD, descends=False), True, "push of branch x"),
        (BRANCH, "push:x", Standing(revision=""), True, "push of branch x"),
        (
            BRANCH,
            "push:x",
            Standing(revision=LATER, precedes=True),
            False,
            "1a7e4ff, which is later",
        ),
        (LINE, "tag:v1.2.3", Standing(revision=OLD, version="v1.2.4"), False, "v1.2.4, a higher"),
        (LINE, "tag:v1.2.3", Standing(revision=OLD, version="v1.2.2"), True, "push of tag v1.2.3"),
        (LINE, "tag:v1.2.3", Standing(revision=OLD, version="v1.2.3"), True, "push of tag v1.2.3"),
        (LINE, "tag:v1.2.3", Standing(revision=OLD, version="abc"), True, "push of tag v1.2.3"),
        (OTHER, "push:x", Standing(revision=LATER, precedes=True), True, "push of branch x"),
        (LATEST, "push:main", Standing(revision=OLD, descends=True), True, "descends from"),
        (LATEST, "push:main", Standing(revision=LATER, descends=False), False, "does not descend"),
        (LATEST, "tag:v1.2.3", Standing(revision=LATER, descends=False), False, "does not descend"),
    ],
)
def test_where_a_tag_stands_decides_whether_it_moves(
    kind: str, text: str, standing: Standing, moved: bool | None, why: str
) -> None:
    found = moves(kind, standing, event(text), settings())
    assert found.moves is moved
    assert why in found.why


@pytest.mark.parametrize(
    ("version", "moved"), [("v1.2.4", False), ("v1.2.3", True), ("v1.2.2", True), ("", True)]
)
def test_latest_does_not_go_back_to_a_lower_version_than_is_published(
    version: str, moved: bool
) -> None:
    found = moves(
        LATEST,
        Standing(revision=OLD, version=version),
        event("tag:v1.2.3"),
        settings(latest="version"),
    )
    assert found.moves is moved
