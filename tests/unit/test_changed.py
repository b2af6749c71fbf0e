"""What an event would build, and `invoke changed`, which tells it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import process
from bailing_tasks.changed import decide
from bailing_tasks.configuration import resolve
from bailing_tasks.events import Event
from tests.unit.repository import Repository

CI = {"branches": ["main", "release/**", "!release/old"], "tags": ["v*"], "pull-requests": ["main"]}
BUILDER = {"triggers": ["uv.lock", "docker/**", "!**.md"]}
APP = {"triggers": ["bailing/**", "main.py"]}


def push(ref: str, commit: str, base: str = "") -> Event:
    return Event(name="push", ref=ref, commit=commit, base=base)


def pull(branch: str, commit: str, base: str) -> Event:
    return Event(
        name="pull_request", ref="refs/pull/1/merge", commit=commit, base=base, base_branch=branch
    )


def decided(repository: Repository, event: Event, **document: Any) -> dict[str, Any]:
    """Return why each target is built, or is not."""
    settings = resolve(
        repository.root,
        document={"ci": CI, "builder": BUILDER, "app": APP, **document},
        environment={},
        overrides={},
    )
    found = decide(settings, event).targets
    return {name: (verdict.runs, verdict.reason) for name, verdict in found.items()}


@pytest.mark.parametrize(
    ("files", "builder", "app"),
    [
        (["bailing/asr/x.py"], (False, "no pattern takes"), (True, "bailing/asr/x.py has changed")),
        (["uv.lock"], (True, "uv.lock has changed"), (False, "no pattern takes")),
        (["uv.lock", "main.py"], (True, "uv.lock has"), (True, "main.py has changed")),
        (["docker/README.md"], (False, "docker/README.md is excluded"), (False, "no pattern")),
        (["src/main.py", "docs/a"], (False, "no pattern takes"), (False, "no pattern takes")),
        ([], (False, "no file has changed"), (False, "no file has changed")),
        ([f"docs/{n}" for n in range(301)], (True, "more than 300"), (True, "more than 300")),
    ],
)
def test_a_push_builds_what_its_files_trigger(
    repository: Repository, files: list[str], builder: tuple[bool, str], app: tuple[bool, str]
) -> None:
    base = repository.commit("a")
    last = repository.commit(*files)
    for event in (push("refs/heads/main", last, base), pull("main", last, base)):
        found = decided(repository, event)
        for name, (runs, reason) in (("builder", builder), ("app", app)):
            assert found[name][0] == runs
            assert found[name][1].startswith(reason)


def test_the_branch_or_the_tag_comes_first(repository: Repository) -> None:
    base, last = repository.commit("a"), repository.commit("main.py", "uv.lock")
    cases = [
        (push("refs/heads/main", last, base), True, "main.py has changed"),
        (push("refs/heads/release/1/x", last, base), True, "main.py has changed"),
        (push("refs/heads/topic", last, base), False, "ci.branches does not include topic"),
        (push("refs/heads/release/old", last, base), False, "ci.branches excludes release/old"),
        (pull("main", last, base), True, "main.py has changed"),
        (pull("release/1", last, base), False, "ci.pull-requests does not include release/1"),
        (push("refs/tags/v1", base), True, "ci.tags includes v1; files do not count for a tag"),
        (push("refs/tags/x1", last), False, "ci.tags does not include x1"),
        (push("refs/heads/main", "", base), False, "main was deleted"),
        (push("refs/tags/v1", ""), False, "v1 was deleted"),
        (
            Event(name="schedule", ref="refs/heads/topic", commit=last),
            True,
            "a schedule is not filtered",
        ),
    ]
    for event, runs, reason in cases:
        assert decided(repository, event)["app"] == (runs, reason), event


def test_without_triggers_every_push_builds(repository: Repository) -> None:
    base, last = repository.commit("a"), repository.commit("b")
    event = push("refs/heads/main", last, base)
    found = decided(repository, event, app={"triggers": []})
    assert found["app"] == (True, "no pattern limits the files")
    assert not found["builder"][0]


def test_past_a_thousand_commits_it_runs_anyway(repository: Repository) -> None:
    base = repository.commit("a")
    commits = "".join(
        f"commit refs/heads/main\ncommitter a <a@b.example> {number} +0000\ndata 0\n"
        + (f"from {base}\n" if number == 0 else "")
        + f"M 100644 inline docs/{number % 5}\ndata {len(str(number))}\n{number}\n"
        for number in range(1001)
    )
    git = ["git", "-C", str(repository.root), "fast-import", "--quiet"]
    assert process.run(git, stdin=commits).ok
    last = repository.git("rev-parse", "main")
    reason = "more than 1000 commits (1001)"
    assert decided(repository, push("refs/heads/main", last, base))["app"] == (True, reason)
    found = decided(repository, push("refs/heads/main", f"{last}~1", base))
    assert not found["app"][0]


# The task.


@pytest.fixture
def workspace(repository: Repository) -> Repository:
    """A workspace with two commits; the second is a change of the app's code."""
    (repository.root / "tasks.py").write_text("from bailing_tasks import namespace\n")
    (repository.root / ".gitignore").write_text("__pycache__\n")
    (repository.root / "docker").mkdir()
    for dockerfile in ("docker/dockerfile.dev", "Dockerfile"):
        (repository.root / dockerfile).write_text("FROM scratch AS builder\n")
    repository.commit("uv.lock")
    repository.commit("bailing/main.py")
    return repository


