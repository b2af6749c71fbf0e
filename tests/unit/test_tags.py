"""The tags that events publish images under."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bailing_tasks.configuration import resolve
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.events import Event
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings
from bailing_tasks.tag_moves import Standing
from bailing_tasks.tags import Facts, PlannedTag, TargetTags, planned_tags

COMMIT = "c0ffee1" + "0" * 33
OLD = "01d01d0" + "0" * 33
LONG = "feature/" + "x" * 192
FOLLOWS = Standing(revision=OLD, descends=True)


def settings(**document: Any) -> Settings:
    return resolve(
        Path("/w"),
        document={"repository": "ghcr.io/owner/bailing", **document},
        environment={},
        overrides={},
    )


def event(text: str) -> Event:
    kind, _, name = text.partition(":")
    if kind == "pr":
        return Event(
            name="pull_request", ref=f"refs/pull/{name}/merge", commit=COMMIT, base_branch="main"
        )
    if kind == "tag":
        return Event(name="push", ref=f"refs/tags/{name}", commit=COMMIT)
    return Event(name=kind, ref=f"refs/heads/{name}", commit=COMMIT)


def planned(text: str, facts: Facts | None = None, **document: Any) -> dict[str, TargetTags]:
    facts = facts or Facts(latest={"builder": FOLLOWS, "app": FOLLOWS}, date="20240131")
    return {each.target: each for each in planned_tags(settings(**document), event(text), facts)}


def texts(tags: TargetTags) -> list[str]:
    return [each.tag for each in tags.tags]


def one(text: str, pattern: str, facts: Facts | None = None, **document: Any) -> PlannedTag:
    """Return the app's only tag, by one pattern."""
    document["app"] = {"tags": [pattern]}
    document["builder"] = {"tags": []}
    (tag,) = planned(text, facts, **document)["app"].tags
    return tag


@pytest.mark.parametrize(
    ("text", "builder", "app"),
    [
        ("push:main", "latest main-builder", "latest main"),
        ("schedule:main", "latest main-builder", "latest main"),
        ("workflow_dispatch:main", "latest main-builder", "latest main"),
        ("push:topic", "topic-builder", "topic"),
        ("push:feature/x", "feature-x-builder", "feature-x"),
        (
            "push:dependabot/npm/@x/y-2.1",
            "dependabot-npm-x-y-2.1-builder",
            "dependabot-npm-x-y-2.1",
        ),
        ("push:a/b@c#d", "a-b-c-d-builder", "a-b-c-d"),
        ("push:-x", "x-builder", "x"),
        ("push:.x", "x-builder", "x"),
        ("push:@x", "x-builder", "x"),
        ("push:_x", "_x-builder", "_x"),
        ("tag:v1.2.3", "latest builder-1.2.3", "latest 1.2.3"),
        ("tag:1.2.3", "latest builder-1.2.3", "latest 1.2.3"),
        ("tag:v1.2.3-rc.1", "builder-1.2.3-rc.1", "1.2.3-rc.1"),
        ("tag:v1.2.3+build.5", "latest builder-1.2.3", "latest 1.2.3"),
        ("pr:12", "", ""),
        ("push:latest", "latest-builder", "branch-latest"),
        ("push:1.2.3", "1.2.3-builder", "branch-1.2.3"),
        ("push:v1.2.3", "v1.2.3-builder", "v1.2.3"),
        ("push:builder-1.2.3", "branch-builder-1.2.3-builder", "builder-1.2.3"),
        ("push:fp-0123456789abcdef", "fp-0123456789abcdef-builder", "branch-fp-0123456789abcdef"),
        ("push:cache-x", "branch-cache-x-builder", "branch-cache-x"),
    ],
)
def test_each_event_has_its_tags(text: str, builder: str, app: str) -> None:
    found = planned(text)
    assert (texts(found["builder"]), texts(found["app"])) == (builder.split(), app.split())


def test_a_long_branch_is_cut_and_its_suffix_stays() -> None:
    found = planned(f"push:{LONG}", python=["3.11", "3.12"])
    builder, app = found["builder"].tags, found["app"].tags
    assert [len(each.tag) for each in (*builder, *app)] == [128] * 4
    start = "feature-" + "x" * 90
    for each, suffix in zip(
        (*builder, *app), ("-builder", "-builder-py3.12", "", "-py3.12"), strict=True
    ):
        assert each.tag.startswith(start)
        assert each.tag.endswith(suffix)
        assert each.tag.removesuffix(suffix)[-9] == "-"
        assert each.rule.endswith("cut to 128 characters, with a hash")
    other = planned(f"push:{LONG}y")["app"]
    assert other.tags[0].tag != app[0].tag


