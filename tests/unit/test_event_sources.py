"""Events: by hand, and from GitHub's variables and its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import event_sources, git
from bailing_tasks.configuration import resolve
from bailing_tasks.errors import UsageError
from bailing_tasks.events import Event
from tests.unit.repository import Repository

NOWHERE = "0" * 40


def read(
    repository: Repository,
    text: str = "",
    *,
    base: str = "",
    environment: Mapping[str, str] | None = None,
    said: list[str] | None = None,
) -> Event:
    settings = resolve(repository.root, document={}, environment={}, overrides={})
    return event_sources.read(
        text,
        root=repository.root,
        settings=settings,
        environment=environment or {},
        base=base,
        say=(said if said is not None else []).append,
    )


@pytest.fixture
def clone(repository: Repository, tmp_path: Path) -> Repository:
    """A clone of a repository with two commits on `main`, and `release` at the first."""
    repository.commit("a")
    repository.git("branch", "release")
    repository.commit("b")
    return repository.clone(tmp_path / "clone")


# By hand.


def test_a_push_is_compared_with_where_the_remote_has_the_branch(clone: Repository) -> None:
    pushed = git.head(clone.root)
    first = clone.git("rev-parse", "HEAD~1")
    assert read(clone) == Event(name="push", ref="refs/heads/main", commit=pushed, base=first)
    clone.commit("c")
    last = clone.commit("d")
    expected = Event(name="push", ref="refs/heads/main", commit=last, base=pushed)
    assert read(clone) == read(clone, "push:main") == expected
    assert read(clone, "push:main", base="HEAD~1").base == clone.git("rev-parse", "HEAD~1")


def test_a_new_branch_is_compared_with_where_it_left_the_default_branch(clone: Repository) -> None:
    left = git.head(clone.root)
    clone.git("checkout", "-q", "-b", "topic/x")
    clone.commit("c")
    last = clone.commit("d")
    clone.git("checkout", "-q", "main")
    clone.commit("e")
    said: list[str] = []
    expected = Event(name="push", ref="refs/heads/topic/x", commit=last, base=left)
    assert read(clone, "push:topic/x", said=said) == expected
    assert said == []


def test_a_branch_that_only_the_remote_has_is_taken_from_there(clone: Repository) -> None:
    found = read(clone, "push:release")
    assert found.commit == clone.git("rev-parse", "origin/release")
    assert found.base == ""  # it is a first commit


@pytest.mark.parametrize(("text", "kind"), [("push:soon", "branch"), ("tag:v1", "tag")])
def test_what_is_not_there_yet_is_put_on_head(clone: Repository, text: str, kind: str) -> None:
    said: list[str] = []
    found = read(clone, text, said=said)
    assert found.commit == git.head(clone.root)
    missing = f"there is no {kind} {found.branch or found.tag} yet"
    assert said == [f"{missing}: HEAD ({found.commit[:7]}) stands in for it"]


def test_the_first_push_of_all_brings_everything(repository: Repository) -> None:
    repository.commit("a")
    assert read(repository).base == ""
    first = git.head(repository.root)
    repository.commit("b")
    assert read(repository).base == first


def test_a_tag_is_compared_with_nothing(clone: Repository) -> None:
    first = clone.git("rev-parse", "HEAD~1")
    clone.git("tag", "-a", "-m", "annotated", "v1.2.3", first)
    assert read(clone, "tag:v1.2.3") == Event(name="push", ref="refs/tags/v1.2.3", commit=first)
    for text in ("tag:v1.2.3", "schedule"):
        with pytest.raises(UsageError, match="is compared with nothing"):
            read(clone, text, base="HEAD")


def test_a_schedule_runs_on_the_default_branch(clone: Repository) -> None:
    main = git.head(clone.root)
    clone.git("checkout", "-q", "release")
    assert read(clone, "schedule") == Event(name="schedule", ref="refs/heads/main", commit=main)


@pytest.mark.parametrize(
    ("text", "base", "branch", "compared"),
    [
        ("pr:12", "", "main", "origin/main"),
        ("pr:12:release", "", "release", "origin/release"),
        ("pr:12", "release", "release", "origin/release"),
        ("pr:12", "origin/release", "release", "origin/release"),
        ("pr:12", "HEAD~1", "main", "HEAD~1"),
        ("pr:12", "HEAD", "main", "HEAD"),
        ("pr:12:release", "HEAD~1", "release", "HEAD~1"),
    ],
)
def test_a_pull_request_is_what_is_checked_out_for_a_branch(
    clone: Repository, text: str, base: str, branch: str, compared: str
) -> None:
    clone.git("checkout", "-q", "--detach")
    head = clone.commit("c")
    assert read(clone, text, base=base) == Event(
        name="pull_request",
        ref="refs/pull/12/merge",
        commit=head,
        base=clone.git("rev-parse", compared),
        base_branch=branch,
    )


@pytest.mark.parametrize(
    ("text", "base", "said"),
    [
        ("push", "", "'push' is no event"),
        ("push:", "", "'push:' is no event"),
        ("PR:12", "", "'PR:12' is no event"),
        ("issues", "", "'issues' is no event"),
        ("schedule:x", "", "'schedule:x' is no event"),
        ("pr:x", "", "'x' is no number"),
        ("pr:²", "", "'²' is no number"),
        ("pr:12:nope", "", "there is no branch nope here"),
        ("push:a..b", "", "called 'a..b'"),
        ("tag:a b", "", "called 'a b'"),
        ("", "nope", "there is no commit nope here"),
        ("push:main", "--all", "there is no commit --all here"),
        ("pr:12", "nope", "there is no commit nope here"),
        ("github", "", "GITHUB_EVENT_NAME is not set"),
    ],
)
def test_what_is_no_event_is_refused(clone: Repository, text: str, base: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(clone, text, base=base)
    assert said in caught.value.message
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_without_a_branch_it_is_not_known_whose_push_is_meant(clone: Repository) -> None:
    clone.git("checkout", "-q", "--detach")
    with pytest.raises(UsageError, match="no branch is checked out") as caught:
        read(clone)
    assert "--event push:main" in caught.value.remedy


def test_a_new_branch_needs_the_default_branch(repository: Repository) -> None:
    repository.commit("a")
    repository.git("branch", "-m", "trunk")
    with pytest.raises(UsageError, match="there is no branch main here") as caught:
        read(repository)
    assert "default-branch" in caught.value.remedy
    assert read(repository, base="HEAD").branch == "trunk"


def test_without_a_repository_there_are_no_events(repository: Repository) -> None:
    repository.without_git()
    with pytest.raises(UsageError, match="is in no Git repository"):
        read(repository, "push:main")


# GitHub's.


def on_github(
    repository: Repository, name: str, payload: Any = None, **variables: str
) -> dict[str, str]:
    """Return GitHub's variables for an event, its file written."""
    path = repository.root.parent / "event.json"
    path.write_text(payload if isinstance(payload, str) else json.dumps(payload))
    return {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path), **variables}


