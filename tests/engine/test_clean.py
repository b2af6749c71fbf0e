"""Cleaning takes what was built here and is needed no more, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.engine.layout import Layout
from bailing_tasks.state import State
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


def test_superseded_builds_go_and_everything_else_stays(
    workspace: Workspace, tmp_path: Path
) -> None:
    engine, name = workspace.engine, named(workspace, unique(tmp_path, "clean"))
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", engine)
    named(other, f"{name}-other")
    theirs = [build(other, content)["kept"] for content in ("1", "2")]
    first, forced = build(workspace, "1"), build(workspace, "1", "--no-cache")
    last = build(workspace, "2")
    workspace.write("foreign/Dockerfile", f"FROM {forced['kept']}\nLABEL of=others\n")
    foreign = f"{name}-foreign:1"
    engine.must("buildx", "build", "-q", "-t", foreign, "--load", str(workspace.root / "foreign"))
    superseded = [first["digest"], forced["kept"]]
    others, current = [foreign, *theirs], [last["kept"], last["image"]]
    refused = workspace.invoke("clean")
    assert refused.returncode == 2
    assert "--yes removes them without asking" in refused.stderr
    planned = workspace.invoke("clean", "--dry-run").stdout.splitlines()
    assert {line.rpartition("docker rmi ")[2] for line in planned} >= set(superseded)
    assert all(map(engine.has, [*superseded, *others, *current]))
    done = workspace.document("clean", "--yes", "--json")["clean"]
    assert sorted(name for gone in done["removed"] for name in gone["names"]) == sorted(superseded)
    assert not any(map(engine.has, superseded))
    assert all(map(engine.has, [*others, *current]))
    container = engine.must("create", last["image"])
    (kept,) = workspace.document("clean", "--all", "--yes", "--json")["clean"]["kept"]
    engine.must("rm", container)
    assert container[:12] in kept["cause"]
    assert all(map(engine.has, current))
    assert not workspace.document("clean", "--all", "--yes", "--json")["clean"]["kept"]
    assert not any(map(engine.has, current))
    assert all(map(engine.has, others))
    engine.must("rmi", *others, f"{name}-other:latest")


@pytest.fixture
def beside(containerd: Engine, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace on a BuildKit of its own."""
    with remote(containerd, tmp_path) as engine:
        yield made(tmp_path, engine)


def test_what_is_held_for_a_buildkit_goes_with_its_last_name(
    beside: Workspace, tmp_path: Path
) -> None:
    name = named(beside, unique(tmp_path, "held"))
    base = push(beside.engine.registry, f"{HOST}/{unique(tmp_path, 'base')}:1", 20)
    beside.write("Dockerfile", f"FROM {base.name}\nCOPY file /file\n")
    assert beside.invoke("prefetch", "--strict").ok
    first = build(beside, "1")
    killed = f"localhost/{name}:new-{State(beside.root).workspace}-0"
    layout(beside).tag(first["kept"], killed)
    last = build(beside, "2")
    assert layout(beside).image(killed) is None
    (layout(beside).incoming / "killed").mkdir(parents=True)
    before = blobs(layout(beside))
    planned = beside.document("clean", "--dry-run", "--json")["clean"]["commands"]
    assert any(first["kept"] in line for line in planned)
    assert blobs(layout(beside)) == before
    done = beside.document("clean", "--yes", "--json")["clean"]
    assert [gone["names"] for gone in done["removed"]] == [[first["kept"]]]
    gone = before.keys() - blobs(layout(beside))
    assert done["freed_bytes"] == sum(before[name] for name in gone) > 0
    assert layout(beside).image(first["kept"]) is None
    assert layout(beside).image(last["kept"])
    assert not layout(beside).incoming.exists()
    again = beside.document("prefetch", "--offline", "--json", "build-app", "--offline")
    assert again["prefetch"]["present"] == 1
    assert again["build-app"]["images"][0]["result"] == "skipped"


def blobs(held: Layout) -> dict[str, int]:
    """Return the sizes of the blobs that are held, by their names."""
    return {blob.name: blob.stat().st_size for blob in held.path("").iterdir()}