def test_the_rule_of_a_tag_is_told() -> None:
    latest, version = (each.rule for each in planned("tag:v1.2.3")["builder"].tags)
    assert latest == "latest: a stable version, v1.2.3"
    assert version == "builder-{version}: version 1.2.3 of the Git tag v1.2.3"
    assert planned("push:main")["app"].tags[0].rule == "latest: the default branch main"
    assert planned("push:@x/y")["app"].tags[0].rule == (
        "{branch}: the branch @x/y; - for what no tag may hold; no tag begins with . or -"
    )
    assert planned("push:latest")["app"].tags[0].rule == (
        "{branch}: the branch latest; latest is kept for others"
    )


@pytest.mark.parametrize(
    ("pattern", "text", "tag", "made_of"),
    [
        ("{major}.{minor}", "tag:v2.3.4", "2.3", "version 2.3.4 of the Git tag v2.3.4"),
        (
            "{major}.{minor}",
            "tag:v2.0.0-rc.1",
            "2.0.0-rc.1",
            "version 2.0.0-rc.1 of the Git tag v2.0.0-rc.1, whole: it is not stable",
        ),
        (
            "py-{major}-x",
            "tag:v2.0.0-rc.1",
            "py-2.0.0-rc.1-x",
            "version 2.0.0-rc.1 of the Git tag v2.0.0-rc.1, whole: it is not stable",
        ),
        ("{major}.{minor}.{patch}-{sha}", "tag:v2.3.4", "2.3.4-c0ffee1", "version 2.3.4 of"),
        ("{tag}", "tag:nightly", "nightly", "the Git tag nightly"),
        ("{tag}", "tag:app-v1.2.3", "app-v1.2.3", "the Git tag app-v1.2.3"),
        ("{tag}", "tag:latest", "tag-latest", "the Git tag latest; latest is kept for others"),
        ("sha-{sha}", "push:main", "sha-c0ffee1", "commit c0ffee1"),
        ("{date}", "push:main", "20240131", "commit c0ffee1"),
        ("{branch}-{date}-{sha}", "push:a/b", "a-b-20240131-c0ffee1", "the branch a/b; - for"),
        ("pr-{number}", "pr:12", "pr-12", "pull request 12"),
        ("sha-{sha}", "pr:12", "sha-c0ffee1", "commit c0ffee1"),
        ("nightly", "push:main", "nightly", "whatever is pushed"),
        ("x-{branch}", "push:.y", "x-.y", "the branch .y"),
        ("{version}", "tag:v1.2.3-py3.12", "1.2.3-py3.12-e118ee31", "version 1.2.3-py3.12 of"),
    ],
)
def test_a_pattern_says_what_a_tag_is_made_of(
    pattern: str, text: str, tag: str, made_of: str
) -> None:
    found = one(text, pattern)
    assert (found.tag, found.python) == (tag, "3.11")
    assert found.rule.startswith(f"{pattern}: {made_of}")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("1.2", "1.2"),
        ("v1.2.0rc1", "1.2.0rc1"),
        ("1!2.0+a.1", "1-2.0-a.1"),
        ("1.2post1", "1.2.post1"),
    ],
)
def test_versions_may_be_those_of_python(text: str, tag: str) -> None:
    assert one(f"tag:{text}", "{version}", versions="pep440").tag == tag


@pytest.mark.parametrize("branch", ["2024", "1.2", "1.2rc1", "1.2.post1.dev2"])
def test_no_branch_looks_like_a_version_of_python(branch: str) -> None:
    found = planned(f"push:{branch}", versions="pep440")["app"]
    assert texts(found) == [f"branch-{branch}"]


def test_further_pythons_have_tags_of_their_own() -> None:
    found = planned("push:main", python=["3.11", "3.12"])
    assert texts(found["app"]) == ["latest", "main", "latest-py3.12", "main-py3.12"]
    assert [each.python for each in found["app"].tags] == ["3.11", "3.11", "3.12", "3.12"]
    (tag,) = planned("push:main-py3.12")["app"].tags
    assert tag.tag.startswith("main-py3.12-")
    assert tag.rule.endswith("with a hash: its end is kept for another Python")


