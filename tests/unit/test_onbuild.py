"""ONBUILD of what a target is built on: its files and images are inputs of the target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bailing_tasks import needs
from bailing_tasks.build_plan import context_files, plan_build
from bailing_tasks.build_request import context_names, contexts
from bailing_tasks.configuration import resolve
from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.names import LABEL, fingerprint_name, kept_name, pin_name
from bailing_tasks.onbuild import FILE, KnownOnBuild
from bailing_tasks.origin import Origin
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import OnBuildLookup, Recipe, image_key, on_bases, read_recipe, unknown
from bailing_tasks.settings import Settings
from bailing_tasks.state import Pin, State
from bailing_tasks.trigger_reader import TriggerReader
from bailing_tasks.variants import Variant
from tests.unit.fingerprints import fingerprints

AMD64 = Platform.parse("linux/amd64")
SERVICES = {"services": ["src/*/Dockerfile"], "service-image": "ob-{service}:1"}
STALE = {
    "src/base/Dockerfile": "FROM alpine:3.20\nONBUILD COPY conf /conf\n",
    "src/web/Dockerfile": "FROM ob-base:1\nRUN cat /conf > /seen\n",
    "src/web/conf": "one\n",
}
LEAK = {"Dockerfile": "FROM team/onbuild:dot\n", ".env": "SECRET=1\n", "main.py": "1\n"}


def workspace(root: Path, files: Mapping[str, str], **document: Any) -> Settings:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    given = document or {**SERVICES, "platforms": ["linux/amd64"]}
    return resolve(root, document=given, environment={}, overrides={})


def recipe(settings: Settings, name: str, onbuild: OnBuildLookup = unknown) -> Recipe:
    target = next(target for target in settings.targets if target.name == name)
    return read_recipe(
        settings, Variant(target=target, platform=AMD64, python=""), AMD64, onbuild=onbuild
    )


def brings(name: str, *texts: str) -> OnBuildLookup:
    return lambda image: texts if image.reference.familiar == name else ()


def test_a_service_that_copies_files_of_its_children_makes_them_their_inputs(
    tmp_path: Path,
) -> None:
    settings = workspace(tmp_path, STALE)
    before = fingerprints(settings)
    (tmp_path / "src/web/conf").write_text("two\n")
    after = fingerprints(settings)
    assert before["base"] == after["base"]
    assert before["web"] != after["web"]
    assert TriggerReader(settings).of(settings.services[1]).decide(["src/web/conf"], 1).runs
    assert context_files(settings, recipe(settings, "web"), State(tmp_path)) == (
        tmp_path / "src/web/conf",
    )


def test_an_external_image_that_copies_everything_makes_it_an_input(tmp_path: Path) -> None:
    table = {"w": {"dockerfile": "Dockerfile"}}
    settings = workspace(tmp_path, LEAK, service=table)
    onbuild = brings("team/onbuild:dot", "COPY . /app")
    found = recipe(settings, "w", onbuild)
    paths = {path.name for path in context_files(settings, found, State(tmp_path))}
    assert paths == {"Dockerfile", ".env", "main.py"}
    before = fingerprints(settings, onbuild)
    (tmp_path / "main.py").write_text("2\n")
    assert before["w"] != fingerprints(settings, onbuild)["w"]
    assert TriggerReader(settings, onbuild=onbuild).of(settings.services[0]).paths == ("**",)
    (note,) = TriggerReader(settings, onbuild=onbuild).notes(settings.services[0])
    assert note.startswith("Dockerfile:1 copies the whole context: w depends on")


def test_without_any_nothing_is_different(tmp_path: Path) -> None:
    table = {"w": {"dockerfile": "Dockerfile"}}
    settings = workspace(tmp_path, LEAK, service=table)
    none = recipe(settings, "w", brings(""))
    assert (none.onbuild, none.unknown) == ({}, ())
    assert fingerprints(settings, brings("")) == fingerprints(settings)
    not_known = recipe(settings, "w")
    assert [image.reference.familiar for image in not_known.unknown] == ["team/onbuild:dot"]
    known = needs.required(settings, AMD64, onbuild=brings(""))
    assert needs.required(settings, AMD64) == known


def test_what_it_takes_from_other_images_is_external_or_of_the_workspace(tmp_path: Path) -> None:
    files = {
        "src/base/Dockerfile": "FROM alpine\nONBUILD COPY --from=tools:2 /t /t\n"
        "ONBUILD COPY --from=ob-lib:1 /l /l\nONBUILD RUN --mount=from=late,target=/x x\n",
        "src/lib/Dockerfile": "FROM scratch\nCOPY lib /\n",
        "src/web/Dockerfile": "FROM onbuild:1 AS late\nFROM ob-base:1\n",
    }
    settings = workspace(tmp_path, files)
    onbuild = brings("onbuild:1", "COPY conf /", "COPY --from=more /m /m")
    found = recipe(settings, "web", onbuild)
    assert {image.reference.familiar for image in found.external} == {
        "tools:2",
        "onbuild:1",
        "more:latest",
    }
    assert [each.target.name for each in found.needs] == ["base", "lib"]
    # In no copy of a Dockerfile have they another name: they are bound by their own.
    keys = {image.reference.familiar: image_key(image) for image in found.images}
    names = {name for image in found.images for name in context_names(image)}
    assert names == {*(pin_name(*key) for key in keys.values()), "tools:2", "more"}
    assert contexts(found, {keys["more:latest"]: "there", keys["onbuild:1"]: "base"}) == {
        pin_name(*keys["more:latest"]): "there",
        "more": "there",
        pin_name(*keys["onbuild:1"]): "base",
    }
    lib = found.own[1]
    assert contexts(found, {image_key(lib.image): "own"})["ob-lib:1"] == "own"


def test_children_of_children_get_nothing_and_an_image_under_a_name_brings_its_own(
    tmp_path: Path,
) -> None:
    files = {**STALE, "src/child/Dockerfile": "FROM ob-web:1\n"}
    files["src/last/Dockerfile"] = "FROM ob-same:1\n"
    document = {**SERVICES, "service": {"same": {"from-image": "onbuild:1"}}}
    settings = workspace(tmp_path, files, **document)
    onbuild = brings("onbuild:1", "COPY conf /")
    assert not recipe(settings, "child", onbuild).onbuild
    assert recipe(settings, "same", onbuild).onbuild == {}
    last = recipe(settings, "last", onbuild)
    assert list(last.onbuild.values()) == [("COPY conf /",)]
    # Where the base cannot be read, nothing is known of it; it says why itself.
    (tmp_path / "src/base/Dockerfile").write_text("FRO\n")
    broken = recipe(settings, "web")
    assert [image.reference.familiar for image in broken.unknown] == ["ob-base:1"]


def test_a_recipe_that_is_read_again_for_its_builder_keeps_what_is_known(tmp_path: Path) -> None:
    files = {
        "docker/dockerfile.dev": "FROM a AS builder\nONBUILD COPY lock /\n",
        "Dockerfile": "ARG BUILDER_IMAGE\nFROM b AS base\nFROM c AS other\nFROM $BUILDER_IMAGE\n"
        "COPY --from=base / /\nCOPY --from=other / /\n",
    }
    settings = workspace(tmp_path, files, python=["3.11"])
    variant = Variant(target=settings.app, platform=AMD64, python="3.11")
    lookup: OnBuildLookup = lambda image: (  # noqa: E731
        None if image.reference.path.endswith("/c") else ("COPY conf /",)
    )
    found = read_recipe(settings, variant, AMD64, onbuild=lookup)
    builder = found.own[0].base
    again = on_bases(settings, found, {builder.key: fingerprint_name(settings.builder, "1")})
    for each in (found, again):
        assert list(each.onbuild.values()) == [("COPY conf /",), ("COPY lock /",)]
        assert [image.reference.familiar for image in each.unknown] == ["c:latest"]


# What is known of external images.


IMAGE = Image(id="sha256:1", content="", platform=AMD64, size=1, user="", labels={})


class Holding:
    """An engine that has some images."""

    attests = False
    builder = docker_context = ""

    def __init__(self, **images: tuple[str, ...]) -> None:
        self.images = images
        self.asked = 0

    def image(self, name: str) -> Image | None:
        self.asked += 1
        for digest, found in self.images.items():
            if name == kept_name("docker.io/library/a:1", "linux/amd64", digest):
                return replace(IMAGE, id=digest, onbuild=found)
        return None

    def source(self, name: str) -> str:
        return f"docker-image://{name}"

    def destination(self, name: str) -> tuple[str, ...]:
        return ("--tag", name)


def pin(digest: str) -> Pin:
    return Pin(
        reference="docker.io/library/a:1",
        platform="linux/amd64",
        digest=digest,
        index_digest=digest,
        served_from="",
        resolved_at="",
    )


def test_an_engine_is_asked_once_and_later_runs_need_none(tmp_path: Path) -> None:
    state = State(tmp_path)
    holding = Holding(**{"sha256:a": ("COPY . /",), "sha256:b": ()})
    engine = cast("Engine", holding)
    known = KnownOnBuild(state)
    assert known.of(None, engine) is None
    assert known.of(pin("sha256:a"), None) is None
    assert known.of(pin("sha256:a"), engine) == ("COPY . /",)
    assert not state.folder.exists()
    state.write("x", "")
    asked = holding.asked
    assert known.of(pin("sha256:a"), engine) == ("COPY . /",)
    assert holding.asked == asked
    assert known.of(pin("sha256:b"), engine) == ()
    assert json.loads((state.folder / FILE).read_text()) == {
        "sha256:a linux/amd64": ["COPY . /"],
        "sha256:b linux/amd64": [],
    }
    later = KnownOnBuild(state)
    assert later.of(pin("sha256:a"), None) == ("COPY . /",)
    assert later.of(pin("sha256:b"), None) == ()


def test_what_an_engine_does_not_have_may_come(tmp_path: Path) -> None:
    holding = Holding()
    engine = cast("Engine", holding)
    known = KnownOnBuild(State(tmp_path))
    assert known.of(pin("sha256:a"), engine) is None
    asked = holding.asked
    assert known.of(pin("sha256:a"), engine) is None
    assert holding.asked == asked
    holding.images["sha256:a"] = ("COPY . /",)
    known.look_again()
    assert known.of(pin("sha256:a"), engine) == ("COPY . /",)


@pytest.mark.parametrize("text", ["", "[]", '{"sha256:a": 1}', "\xff"])
def test_a_damaged_file_is_no_knowledge(tmp_path: Path, text: str) -> None:
    state = State(tmp_path)
    state.write(FILE, text.encode("latin-1"))
    assert KnownOnBuild(state).of(pin("sha256:a"), None) is None


def test_an_image_that_is_built_without_knowing_all_claims_no_fingerprint(tmp_path: Path) -> None:
    """A later run, which knows what its base adds, is not to take it for what it would build."""
    table = {"w": {"dockerfile": "Dockerfile"}}
    settings = workspace(tmp_path, LEAK, service=table)

    def label(onbuild: OnBuildLookup) -> tuple[str, str]:
        plan = plan_build(
            settings,
            recipe(settings, "w", onbuild),
            {},
            cast("Engine", Holding()),
            State(tmp_path),
            host=AMD64,
            origin=Origin(),
        )
        return plan.request.labels[LABEL], plan.label

    claimed, wanted = label(brings(""))
    assert claimed == wanted
    claimed, wanted = label(unknown)
    assert claimed.partition(":")[0] == wanted.partition(":")[0]
    assert claimed != wanted
