"""The list of what a bundle holds."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.bundle import contents
from bailing_tasks.bundle.contents import Contents
from bailing_tasks.errors import UsageError
from bailing_tasks.state import Pin
from tests.unit.bundle.images import REFERENCE, filled


@pytest.fixture
def listed(tmp_path: Path) -> Contents:
    return filled(tmp_path)[1]


def read(document: Any) -> Contents:
    return contents.parse(json.dumps(document).encode())


def test_a_list_is_read_as_it_was_written(listed: Contents) -> None:
    found = read(listed.document())
    assert found == listed
    assert found.digest == listed.digest
    assert found.images == (*listed.external, *listed.built)


def test_an_image_is_pinned_as_it_was(listed: Contents) -> None:
    image = listed.external[0]
    assert image.pin == Pin(
        reference=REFERENCE,
        platform="linux/amd64",
        digest=image.pinned,
        index_digest=image.index_digest,
        served_from="docker.io/library/base",
        resolved_at="",
    )


def test_people_are_told_the_names_that_they_know(listed: Contents) -> None:
    assert [image.title for image in listed.images] == [
        "base:1 (linux/amd64)",
        "base:1 (linux/arm64)",
        "app:latest (linux/amd64)",
    ]


def test_a_list_of_another_form_is_told_from_a_damaged_one(listed: Contents) -> None:
    with pytest.raises(UsageError, match="of another form: 2, not 1"):
        read(listed.document() | {"schema": 2})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("project",), None),
        (("created",), 1),
        (("external",), {}),
        (("built",), None),
        (("external", 0), "base"),
        (("external", 0, "reference"), "No Such:Name"),
        (("external", 0, "reference"), None),
        (("external", 0, "platform"), "nothing/of/the/kind"),
        (("external", 0, "platform"), 1),
        (("external", 0, "pinned"), "sha256:12"),
        (("external", 0, "digest"), 12),
        (("external", 0, "size"), -1),
        (("external", 0, "size"), True),
        (("external", 0, "size"), "1"),
        (("external", 0, "further"), "field"),
        (("built", 0, "kept"), "../outside"),
        (("built", 0, "name"), ""),
        (("built", 0, "label"), None),
    ],
)
def test_what_is_no_list_is_refused(
    listed: Contents, place: tuple[str | int, ...], value: object
) -> None:
    document: Any = copy.deepcopy(json.loads(json.dumps(listed.document())))
    at = document
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    with pytest.raises(ValueError, match=contents.NAME):
        read(document)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="is no object"):
        contents.parse(b"[]")
