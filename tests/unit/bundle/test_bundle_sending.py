"""Under which names, and as what, the images of a bundle are sent to a registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks import configuration
from bailing_tasks.bundle.contents import Contents
from bailing_tasks.bundle.reading import Bundle, opened
from bailing_tasks.bundle.sending import Sending, sendings
from bailing_tasks.bundle.writing import write
from bailing_tasks.engine.layout import Layout
from bailing_tasks.mirroring import place
from tests.unit.bundle.images import PLATFORMS, filled, image, index

TO = "registry.example/team"


@contextmanager
def bundled(folder: Path, contents: Contents, layout: Layout) -> Iterator[Bundle]:
    write(folder / "all.tar", contents, layout)
    with opened(folder / "all.tar") as found:
        yield found


def sent(folder: Path, contents: Contents, layout: Layout) -> tuple[Sending, ...]:
    settings = configuration.load(folder, environment={"BAILING_TASKS_APP_IMAGE": "app"})
    with bundled(folder, contents, layout) as bundle:
        return sendings(bundle, settings, place(TO))


def platforms(sending: Sending) -> list[str]:
    return [
        f"{each['platform']['os']}/{each['platform']['architecture']}"
        for each in json.loads(sending.raw)["manifests"]
    ]


def test_an_index_whose_images_are_all_there_is_sent_as_it_was(tmp_path: Path) -> None:
    layout, contents = filled(tmp_path / "layout")
    base, app = sent(tmp_path, contents, layout)
    assert str(base.destination) == f"{TO}/docker.io/library/base:1"
    assert base.digest == contents.external[0].index_digest
    assert [each.platform for each in base.images] == list(PLATFORMS)
    assert platforms(app) == ["linux/amd64"]
    assert app.destination.repository == f"{TO}/app"


@pytest.mark.parametrize("known", [True, False])
def test_an_index_with_more_than_the_bundle_has_gives_way_to_one_of_what_it_has(
    tmp_path: Path, known: bool
) -> None:
    layout, contents = filled(tmp_path / "layout")
    elsewhere = image(Layout(tmp_path / "elsewhere"), "linux/s390x", b"other")
    both = json.loads(layout.read(contents.external[0].index_digest))["manifests"]
    wide = index(layout, *both, elsewhere) if known else "sha256:" + "0" * 64
    external = tuple(replace(each, index_digest=wide) for each in contents.external)
    base, _ = sent(tmp_path, replace(contents, external=external), layout)
    assert base.digest != wide
    assert platforms(base) == list(PLATFORMS)
    described = [each["digest"] for each in json.loads(base.raw)["manifests"]]
    assert described == [each.digest for each in external]


def test_platforms_of_two_indexes_are_joined(tmp_path: Path) -> None:
    layout, contents = filled(tmp_path / "layout")
    first, second = contents.external
    alone = index(layout, json.loads(layout.read(first.index_digest))["manifests"][1])
    external = (first, replace(second, index_digest=alone))
    base, _ = sent(tmp_path, replace(contents, external=external), layout)
    assert base.digest not in (first.index_digest, alone)
    assert platforms(base) == list(PLATFORMS)


def test_an_image_that_stands_in_no_index_is_sent_as_it_is(tmp_path: Path) -> None:
    layout, contents = filled(tmp_path / "layout")
    alone = replace(contents.external[0], index_digest=contents.external[0].pinned)
    base, _ = sent(tmp_path, replace(contents, external=(alone,)), layout)
    assert base.digest == alone.pinned


def test_what_an_engine_has_made_of_an_image_does_not_go_under_its_index(tmp_path: Path) -> None:
    layout, contents = filled(tmp_path / "layout")
    made = str(image(layout, PLATFORMS[0], b"base" * 1000, b"")["digest"])
    external = (replace(contents.external[0], digest=made), contents.external[1])
    base, _ = sent(tmp_path, replace(contents, external=external), layout)
    assert base.digest != contents.external[0].index_digest
    assert json.loads(base.raw)["manifests"][0]["digest"] == made


def test_an_image_of_another_python_has_a_tag_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.bailing-tasks]\npython = ["3.11", "3.13"]\nplatforms = ["linux/amd64"]\n'
    )
    layout, contents = filled(tmp_path / "layout")
    (app,) = contents.built
    other = replace(app, python="3.13", name="app:latest-py3.13")
    _, *built = sent(tmp_path, replace(contents, built=(app, other)), layout)
    tags = [str(each.destination.tag) for each in built]
    assert tags[1] == f"{tags[0]}-py3.13"
    assert built[1].name == "app (Python 3.13)"
