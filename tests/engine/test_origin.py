"""An image says which commit it was built from, and two builds of one commit can be the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.engine.blobs import manifests
from bailing_tasks.names import LABEL
from tests.engine import tiny
from tests.engine.remote import layout, remote
from tests.engine.support import HOST, Engine, Workspace, made, unique
from tests.unit.repository import WHEN, Repository

KEYS = "org.opencontainers.image"
PROJECT = '[project]\nname = "x"\nlicense = "MIT"\n'


def repository(workspace: Workspace, folder: Path, patch: pytest.MonkeyPatch) -> Repository:
    """Let a workspace, whose app is all there is, be a Git repository."""
    found = Repository.new(folder / "git", patch)
    workspace.root = found.root
    workspace.write("tasks.py", "from bailing_tasks import namespace\n")
    workspace.write("pyproject.toml", PROJECT)
    workspace.environment |= {
        "BAILING_TASKS_APP_IMAGE": unique(folder, "a"),
        "BAILING_TASKS_BUILDER_IMAGE": unique(folder, "b"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    found.git("remote", "add", "origin", "git@github.example:Owner/Voice.git")
    return found


def build(workspace: Workspace, *argv: str) -> dict[str, Any]:
    """Build the app; return what the document says of it."""
    (image,) = workspace.document("build-app", *argv, "--json")["build-app"]["images"]
    return dict(image)


def said(workspace: Workspace, image: str) -> dict[str, str]:
    labels = workspace.engine.labels(image)
    return {
        key.removeprefix(f"{KEYS}."): value for key, value in labels.items() if key.startswith(KEYS)
    }


def test_an_image_names_the_commit_it_was_built_from(
    plain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = repository(plain, tmp_path, monkeypatch)
    base = f"{HOST}/{unique(tmp_path, 'base')}:1"
    its_own = {f"{KEYS}.{key}": "the base's" for key in ("revision", "version", "source", "title")}
    contents = {"linux/amd64": {"file": b"x"}}
    tiny.push_index(plain.engine.registry, base, contents, labels=its_own)
    plain.write("Dockerfile", f"FROM {base}\nCOPY code /\n")
    plain.write("code", "one")
    first = git.commit()
    git.git("tag", "v1.2.3")
    plain.document("prefetch", "--json")
    image = build(plain)
    assert said(plain, image["image"]) == {
        "revision": first,
        "version": "v1.2.3",
        "created": "2023-11-14T22:13:20+00:00",
        "source": "https://github.example/Owner/Voice",
        "licenses": "MIT",
        "title": "the base's",
    }
    created = plain.engine.must("image", "inspect", "--format", "{{.Created}}", image["image"])
    assert created == "2023-11-14T22:13:20Z"

    git.commit("unrelated")
    assert build(plain)["result"] == "skipped"
    assert said(plain, image["image"])["revision"] == first, "it is the image of the first commit"

    plain.write("code", "two")
    found = said(plain, build(plain)["image"])
    assert found["revision"] == f"{git.git('rev-parse', 'HEAD')}-dirty"
    assert found["version"].endswith("-dirty")

    shutil.rmtree(plain.root / ".git")
    found = said(plain, build(plain, "--force")["image"])
    assert (found["revision"], found["version"], found["source"]) == ("", "", "")
    assert (found["licenses"], found["title"]) == ("MIT", "the base's")


def test_the_commits_time_is_an_input_only_where_it_is_asked_for(
    plain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = repository(plain, tmp_path, monkeypatch)
    plain.write("code", "one")
    plain.write(
        "Dockerfile", "FROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY code /$SOURCE_DATE_EPOCH\n"
    )
    git.commit()
    first = build(plain)
    assert build(plain)["result"] == "skipped"
    container = plain.engine.must("create", first["image"], "-")
    plain.engine.must("cp", f"{container}:/{WHEN}", str(tmp_path / "copied"))
    plain.engine.must("rm", container)
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"{WHEN + 1} +0200")
    git.commit("unrelated")
    second = build(plain)
    assert second["result"] == "built"
    assert "SOURCE_DATE_EPOCH" in second["reason"]
    assert build(plain)["result"] == "skipped"
    environment = {"SOURCE_DATE_EPOCH": str(WHEN)}
    (again,) = plain.document("build-app", "--json", **environment)["build-app"]["images"]
    assert again["fingerprint"] == first["fingerprint"]


@pytest.fixture
def beside(containerd: Engine, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose images are built by a BuildKit of its own."""
    folder = tmp_path / "buildkit"
    folder.mkdir()
    with remote(containerd, folder) as found:
        yield made(tmp_path, found)


def test_two_builds_of_a_commit_are_the_same_apart_from_what_attests_them(
    beside: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = repository(beside, tmp_path, monkeypatch)
    beside.write("code/file", "one")
    beside.write("Dockerfile", "FROM scratch\nCOPY code /x/\n")
    git.commit()
    first, second = build(beside, "--force"), build(beside, "--force")
    assert first["result"] == second["result"] == "built"
    image, before = (layout(beside).image(each["digest"]) for each in (second, first))
    assert image
    assert before
    assert image.content == before.content
    assert image.id != before.id, "what is said of how it was made has times in it"
    assert LABEL in image.labels
    found = [manifests(layout(beside), each["digest"]) for each in (first, second)]
    assert found[0][0] == found[1][0]
    assert found[0][1:] != found[1][1:]
    manifest = json.loads(layout(beside).path(found[0][0]).read_bytes())
    config = json.loads(layout(beside).path(manifest["config"]["digest"]).read_bytes())
    assert config["created"] == "2023-11-14T22:13:20Z"
