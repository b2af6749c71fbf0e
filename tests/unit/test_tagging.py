"""`invoke tags`: what Git knows of an event, and the tags that follow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import git, process
from bailing_tasks.configuration import resolve
from bailing_tasks.events import Event
from bailing_tasks.tagging import git_facts, index_annotations, plan_tags
from tests.unit.repository import WHEN, Repository

TASKS = "from bailing_tasks import namespace\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A workspace with one commit, whose remote is nowhere."""
    repository = Repository.new(tmp_path / "workspace", monkeypatch)
    (repository.root / "tasks.py").write_text(TASKS)
    repository.commit("a")
    return repository


def invoke(folder: Path, *argv: str) -> process.Completed:
    """Run `invoke tags`, which may ask no registry."""
    argv = (sys.executable, "-m", "invoke", "tags", "--offline", *argv)
    return process.run(argv, cwd=folder)


def test_the_tags_and_their_rules_are_told(workspace: Repository) -> None:
    workspace.git("tag", "v1.2.3")
    result = invoke(workspace.root, "--event=tag:v1.2.3")
    assert result.ok, result.stderr
    assert [line.split(maxsplit=2) for line in result.stdout.splitlines()[1:6]] == [
        ["target", "tag", "rule"],
        ["builder", "latest", "latest: a stable version, v1.2.3"],
        ["builder", "builder-1.2.3", "builder-{version}: version 1.2.3 of the Git tag v1.2.3"],
        ["app", "latest", "latest: a stable version, v1.2.3"],
        ["app", "1.2.3", "{version}: version 1.2.3 of the Git tag v1.2.3"],
    ]
    assert result.stdout.splitlines()[6].startswith(
        "latest of builder, app: it is decided when it is pushed: the Git tag v1.2.3 is a stable"
    )


def test_the_document_has_the_targets_at_its_top(workspace: Repository) -> None:
    found = json.loads(invoke(workspace.root, "--event=push:a/b", "--json").stdout)
    assert found["schema"] == 1
    assert found["targets"] == {
        "builder": {
            "tags": [
                {
                    "tag": "a-b-builder",
                    "rule": "{branch}-builder: the branch a/b; - for what no tag may hold",
                }
            ],
            "latest": "no: a/b is not the default branch (main)",
        },
        "app": {
            "tags": [
                {"tag": "a-b", "rule": "{branch}: the branch a/b; - for what no tag may hold"}
            ],
            "latest": "no: a/b is not the default branch (main)",
        },
    }
    assert found["results"][0]["targets"] == found["targets"]


def test_a_pull_request_gets_no_tag_and_that_is_told(workspace: Repository) -> None:
    result = invoke(workspace.root, "--event=pr:12")
    assert result.ok, result.stderr
    assert "never moves it, and nothing is pushed" in result.stdout


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("tag:nightly", "the Git tag nightly makes no tag"),
        ("tag", "'tag' is no event"),
    ],
)
def test_what_makes_no_tag_is_an_error(workspace: Repository, event: str, said: str) -> None:
    result = invoke(workspace.root, f"--event={event}")
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def facts_of(repository: Repository) -> Any:
    event = Event(name="push", ref="refs/heads/main", commit=git.head(repository.root))
    return git_facts(repository.root, event)


def test_git_knows_day_branches_and_tags(workspace: Repository, tmp_path: Path) -> None:
    for name in ("v1.0.0", "nightly"):
        workspace.git("tag", name)
    workspace.git("branch", "a/b")
    found = facts_of(workspace)
    assert (found.date, WHEN) == ("20231114", 1_700_000_000)
    assert set(found.branches) == {"main", "a/b"}
    assert set(found.tags) == {"v1.0.0", "nightly"}
    clone = workspace.clone(tmp_path / "clone")
    clone.git("branch", "mine")
    assert set(facts_of(clone).branches) == {"main", "a/b"}
    shallow = workspace.clone(tmp_path / "shallow", "--depth=1")
    assert facts_of(shallow).tags is None


def test_a_branch_that_meets_another_one_gets_a_hash(workspace: Repository) -> None:
    workspace.git("branch", "a-b")
    workspace.git("branch", "a/b")
    settings = resolve(workspace.root, document={}, environment={}, overrides={})
    event = Event(name="push", ref="refs/heads/a/b", commit=git.head(workspace.root))
    builder, app = plan_tags(settings, event, offline=True)
    assert builder.tags[0].tag != "a-b-builder"
    assert app.tags[0].rule.endswith("with a hash: the branch a-b has that tag")


def test_a_commit_that_is_not_here_has_no_day(workspace: Repository) -> None:
    event = Event(name="push", ref="refs/heads/main", commit="1" * 40)
    assert git_facts(workspace.root, event).date == ""


def test_an_index_says_what_it_was_published_for(workspace: Repository) -> None:
    settings = resolve(
        workspace.root,
        document={"source": "https://git.example/a/b", "licenses": "MIT"},
        environment={},
        overrides={},
    )
    commit = workspace.git("rev-parse", "HEAD")
    keys = ("revision", "source", "version", "created", "licenses")
    said = ("https://git.example/a/b", commit[:7], "2023-11-14T22:13:20+00:00", "MIT")
    event = Event(name="push", ref="refs/heads/main", commit=commit)
    assert index_annotations(settings, event) == {
        f"org.opencontainers.image.{key}": value
        for key, value in zip(keys, (commit, *said), strict=True)
    }