@pytest.mark.parametrize(
    ("branch", "hashed", "whose"),
    [
        ("a/b", True, "the branch a-b"),
        ("a-b", False, ""),
        ("c/d", True, "the branch c@d"),
        ("c@d", True, "the branch c/d"),
        ("e/f", False, ""),
        ("branch-1.2.3", False, ""),
        ("1.2.3", True, "the branch branch-1.2.3"),
        ("功能", True, ""),
        ("feature/功能", True, "the branch feature/修复"),
    ],
)
def test_branches_do_not_meet_in_a_tag(branch: str, hashed: bool, whose: str) -> None:
    branches = "main a/b a-b c/d c@d e/f branch-1.2.3 1.2.3 功能 修复 feature/功能 feature/修复"
    facts = Facts(branches=branches.split())
    found = planned(f"push:{branch}", facts)["app"].tags[0]
    assert (found.tag[-9:-8] == "-" and len(found.tag) > 9) == hashed
    assert ("with a hash: " in found.rule) == bool(whose)
    assert found.rule.endswith(f"{whose} has that tag" if whose else found.rule[-1])


def test_git_tags_and_branches_do_not_meet_either() -> None:
    facts = Facts(branches=["main", "x", "y/z"], tags=["x", "y-z", "a/b", "a-b"])
    both = {"app": {"tags": ["{tag}", "{branch}"]}}
    assert texts(planned("tag:x", facts, **_without_builder(both))["app"]) == ["x"]
    assert texts(planned("push:x", facts, **_without_builder(both))["app"])[0].startswith("x-")
    assert texts(planned("push:y/z", facts, **_without_builder(both))["app"])[0].startswith("y-z-")
    assert texts(planned("tag:a/b", facts, **_without_builder(both))["app"])[0].startswith("a-b-")
    assert texts(planned("tag:a-b", facts, **_without_builder(both))["app"]) == ["a-b"]


def _without_builder(document: dict[str, Any]) -> dict[str, Any]:
    return {"builder": {"tags": []}, **document}


def test_a_git_tag_may_be_called_as_its_version() -> None:
    patterns = {"app": {"tags": ["{version}", "{major}.{minor}", "{tag}"]}}
    found = planned("tag:1.2.3", **_without_builder(patterns))["app"]
    assert texts(found) == ["1.2.3", "1.2"]
    assert texts(planned("tag:1.2", **_without_builder(patterns))["app"]) == ["tag-1.2"]


def test_a_branch_does_not_look_like_a_part_of_a_version() -> None:
    patterns = {"app": {"tags": ["{major}.{minor}", "{branch}"]}}
    for branch in ("1.2", "2.0.0-rc.1"):
        found = planned(f"push:{branch}", **_without_builder(patterns))["app"]
        assert texts(found) == [f"branch-{branch}"]


def test_the_first_pattern_is_the_rule_of_a_tag() -> None:
    patterns = {"app": {"tags": ["{version}", "{major}.{minor}"]}}
    (tag,) = planned("tag:v2.0.0-rc.1", **_without_builder(patterns))["app"].tags
    assert tag.rule == "{version}: version 2.0.0-rc.1 of the Git tag v2.0.0-rc.1"


def test_what_is_cut_out_of_several_names_still_fits() -> None:
    tag = one(f"push:{LONG}", "{branch}-{branch}").tag
    assert len(tag) == 127
    assert "--" not in one("push:y" + "x-" * 100, "{branch}").tag


def test_a_name_that_people_follow_is_not_for_a_pull_request() -> None:
    found = planned("pr:12", builder={"tags": ["nightly"]}, app={"tags": ["pr-{number}"]})
    assert (texts(found["builder"]), texts(found["app"])) == ([], ["pr-12"])


def test_two_images_of_one_repository_do_not_meet() -> None:
    one = {"repository": "ghcr.io/owner/bailing"}
    apart = {
        "builder": {**one, "tags": ["{branch}-builder"]},
        "app": {**one, "tags": ["latest", "{branch}"]},
    }
    facts = Facts(branches=["main", "x", "x-builder"])
    assert texts(planned("push:x", facts, **apart)["builder"]) == ["x-builder"]
    (tag,) = planned("push:x-builder", facts, **apart)["app"].tags
    assert tag.tag.startswith("x-builder-")
    with pytest.raises(SettingsError, match=r"builder \(Python 3.11\) and app .*bailing:latest"):
        planned("push:main", builder=one, app=one)


