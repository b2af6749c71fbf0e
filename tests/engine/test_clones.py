"""Workspaces that share an engine never break each other, nor take an image for their own."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.state import State
from tests.engine.support import Engine, Workspace, made, unique

BUILDER = "FROM scratch AS builder\nCOPY lock /lock\nCMD ['-']\n"
APP = """\
ARG BUILDER_IMAGE
FROM ${BUILDER_IMAGE} AS builder
FROM scratch
COPY --from=builder /lock /lock
COPY file /
CMD ['-']
"""
VERIFY = """
[tool.bailing-tasks.verify]
absent-commands = []
user = ""
imports = []
port = 0
"""


@pytest.fixture
def pair(engine: Engine, tmp_path: Path) -> tuple[Workspace, Workspace]:
    """Two workspaces in folders of one name: without a remote, their images have the same names."""
    name = unique(tmp_path, "voice")
    return _filled(tmp_path / "one" / name, engine), _filled(tmp_path / "two" / name, engine)


def _filled(folder: Path, engine: Engine) -> Workspace:
    folder.parent.mkdir()
    made(folder.parent, engine).root.rename(folder)
    workspace = Workspace(folder, engine)
    workspace.write("docker/dockerfile.dev", BUILDER)
    workspace.write("Dockerfile", APP)
    workspace.write("pyproject.toml", VERIFY)
    workspace.write("lock", "1" * 2000)
    workspace.write("file", "1")
    return workspace


def names(workspace: Workspace) -> set[str]:
    """Return the names in its engine of the images of a workspace, and of what has its names."""
    listed = [
        workspace.engine.must("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name)
        for image in (workspace.root.name, f"{workspace.root.name}-builder")
        for name in (image, f"localhost/{image}")
    ]
    return set("\n".join(listed).split())


def staged(workspace: Workspace) -> set[str]:
    """Return the names of builds that have not ended."""
    return {name for name in names(workspace) if ":new-" in name}


def status(workspace: Workspace) -> dict[str, Any]:
    """Return what `status` reports of the app for this machine."""
    found = workspace.document("status", "--platform", "linux/amd64", "--json")["status"]
    return next(each for each in found["images"] if each["target"] == "app")


def test_two_clones_of_one_commit_build_at_once_and_leave_no_other_name(
    pair: tuple[Workspace, Workspace],
) -> None:
    with ThreadPoolExecutor() as pool:
        for chain in (("build-builder", "build-app"), ("build-all", "--force")):
            done = list(pool.map(lambda each: each.invoke(*chain), pair))  # noqa: B023
            assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    assert not staged(pair[0])
    killed = f"localhost/{pair[0].root.name}:new-{State(pair[0].root).workspace}-0"
    theirs = f"localhost/{pair[0].root.name}:new-{State(pair[1].root).workspace}-0"
    for name in (killed, theirs):
        pair[0].engine.must("tag", f"{pair[0].root.name}:latest", name)
    pair[0].write("file", "2")
    assert pair[0].invoke("build-app").ok
    assert staged(pair[0]) == {theirs}
    # A run that ends between the build and its end.
    logs = pair[0].root / ".bailing-tasks/logs"
    shutil.rmtree(logs)
    logs.touch()
    pair[0].write("file", "3")
    result = pair[0].invoke("build-app")
    assert str(logs) in result.stderr
    assert staged(pair[0]) == {theirs}


def test_two_workspaces_whose_images_have_one_name_take_their_own(
    pair: tuple[Workspace, Workspace],
) -> None:
    one, two = pair
    two.write("lock", "2")
    two.write("file", " ".join(map(str, range(2000))))  # sizes differ when compressed, too
    name = one.root.name
    first, second = (
        each.document("build-builder", "build-app", "--json")["build-app"]["images"][0]
        for each in pair
    )
    assert first["image"] == second["image"] == f"{name}:latest"
    assert first["digest"] != second["digest"]
    found = status(one)
    assert (found["up_to_date"], found["points_elsewhere"]) == (True, True)
    assert not status(two)["points_elsewhere"]
    checked = [json.loads(each.invoke("verify", "--json").stdout)["results"][0] for each in pair]
    assert [each["kept"] for each in checked] == [first["kept"], second["kept"]]
    smaller = [
        check["detail"]
        for each in checked
        for check in each["checks"]
        if check["name"] == "smaller than the builder"
    ]
    assert smaller[0] != smaller[1]
    two.invoke("clean", "--all", "--yes")
    assert one.engine.has(first["kept"])
    assert not one.engine.has(second["kept"])
    assert one.document("build-app", "--json")["build-app"]["images"][0]["result"] == "skipped"
    assert not status(one)["points_elsewhere"]


def test_an_image_that_another_clone_uses_is_not_cleaned(pair: tuple[Workspace, Workspace]) -> None:
    first, second = (
        each.document("build-builder", "build-app", "--json")["build-app"]["images"][0]
        for each in pair
    )
    assert (first["kept"], second["result"]) == (second["kept"], "skipped")
    assert pair[0].invoke("clean", "--all", "--yes").ok
    assert all(map(pair[0].engine.has, (second["kept"], second["image"])))
    assert pair[1].invoke("clean", "--all", "--yes").ok
    assert pair[0].engine.has(first["kept"])  # the other one built it
