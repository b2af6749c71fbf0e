"""Where `latest` stands in a real registry decides whether it moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bailing_tasks.engine.labels import read_labels
from bailing_tasks.engine.registry import Registries
from bailing_tasks.errors import AbsentError, PullError
from bailing_tasks.names import REVISION_LABEL
from bailing_tasks.references import Reference
from tests.engine import tiny
from tests.engine.support import Engine, Workspace, unique
from tests.unit.repository import Repository

CONTENTS = {"linux/amd64": {"file": b"x"}, "linux/arm64": {"file": b"x"}}


@pytest.fixture
def repository(plain: Workspace, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The history of a workspace."""
    Repository.new(plain.root / "history", monkeypatch)
    plain.root.joinpath("history", ".git").rename(plain.root / ".git")
    return Repository(plain.root)


def tags_of(plain: Workspace, name: str, *argv: str) -> Mapping[str, str]:
    """Return the app's tags and the sentence on `latest` for a push of main."""
    plain.environment["BAILING_TASKS_REPOSITORY"] = f"{plain.engine.registry}/{name}"
    result = plain.invoke("tags", "--event=push:main", "--json", *argv)
    assert result.ok, result.stderr
    app = json.loads(result.stdout)["targets"]["app"]
    return {"tags": " ".join(each["tag"] for each in app["tags"]), "latest": app["latest"]}


def test_latest_moves_from_where_it_stands_only_forward(
    plain: Workspace, repository: Repository, tmp_path: Path
) -> None:
    name = unique(tmp_path, "follows")
    first = repository.commit("a")
    second = repository.commit("b")
    found = tags_of(plain, name)
    assert found["tags"] == "latest main"
    assert found["latest"].endswith("there is no latest yet")
    for revision, tags, why in (
        (first, "latest main", f"stands at commit {first[:7]}, which this one descends from"),
        (second, "latest main", f"stands at commit {second[:7]}, this one"),
        ("", "latest main", "does not say its commit"),
        ("1" * 40, "main", "which this clone does not have"),
    ):
        labels = {REVISION_LABEL: revision} if revision else None
        tiny.push_index(plain.engine.registry, f"{name}:latest", CONTENTS, labels)
        found = tags_of(plain, name)
        assert found["tags"] == tags
        assert why in found["latest"]
    tiny.push_index(plain.engine.registry, f"{name}:latest", CONTENTS, {REVISION_LABEL: second})
    repository.git("reset", "-q", "--hard", first)
    found = tags_of(plain, name)
    assert found["tags"] == "main"
    assert found["latest"].endswith(f"commit {first[:7]} does not descend from that")
    assert "(--offline)" in tags_of(plain, name, "--offline")["latest"]


def test_a_registry_that_cannot_be_asked_leaves_it_open(
    plain: Workspace, repository: Repository
) -> None:
    repository.commit("a")
    plain.environment["BAILING_TASKS_REPOSITORY"] = "127.0.0.1:1/x"
    found = json.loads(plain.invoke("tags", "--event=push:main", "--json").stdout)["targets"]
    assert [each["tag"] for each in found["app"]["tags"]] == ["latest", "main"]
    assert found["app"]["latest"].startswith("it is decided when it is pushed")


def test_labels_are_read_without_a_pull(containerd: Engine, tmp_path: Path) -> None:
    name, labels = f"{unique(tmp_path, 'labels')}:1", {"a": "b"}
    reference = Reference.parse(f"{containerd.registry}/{name}")
    registries = Registries()
    with pytest.raises(AbsentError):
        read_labels(registries, reference)
    for runs in (True, False):
        tiny.push(containerd.registry, name, 10, runs=runs)
        assert read_labels(registries, reference) == {}
    tiny.push_index(containerd.registry, name, CONTENTS, labels)
    assert read_labels(registries, reference) == labels
    tiny.push_index(containerd.registry, name, CONTENTS, {"a": "inherited", "c": "d"}, labels)
    assert read_labels(registries, reference) == {"a": "b", "c": "d"}
    unknown = {"unknown/unknown": {"file": b"x"}}
    tiny.push_index(containerd.registry, name, {**unknown, **CONTENTS}, labels)
    assert read_labels(registries, reference) == labels
    tiny.push_index(containerd.registry, name, unknown, labels)
    with pytest.raises(PullError, match="something else than was asked for"):
        read_labels(registries, reference)
