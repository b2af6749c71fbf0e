"""Cleaning takes what was built here and is needed no more, and nothing of anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.engine.connect import connect
from bailing_tasks.engine.layout import Layout
from bailing_tasks.names import LABEL
from tests.engine.remote import layout, remote
from tests.engine.support import HOST, Engine, Workspace, made, unique
from tests.engine.tiny import push


def build(workspace: Workspace, content: str, *argv: str) -> dict[str, Any]:
    """Build the app of a workspace with something in it; return what was built."""
    workspace.write("file", content)
    (image,) = workspace.document("build-app", *argv, "--json")["build-app"]["images"]
    return dict(image)


def named(workspace: Workspace, name: str) -> str:
    """Let the app of a workspace have a name, and a file in it; return the name."""
    workspace.environment["BAILING_TASKS_APP_IMAGE"] = name
    workspace.environment["BAILING_TASKS_BUILDER_IMAGE"] = f"{name}-builder"
    workspace.write("Dockerfile", "FROM scratch\nCOPY file /\nCMD ['-']\n")
    return name


def ids(engine: Engine) -> set[str]:
    """Return the ids of all images with our label that an engine holds."""
    return {image.id for image in connect(engine.environment).images(LABEL)}


def test_superseded_builds_go_and_everything_else_stays(
    workspace: Workspace, tmp_path: Path
) -> None:
    engine, name = workspace.engine, named(workspace, unique(tmp_path, "clean"))
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", engine)
    named(other, f"{name}-other")
    theirs = [build(other, content)["kept"] for content in ("1", "2")]
    first, forced = build(workspace, "1"), build(workspace, "1", "--force")
    used, last = build(workspace, "2"), build(workspace, "3")
    workspace.write("foreign/Dockerfile", f"FROM {first['kept']}\n")
    foreign = f"{name}-foreign:1"
    engine.must("buildx", "build", "-q", "-t", foreign, "--load", str(workspace.root / "foreign"))
    container = engine.must("create", used["kept"])
    refused = workspace.invoke("clean")
    assert refused.returncode == 2
    assert "--yes removes them without asking" in refused.stderr
    planned = workspace.document("clean", "--dry-run", "--json")["clean"]["commands"]
    assert {line.rpartition(" ")[2] for line in planned} >= {first["kept"], used["kept"]}
    assert all(map(engine.has, (first["kept"], used["kept"])))
    done = workspace.document("clean", "--yes", "--json")["clean"]
    engine.must("rm", container)
    assert [kept["names"] for kept in done["kept"]] == [[used["kept"]]]
    assert container[:12] in done["kept"][0]["cause"]
    assert not engine.has(first["kept"])
    assert first["digest"] == forced["digest"] or first["digest"] not in ids(engine)
    assert all(map(engine.has, (used["kept"], last["kept"], last["image"], foreign, *theirs)))
    assert build(workspace, "3")["result"] == "skipped"
    everything = workspace.document("clean", "--all", "--yes", "--json")["clean"]
    assert not everything["kept"]
    assert not any(map(engine.has, (used["kept"], last["kept"], last["image"])))
    assert all(map(engine.has, (foreign, *theirs)))
    assert build(workspace, "3")["result"] == "built"
    other.document("clean", "--all", "--yes", "--json")
    workspace.document("clean", "--all", "--yes", "--json")
    engine.must("rmi", foreign)


def test_an_image_that_a_container_uses_keeps_all_its_names(
    plain: Workspace, tmp_path: Path
) -> None:
    name = named(plain, unique(tmp_path, "names"))
    image = build(plain, "1")
    container = plain.engine.must("create", f"{name}:latest")
    (kept,) = plain.document("clean", "--all", "--yes", "--json")["clean"]["kept"]
    assert kept["names"] == [image["image"], image["kept"]]
    assert plain.engine.has(image["image"])
    assert plain.engine.has(image["kept"])
    plain.engine.must("rm", container)
    assert plain.document("clean", "--all", "--yes", "--json")["clean"]["kept"] == []


@pytest.fixture
def beside(containerd: Engine, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace on a BuildKit of its own."""
    with remote(containerd, tmp_path) as engine:
        yield made(tmp_path, engine)


def test_what_is_held_for_a_buildkit_goes_with_its_last_name(
    beside: Workspace, tmp_path: Path
) -> None:
    named(beside, unique(tmp_path, "held"))
    base = push(beside.engine.registry, f"{HOST}/{unique(tmp_path, 'base')}:1", 20)
    beside.write("Dockerfile", f"FROM {base.name}\nCOPY file /file\n")
    assert beside.invoke("prefetch", "--strict").ok
    first, last = build(beside, "1"), build(beside, "2")
    (layout(beside).incoming / "killed").mkdir(parents=True)
    before = blobs(layout(beside))
    planned = beside.document("clean", "--dry-run", "--json")["clean"]["commands"]
    assert any(first["kept"] in line for line in planned)
    assert blobs(layout(beside)) == before
    done = beside.document("clean", "--yes", "--json")["clean"]
    assert [gone["names"] for gone in done["removed"]] == [[first["kept"]]]
    assert done["freed_bytes"] == sum(
        before[name] for name in before.keys() - blobs(layout(beside))
    )
    assert done["freed_bytes"] > 0
    assert layout(beside).image(first["kept"]) is None
    assert layout(beside).image(last["kept"])
    assert not layout(beside).incoming.exists()
    again = beside.document("prefetch", "--offline", "--json", "build-app", "--offline")
    assert again["prefetch"]["present"] == 1
    assert again["build-app"]["images"][0]["result"] == "skipped"
    assert (
        json.loads(beside.invoke("clean", "--yes", "--json").stdout)["results"][0]["removed"] == []
    )


def blobs(held: Layout) -> dict[str, int]:
    """Return the sizes of the blobs that are held, by their names."""
    return {blob.name: blob.stat().st_size for blob in held.path("").iterdir()}