def invoke(folder: Path, *argv: str) -> process.Completed:
    return process.run([sys.executable, "-m", "invoke", "changed", *argv], cwd=folder)


def test_changed_tells_each_target_and_why(workspace: Repository) -> None:
    result = invoke(workspace.root, "--base", "HEAD~1")
    assert result.ok, result.stderr
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    base = workspace.git("rev-parse", "HEAD~1")[:7]
    assert lines[0] == [f"push of branch main, compared with {base}"]
    assert lines[1] == ["changed files: 1, commits: 1"]
    cells = [[cell.strip() for cell in line if cell] for line in lines[2:]]
    assert cells == [
        ["target", "built", "why", "pattern"],
        ["builder", "no", "no pattern takes a file that has changed"],
        ["app", "yes", "bailing/main.py has changed", "bailing/**"],
    ]


def test_changed_is_data_for_programs(workspace: Repository) -> None:
    (workspace.root / "bailing" / "main.py").write_text("not committed")
    result = invoke(workspace.root / "bailing", "--json", "--event=tag:v1.2.3")
    assert result.ok, result.stderr
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    (found,) = document["results"]
    assert found["task"] == "changed"
    assert found["event"]["ref"] == "refs/tags/v1.2.3"
    assert (found["files"], found["commits"]) == (None, None)
    assert found["targets"]["builder"] == {
        "runs": True,
        "reason": "ci.tags includes v1.2.3; files do not count for a tag",
        "file": "",
        "pattern": "v*",
    }
    assert "there is no tag v1.2.3 yet" in result.stderr
    found = json.loads(invoke(workspace.root, "--json").stdout)["results"][0]
    assert (found["files"], found["commits"]) == (1, 1)
    assert found["targets"]["app"]["file"] == "bailing/main.py"


def test_what_is_not_committed_is_no_part_of_a_push(workspace: Repository) -> None:
    assert "uncommitted" not in invoke(workspace.root).stdout
    workspace.write("uv.lock")
    result = invoke(workspace.root)
    assert "uncommitted changes are no part of it" in result.stdout
    assert "builder  no" in result.stdout


def test_the_event_that_a_workflow_runs_for(
    workspace: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = workspace.git("rev-list", "--reverse", "HEAD").splitlines()
    payload = {"ref": "refs/heads/main", "before": first, "after": last, "commits": [{"id": last}]}
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload))
    monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(file))
    found = json.loads(invoke(workspace.root, "--json").stdout)["results"][0]
    assert found["event"]["base"] == first
    assert [target["runs"] for target in found["targets"].values()] == [False, True]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--base", "nope"], "there is no commit nope here"),
        (["--event", "issues"], "'issues' is no event"),
        (["--event", "github"], "GITHUB_EVENT_NAME is not set"),
    ],
)
def test_what_cannot_be_told_is_an_error_with_a_remedy(
    workspace: Repository, argv: list[str], said: str
) -> None:
    result = invoke(workspace.root, *argv, "--json")
    assert result.returncode == 2
    assert said in result.stderr
    assert "remedy: " in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["error"]["exit_code"] == 2
    assert workspace.git("status", "--porcelain", "--ignored=no") == ""


def test_a_shallow_clone_is_told_how_to_be_complete(workspace: Repository, tmp_path: Path) -> None:
    shallow = workspace.clone(tmp_path / "shallow", "--depth=1")
    result = invoke(shallow.root)
    assert result.returncode == 2
    assert "shallow clone" in result.stderr
    assert "git fetch --unshallow" in result.stderr
    assert invoke(shallow.root, "--event=tag:v1").ok
    shallow.git("fetch", "-q", "--unshallow")
    assert "app      yes" in invoke(shallow.root).stdout


def test_without_a_repository_it_says_so(workspace: Repository) -> None:
    result = invoke(workspace.without_git())
    assert result.returncode == 2
    assert "is in no Git repository" in result.stderr


def test_the_triggers_of_a_workspace_in_a_folder_are_of_that_folder(repository: Repository) -> None:
    base = repository.commit("voice/tasks.py", "main.py")
    commit = repository.commit("voice/main.py")
    inner = Repository(repository.root / "voice")
    found = decided(inner, push("refs/heads/main", commit, base))
    assert found["app"] == (True, "voice/main.py has changed")
    outside = repository.commit("main.py")
    assert not decided(inner, push("refs/heads/main", outside, commit))["app"][0]