def pushed(ref: str, before: str, after: str, *commits: str) -> dict[str, Any]:
    """Return what GitHub tells of a push."""
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == NOWHERE,
        "deleted": after == NOWHERE,
        "forced": False,
        "commits": [{"id": commit} for commit in commits],
    }


def requested(base: str, head: str) -> dict[str, Any]:
    """Return what GitHub tells of a pull request."""
    return {
        "action": "synchronize",
        "number": 12,
        "pull_request": {"base": {"ref": "release", "sha": base}, "head": {"sha": head}},
    }


def test_github_tells_where_a_branch_stood(clone: Repository) -> None:
    before, after = clone.git("rev-parse", "HEAD~1"), git.head(clone.root)
    payload = pushed("refs/heads/main", before, after, after)
    expected = Event(name="push", ref="refs/heads/main", commit=after, base=before)
    environment = on_github(clone, "push", payload)
    assert read(clone, environment=environment) == expected
    assert read(clone, "github", environment=environment) == expected
    # What is said by hand wins.
    assert read(clone, environment=environment, base="HEAD").base == after
    assert read(clone, "push:release", environment=environment).branch == "release"


def test_a_branch_that_is_new_to_github(clone: Repository, tmp_path: Path) -> None:
    start = git.head(clone.root)
    clone.git("checkout", "-q", "-b", "topic")
    first, second = clone.commit("c"), clone.commit("d")
    payload = pushed("refs/heads/topic", NOWHERE, second, first, second)
    found = read(clone, environment=on_github(clone, "push", payload))
    assert (found.commit, found.base) == (second, start)
    # It brought no commit of its own.
    payload = pushed("refs/heads/topic", NOWHERE, second)
    assert read(clone, environment=on_github(clone, "push", payload)).base == start
    # The repository's first commit came with it.
    root = clone.git("rev-list", "--max-parents=0", "HEAD")
    payload = pushed("refs/heads/topic", NOWHERE, second, root, start, first, second)
    assert read(clone, environment=on_github(clone, "push", payload)).base == ""


