"""What a release writes down, and what it says of itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.names import VERSION_LABEL
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release import journal as journals
from bailing_tasks.release import summary
from bailing_tasks.release.journal import opened
from bailing_tasks.release.model import (
    PUSH,
    BuiltImage,
    Index,
    MovedTag,
    Plan,
    ReleaseTag,
    in_order,
)
from bailing_tasks.release.planning import release_tags, tags_of
from bailing_tasks.release.releasing import Release
from bailing_tasks.state import State
from bailing_tasks.tag_moves import BRANCH, LINE, OTHER, VERSION
from bailing_tasks.tag_names import LATEST
from bailing_tasks.tags import Facts, planned_tags
from bailing_tasks.tasks.asking import ask
from bailing_tasks.tasks.releasing import push_plan
from bailing_tasks.tasks.run import Run
from bailing_tasks.variants import Variant
from bailing_tasks.verified import passed_at, remember
from tests.unit.repository import Repository
from tests.unit.test_tags import event, settings

APP = settings().app
MAIN = event("push:main")


def tag(name: str, kind: str = BRANCH) -> ReleaseTag:
    return ReleaseTag(
        target="app",
        python="3.11",
        reference=Reference.parse(f"ghcr.io/owner/bailing:{name}"),
        kind=kind,
        rule=f"the rule of {name}",
        event=MAIN,
    )


def image(identity: str = "sha256:1", platform: str = "linux/amd64") -> BuiltImage:
    variant = Variant(target=APP, platform=Platform.parse(platform), python="3.11")
    return BuiltImage(
        variant=variant, name="localhost/x:fp-1", fingerprint="f" * 64, identity=identity
    )


PLAN = Plan(
    kind=PUSH,
    title="push of branch main",
    commit="c" * 40,
    images=(image(),),
    tags=(tag("main"), tag("latest", LATEST)),
    annotations={},
)


def test_a_journal_is_gone_on_with_until_it_has_ended(tmp_path: Path) -> None:
    state = State(tmp_path)
    first = opened(state, PLAN, {"ghcr.io/owner/bailing:main": "sha256:old"})
    first.add(journals.SEND, name="x:1", platform="linux/amd64")
    again = opened(State(tmp_path), PLAN, {})
    assert again.path == first.path
    # Where tags stood is what they stood for when it began.
    assert again.before["ghcr.io/owner/bailing:main"] == "sha256:old"
    assert [step["name"] for step in again.open_sends] == ["x:1"]
    again.add(journals.UPLOADED, name="x:1")
    assert again.open_sends == ()
    again.add(journals.TAG, name="m", digest="sha256:new", result="moved")
    assert again.tags["m"]["digest"] == "sha256:new"
    again.add(journals.UNDONE, name="m", digest="sha256:old")
    assert again.tags == {}
    again.add(journals.END)
    assert again.is_finished
    third = opened(State(tmp_path), PLAN, {"ghcr.io/owner/bailing:main": "sha256:newer"})
    assert third.path == first.path
    assert third.before["ghcr.io/owner/bailing:main"] == "sha256:newer"
    assert not third.is_finished


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, commit="d" * 40),
        replace(PLAN, images=(image("sha256:2"),)),
        replace(PLAN, tags=(tag("main"),)),
        replace(PLAN, title="push of tag v1"),
    ],
)
def test_another_release_has_another_journal(tmp_path: Path, other: Plan) -> None:
    state = State(tmp_path)
    assert opened(state, PLAN, {}).path != opened(state, other, {}).path
    assert len(journals.journals(state)) == 2
    assert journals.journals(state)[0].begun["title"] == other.title


def test_a_line_that_a_crash_cut_off_says_nothing(tmp_path: Path) -> None:
    state = State(tmp_path)
    journal = opened(state, PLAN, {})
    with journal.path.open("a") as file:
        file.write('{"step": "tag", "name": "ma')
    again = opened(state, PLAN, {})
    assert again.path == journal.path
    again.add(journals.END)
    (found,) = journals.journals(state)
    assert [step["step"] for step in found.steps] == ["begin", "end"]


@pytest.mark.parametrize(
    "line",
    [
        "null",
        "5",
        "[1]",
        "{}",
        "\0\0",
        '{"step": "end"}',
        '{"step": "tag", "at": "9"}',
        '{"step": "begin", "at": "9", "kind": "push"}',
        '{"step": "unknown", "at": "9"}',
    ],
)
def test_a_line_that_is_damaged_says_nothing(tmp_path: Path, line: str) -> None:
    state = State(tmp_path)
    journal = opened(state, PLAN, {})
    with journal.path.open("a") as file:
        file.write(f"{line}\n")
    assert opened(state, PLAN, {}).steps == journal.steps


def test_a_journal_of_another_version_is_named(tmp_path: Path) -> None:
    state = State(tmp_path)
    path = opened(state, PLAN, {}).path
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(UsageError, match="cannot be read") as caught:
        journals.journals(state)
    assert "another version" in caught.value.cause


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    state = State(tmp_path)
    path = opened(state, PLAN, {}).path
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read") as caught:
        opened(state, PLAN, {})
    assert "move it away" in caught.value.remedy


def test_a_closed_standard_input_is_nobody_to_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="nobody is there to be asked"):
        ask(Run(tmp_path), "all this?", yes=False, does="publishes")


def test_an_index_says_the_highest_of_the_versions_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository.new(tmp_path / "git", monkeypatch)
    commit = repository.commit("first")
    names = ("push:main", "tag:other", "tag:v1.0.9", "tag:v1.0.10", "tag:v1.0.10-rc.1")
    events = [replace(event(name), commit=commit) for name in names]
    root = replace(settings(), root=repository.root)
    plan = push_plan(root, dict.fromkeys(events, ()), [], replace=False)
    assert plan.annotations[VERSION_LABEL] == "v1.0.10"
    plan = push_plan(root, dict.fromkeys(events[:1], ()), [], replace=False)
    assert plan.annotations[VERSION_LABEL] == commit[:7]


def test_tags_move_in_the_order_of_their_kinds() -> None:
    kinds = [LATEST, LINE, BRANCH, OTHER, VERSION]
    found = in_order(tag(kind, kind) for kind in kinds)
    assert [each.kind for each in found] == [VERSION, OTHER, BRANCH, LINE, LATEST]


def test_the_tags_of_several_events_are_one_list() -> None:
    events = (event("push:main"), event("tag:v1.2.3"))
    planned = tags_of(events, lambda each: planned_tags(settings(), each, Facts()))
    found = release_tags(settings(), planned, {("app", "3.11")})
    assert [each.name for each in found] == [
        "ghcr.io/owner/bailing:1.2.3",
        "ghcr.io/owner/bailing:main",
        "ghcr.io/owner/bailing:latest",
    ]


def test_an_event_without_tags_is_no_error_beside_one_that_has_some() -> None:
    by_version = settings(app={"tags": ["{version}"]}, builder={"tags": ["{version}-b"]})

    def plan(text: str) -> list[str]:
        events = [event(each) for each in text.split()]
        found = tags_of(events, lambda each: planned_tags(by_version, each, Facts()))
        return [each.tag for made in found.values() for of in made for each in of.tags]

    assert plan("push:main tag:v1.2.3") == ["1.2.3-b", "1.2.3"]
    with pytest.raises(UsageError, match="makes no tag"):
        plan("push:main")
    wrong = settings(app={"tags": ["{verison}"]})
    with pytest.raises(SettingsError):
        tags_of([MAIN, MAIN], lambda each: planned_tags(wrong, each, Facts()))


def test_the_first_name_of_each_repository_is_pushed_to(tmp_path: Path) -> None:
    assert [each.repository for each in PLAN.repositories] == ["ghcr.io/owner/bailing"]


def _release(*tags: MovedTag) -> Release:
    index = Index(
        reference=Reference.parse(f"ghcr.io/owner/bailing@sha256:{'a' * 64}"),
        raw=b"",
        platforms={"linux/amd64": f"sha256:{'b' * 64}"},
        sizes={"linux/amd64": 80_000_000},
    )
    return Release(
        plan=replace(PLAN, title="push of branch a|b"),
        journal=Path("/w/.bailing-tasks/releases/x.jsonl"),
        indexes={("app", "3.11"): index},
        uploads=(),
        tags=tags,
    )


def moved(name: str, result: str, why: str = "") -> MovedTag:
    return MovedTag(
        target="app",
        python="3.11",
        name=f"ghcr.io/owner/bailing:{name}",
        kind=BRANCH,
        digest=f"sha256:{'a' * 64}",
        before="",
        result=result,
        why=why,
    )


def test_the_summary_says_what_to_pull_and_what_was_left() -> None:
    release = _release(moved("main", "moved"), moved("latest", "left", "it is later"))
    lines = list(summary.lines(release))
    assert lines[0] == "docker pull ghcr.io/owner/bailing:main"
    assert "  ghcr.io/owner/bailing:latest was left: it is later" in lines
    assert not any("latest" in line for line in lines if line.startswith("docker pull"))
    assert summary.rows(release) == (
        ("app (Python 3.11)", "linux/amd64", "80 MB", "sha256:" + "b" * 12),
    )
    text = summary.markdown(release)
    assert "## Release: push of branch a\\|b" in text
    assert "docker pull ghcr.io/owner/bailing:main" in text
    assert "docker pull ghcr.io/owner/bailing:latest" not in text
    assert f"| linux/amd64 | 80 MB | `sha256:{'b' * 64}` |" in text
    assert json.loads(json.dumps(summary.document(release)))["tags"][1]["result"] == "left"


def test_a_release_that_moved_nothing_has_nothing_to_pull_by_tag() -> None:
    release = _release(moved("latest", "left", "it is later"))
    assert not any(line.startswith("docker pull") for line in summary.lines(release))
    assert "```sh" not in summary.markdown(release)


def test_an_image_that_passed_is_remembered_for_these_checks(tmp_path: Path) -> None:
    state, checks = State(tmp_path), settings().verify
    assert passed_at(state, "sha256:1", checks) == ""
    remember(state, "sha256:1", checks)
    assert passed_at(state, "sha256:1", checks)
    assert passed_at(state, "sha256:2", checks) == ""
    assert passed_at(state, "sha256:1", replace(checks, port=1)) == ""
    state.write("verified.json", "[1]")
    assert passed_at(state, "sha256:1", checks) == ""