def test_a_pattern_does_not_give_two_pythons_one_tag() -> None:
    patterns = ["{branch}", "{branch}-py3.12"]
    with pytest.raises(SettingsError, match=r"Python 3\.12") as caught:
        planned("push:x", python=["3.11", "3.12"], app={"tags": patterns})
    assert "app.tags" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "standing", "moves", "why"),
    [
        ("push:main", None, None, "no registry was asked"),
        ("push:main", FOLLOWS, True, "yes: main is the default branch, and it stands at commit"),
        ("push:main", Standing(), True, "yes: main is the default branch, and there is no latest"),
        ("push:main", Standing(revision=""), True, "does not say its commit"),
        ("push:main", Standing(revision=COMMIT, descends=True), True, "c0ffee1, this one"),
        ("push:main", Standing(revision=OLD, descends=False), False, "no: it stands at commit 01d"),
        ("push:main", Standing(revision=OLD), False, "which this clone does not have"),
        ("push:main", Standing(unknown="no network"), None, "decided when it is pushed: main is"),
        ("push:x", FOLLOWS, False, "no: x is not the default branch (main)"),
        ("tag:v1.2.3", FOLLOWS, True, "yes: the Git tag v1.2.3 is a stable version, and"),
        ("tag:v1.2.3", Standing(revision=OLD, descends=False), False, "does not descend from that"),
        ("tag:v1.2.3-rc.1", FOLLOWS, False, "no: 1.2.3-rc.1 is not a stable version"),
        ("pr:12", FOLLOWS, False, "no: a pull request never moves it, and nothing is pushed"),
    ],
)
def test_latest_only_moves_forward(
    text: str, standing: Standing | None, moves: bool | None, why: str
) -> None:
    facts = Facts(latest={"builder": standing, "app": standing} if standing else {})
    for found in planned(text, facts).values():
        assert why in found.latest
        assert ("latest" in texts(found)) == (moves is not False)
        assert any(each.undecided for each in found.tags) == (moves is None)


@pytest.mark.parametrize(
    ("text", "tags", "moves", "why"),
    [
        ("tag:v1.10.0", ["v1.9.0", "v1.10.0", "v2.0.0-rc.1"], True, "is the highest stable"),
        ("tag:v1.9.1", ["v1.9.0", "v1.10.0"], False, "no: v1.10.0 is a higher version than v1.9.1"),
        ("tag:v1.9.1", None, False, "this clone may lack Git tags"),
        ("tag:v1.9.1", [], True, "is the highest stable"),
        ("tag:v1.9.1-rc.1", [], False, "not a stable version"),
        ("push:main", ["v1.9.0"], False, "no: it stands for the highest stable version"),
    ],
)
def test_latest_may_follow_the_highest_version(
    text: str, tags: list[str] | None, moves: bool, why: str
) -> None:
    for found in planned(text, Facts(tags=tags), latest="version").values():
        assert why in found.latest
        assert ("latest" in texts(found)) == moves
        if moves:
            assert found.tags[0].rule == "latest: the highest stable version, " + text[4:]


@pytest.mark.parametrize("ref", ["refs/heads/x", "refs/tags/v1.2.3"])
def test_what_was_deleted_gets_no_tag(ref: str) -> None:
    gone = Event(name="push", ref=ref, commit="")
    for found in planned_tags(settings(app={"tags": ["{branch}", "nightly"]}), gone, Facts()):
        assert texts(found) == []
    assert planned_tags(settings(), gone, Facts())[0].latest.endswith("and nothing is pushed")


def test_latest_is_not_for_every_target() -> None:
    found = planned("push:main", app={"tags": ["{branch}"]})["app"]
    assert texts(found) == ["main"]
    assert found.latest == "no: it is not among app.tags"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tag:nightly", "the Git tag nightly makes no tag by builder.tags and app.tags"),
        ("tag:app-v1.2.3", "name the Git tag as a version, such as v1.2.3, or add a pattern"),
        ("tag:1.2", "it is no version (semver)"),
    ],
)
def test_a_git_tag_that_makes_no_tag_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(text)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("push:x", "the branch x makes no tag by app.tags"),
        ("tag:v1.2.3", "no pattern there takes a version like this"),
    ],
)
def test_an_event_that_makes_no_tag_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(text, builder={"tags": []}, app={"tags": ["{tag}-{branch}"]})
    assert said in str(caught.value)