def test_a_shallow_clone_is_enough_until_files_are_compared(
    clone: Repository, tmp_path: Path
) -> None:
    clone.git("checkout", "-q", "-b", "topic")
    first, second = clone.commit("c"), clone.commit("d")
    shallow = clone.clone(tmp_path / "shallow", "--depth=1")
    for commits in ((first, second), ()):
        payload = pushed("refs/heads/topic", NOWHERE, second, *commits)
        found = read(shallow, environment=on_github(shallow, "push", payload))
        assert found.commit == second
        with pytest.raises(UsageError, match="there is no commit") as caught:
            git.changed_files(shallow.root, found)
        assert "fetch-depth: 0" in caught.value.remedy


def test_a_branch_that_was_deleted_has_no_commit(clone: Repository) -> None:
    payload = pushed("refs/heads/old", git.head(clone.root), NOWHERE)
    found = read(clone, environment=on_github(clone, "push", payload))
    assert found == Event(name="push", ref="refs/heads/old", commit="")


def test_a_tag_on_github_is_its_commit(clone: Repository) -> None:
    clone.git("tag", "-a", "-m", "annotated", "v1")
    tag = clone.git("rev-parse", "v1")
    commit = git.head(clone.root)
    assert tag != commit
    payload = pushed("refs/tags/v1", NOWHERE, tag)
    found = read(clone, environment=on_github(clone, "push", payload))
    assert found == Event(name="push", ref="refs/tags/v1", commit=commit)


def test_github_builds_the_merge_of_a_pull_request(clone: Repository) -> None:
    base, head = clone.git("rev-parse", "HEAD~1"), git.head(clone.root)
    merge = clone.commit("merge")
    payload = requested(base, head)
    found = read(clone, environment=on_github(clone, "pull_request", payload, GITHUB_SHA=merge))
    assert found == Event(
        name="pull_request",
        ref="refs/pull/12/merge",
        commit=merge,
        base=base,
        base_branch="release",
        head=head,
    )
    assert found.number == "12"
    assert read(clone, environment=on_github(clone, "pull_request", payload)).commit == head


@pytest.mark.parametrize("name", ["schedule", "workflow_dispatch"])
def test_other_events_are_as_the_variables_say(clone: Repository, name: str) -> None:
    environment = {
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_SHA": git.head(clone.root),
    }
    expected = Event(name=name, ref="refs/heads/main", commit=git.head(clone.root))
    assert read(clone, environment=environment) == expected


PUSHED = pushed("refs/heads/main", "1" * 40, "2" * 40, "2" * 40)
REQUESTED = requested("1" * 40, "2" * 40)


@pytest.mark.parametrize(
    ("name", "payload", "said"),
    [
        ("issues", {}, "the event 'issues' builds nothing here"),
        ("pull_request_target", REQUESTED, "the event 'pull_request_target' builds nothing"),
        ("push", "{", "cannot be read"),
        ("push", "", "cannot be read"),
        ("push", "[" * 100_000, "cannot be read"),
        ("push", [PUSHED], "it is no object"),
        ("push", REQUESTED, "it has no ref"),
        ("push", {"action": "opened", "issue": {"number": 1}}, "it has no ref"),
        ("push", {**PUSHED, "before": None}, "it has no before"),
        ("push", {**PUSHED, "after": ""}, "after is empty"),
        ("push", {**PUSHED, "after": ["2"]}, "it has no after"),
        ("push", {**PUSHED, "ref": "main"}, "its ref is 'main'"),
        ("push", {**PUSHED, "before": "1\0"}, "before is no text"),
        ("push", {**PUSHED, "ref": "refs/heads/\ud800"}, "ref is no text"),
        ("push", {**PUSHED, "before": NOWHERE, "commits": 5}, "it has no commits"),
        ("pull_request", PUSHED, "it has no number"),
        ("pull_request", {**REQUESTED, "number": "12"}, "it has no number"),
        ("pull_request", {"number": 12, "pull_request": []}, "no pull_request.head.sha"),
        ("pull_request", None, "it is no object"),
        ("schedule", {}, "GITHUB_REF is not set"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    repository: Repository, name: str, payload: Any, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(repository, "github", environment=on_github(repository, name, payload))
    assert said in f"{caught.value.message} {caught.value.cause}"
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_an_event_file_that_is_missing_is_named(repository: Repository) -> None:
    environment = on_github(repository, "push", PUSHED, GITHUB_EVENT_PATH="/nonexistent/event.json")
    with pytest.raises(UsageError, match=r"the event file /nonexistent/event\.json cannot be read"):
        read(repository, environment=environment)
    del environment["GITHUB_EVENT_PATH"]
    with pytest.raises(UsageError, match="GITHUB_EVENT_PATH is not set"):
        read(repository, environment=environment)