def test_a_late_run_has_nothing_to_push() -> None:
    late = {"app": Standing(revision=OLD, descends=False)}
    found = planned("push:main", Facts(latest=late), builder={"tags": []}, app={"tags": ["latest"]})
    assert texts(found["app"]) == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{verson}", "perhaps you meant {version}"),
        ("{qqqq}", "there are {version}, {major}"),
        ("{}", "is no placeholder"),
        ("", "it is empty"),
        ("x/{branch}", "a tag may not hold what stands in it"),
        ("{branch", "a tag may not hold what stands in it"),
        ("-{branch}", "a tag may not begin with . or -"),
        (".x", "a tag may not begin with . or -"),
        ("{branch}" + "x" * 110, "a tag has at most 128 characters"),
        ("x" * 129, "a tag has at most 128 characters"),
        ("cache-{branch}", "kept for images by fingerprint and for caches"),
        ("fp-0123456789abcdef", "kept for images by fingerprint and for caches"),
    ],
)
def test_a_pattern_that_makes_no_tag_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r"app\.tags") as caught:
        planned("push:main", app={"tags": [pattern]})
    assert said in str(caught.value)


NAMES = st.text(
    st.sampled_from("abAB01._-/@#+é功") | st.characters(codec="utf-8", exclude_categories=["Cc"]),
    min_size=1,
    max_size=200,
) | st.sampled_from(["latest", "1.2.3", "x-builder", "x", "a/b", "a-b", "1.2", "nightly", "main"])
PATTERNS = st.sampled_from(
    [
        "latest",
        "{branch}",
        "{branch}-builder",
        "x-{branch}",
        "{branch}-{sha}",
        "{version}",
        "nightly",
    ]
)


@hypothesis_settings(deadline=None)  # other work on the machine is no failure
@given(
    branches=st.lists(NAMES, min_size=2, max_size=6, unique=True),
    builder=st.lists(PATTERNS, max_size=3, unique=True),
    app=st.lists(PATTERNS, max_size=3, unique=True),
    together=st.booleans(),
)
def test_branches_never_share_a_tag(
    branches: list[str], builder: list[str], app: list[str], together: bool
) -> None:
    document: dict[str, Any] = {
        "python": ["3.11", "3.12"],
        "default-branch": branches[0],
        "builder": {"tags": ["{branch}-b", *builder], "repository": "example.com/b"},
        "app": {
            "tags": ["{branch}-a", *app],
            "repository": "example.com/b" if together else "example.com/a",
        },
    }
    owner: dict[tuple[str, str], tuple[str, str, str]] = {}
    for branch in branches:
        try:
            found = planned(f"push:{branch}", Facts(branches=branches), **document)
        except SettingsError:
            if not together:
                raise
            return
        for name, target in found.items():
            assert len(set(texts(target))) == len(target.tags)
            for each in target.tags:
                assert Reference.parse(f"image:{each.tag}").tag == each.tag
                if not each.rule.startswith("nightly"):
                    key = (document[name]["repository"], each.tag)
                    place = (name, each.python, branch)
                    assert owner.setdefault(key, place) == place


@hypothesis_settings(deadline=None)  # other work on the machine is no failure
@given(
    names=st.lists(st.tuples(st.sampled_from(["push", "tag"]), NAMES), min_size=2, unique=True),
    patterns=st.permutations(["{branch}", "{tag}", "x-{tag}"]),
)
def test_git_tags_and_branches_never_share_a_tag(
    names: list[tuple[str, str]], patterns: list[str]
) -> None:
    facts = Facts(
        branches=[name for kind, name in names if kind == "push"],
        tags=[name for kind, name in names if kind == "tag"],
    )
    owner: dict[str, tuple[str, str]] = {}
    for kind, name in names:
        found = planned(f"{kind}:{name}", facts, builder={"tags": []}, app={"tags": patterns})
        for tag in texts(found["app"]):
            assert Reference.parse(f"image:{tag}").tag == tag
            assert owner.setdefault(tag, (kind, name)) == (kind, name)
