"""GitHub's filter patterns: the examples of its own cheat sheet, and what they leave open."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks import triggers
from bailing_tasks.configuration import resolve
from bailing_tasks.errors import SettingsError, UsageError

TAKEN = {
    "feature/*": "feature/my-branch feature/your-branch",
    "feature/**": "feature/beta-a/my-branch feature/your-branch feature/mona/the/octocat",
    "main": "main",
    "releases/mona-the-octocat": "releases/mona-the-octocat",
    "*": "main releases README.md server.rb .hidden",
    "**": "all/the/branches every/tag all/the/files.md",
    "*feature": "mona-feature feature ver-10-feature",
    "v2*": "v2 v2.0 v2.9",
    "v[12].[0-9]+.[0-9]+": "v1.10.1 v2.0.0",
    "releases/**-alpha": "releases/10-alpha releases/beta/3-alpha releases/-alpha",
    "*.jsx?": "page.js page.jsx",
    "*.js": "app.js index.js",
    "**.js": "index.js js/index.js src/js/app.js",
    "docs/*": "docs/README.md docs/file.txt",
    "docs/**": "docs/README.md docs/mona/octocat.txt",
    "docs/**/*.md": "docs/README.md docs/mona/hello-world.md docs/a/markdown/file.md",
    "**/docs/**": "docs/hello.md dir/docs/my-file.txt space/docs/plan/space.doc",
    "**/README.md": "README.md js/README.md a/b/README.md",
    "**/*src/**": "a/src/app.js my-src/code/js/app.js",
    "**/*-post.md": "my-post.md path/their-post.md",
    "**/migrate-*.sql": "migrate-10909.sql db/migrate-v1.0.sql db/sept/migrate-v1.sql",
    "[CB]at": "Cat Bat",
    "[1-2]00": "100 200",
    "[0-9a-z]": "7 x",
    "Octoc?t": "Octoct Octot",
    "a[bc]?d": "abd acd ad",
    "a[bc]+": "ab acbcb",
    "***": "a a/b",
    "bailing/**": "bailing/main.py bailing/a/b.py bailing/",
    r"a\*b": "a*b",
    r"a\\b": "a\\b",
    r"\!x": "!x",
    r"\[x]": "[x]",
    r"x\++": "x+ x++",
    "!README.md": "README.md",
    "a!b": "a!b",
    "ä/ß?": "ä/ß ä/",
}
NOT_TAKEN = {
    "feature/*": "feature/a/b feature feature/a/ Feature/a",
    "feature/**": "feature my/feature/a",
    "main": "main2 amain Main my/main",
    "*": "a/b docs/file.txt",
    "v2*": "v2/x av2",
    "v[12].[0-9]+.[0-9]+": "v3.0.0 v1..0 v1.0 v1.0.0-rc1 v1x0.0",
    "releases/**-alpha": "releases/10-beta releases/10-alpha/x",
    "*.jsx?": "page.jsxx page.ts js/page.js",
    "*.py": "src/main.py .python main.pyc",
    "**.js": "index.jsx",
    "docs/*": "docs/a/b.txt my/docs/a",
    "docs/**/*.md": "docs/a.txt other/docs/a.md",
    "**/docs/**": "docs mydocs/a docs2/a",
    "**/README.md": "MY-README.md readme.md a/README.md/b",
    "**/*-post.md": "post.md",
    "**/migrate-*.sql": "migrate-a/b.sql db/xmigrate-1.sql",
    "[CB]at": "cat at CBat",
    "[1-2]00": "300 00",
    "Octoc?t": "Octocct",
    "a[bc]+": "a abd",
    "bailing/**": "bailing bailing2/x bailing.py",
    r"a\*b": "axb ab",
    "./main.py": "main.py",
    "/main.py": "main.py",
    "!README.md": "!README.md",
    ".yml": "ayml",
}


@pytest.mark.parametrize(
    ("pattern", "text"), [(p, text) for p, texts in TAKEN.items() for text in texts.split()]
)
def test_a_pattern_takes(pattern: str, text: str) -> None:
    assert triggers.matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"), [(p, text) for p, texts in NOT_TAKEN.items() for text in texts.split()]
)
def test_a_pattern_does_not_take(pattern: str, text: str) -> None:
    assert not triggers.matches(pattern, text)


def slowly(pattern: str) -> str:
    """Return a pattern as a regular expression, one rule after the other."""
    rules: list[tuple[str, Callable[[str], str]]] = [
        (r"\*\*/", lambda _: "(?:.*/)?"),
        (r"\*\*", lambda _: ".*"),
        (r"\*", lambda _: "[^/]*"),
        (r"\[[^]]+\]", lambda found: found),
        (r"[?+]", lambda found: found),
        (r"\\.", lambda found: re.escape(found[1])),
        (r".", re.escape),
    ]
    out = ""
    while pattern:
        rule, meaning = next(each for each in rules if re.match(each[0], pattern))
        found = re.match(rule, pattern)
        assert found
        out += meaning(found[0])
        pattern = pattern[found.end() :]
    return out


PART = st.sampled_from(
    ["*", "**", "**/", "/", "a", "b", ".", "a?", "b+", "[ab]", "[a-c]+", "[0-9]?", r"\*", r"\+?"]
)


@given(st.lists(PART, min_size=1, max_size=7), st.text("ab/.1*+", max_size=9))
def test_every_pattern_takes_what_its_rules_say(parts: list[str], text: str) -> None:
    pattern = "".join(parts)
    expected = re.fullmatch(slowly(pattern), text) is not None
    assert triggers.matches(pattern, text) == expected


def test_no_pattern_takes_long() -> None:
    started = time.monotonic()
    assert not triggers.matches("**a" * 30 + "b", "a" * 2000)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "it is empty"),
        ("!", "it is empty"),
        ("?a", "no character stands before a ?"),
        ("!+a", "no character stands before a +"),
        ("*?", "no character stands before a ?"),
        ("a/**/+", "no character stands before a +"),
        ("a?+", "no character stands before a +"),
        ("a[bc", "a [ is never closed"),
        ("a[]", "nothing stands between"),
        ("a[b-]", "[b-] lists more"),
        ("a[z-a]", "[z-a] lists more"),
        ("a[a-Z]", "[a-Z] lists more"),
        ("a[^a]", "[^a] lists more"),
        ("a[!a]", "[!a] lists more"),
        ("a[a.]", "[a.] lists more"),
        ("a[ä]", "[ä] lists more"),
        ("a\\", "behind its last backslash"),
    ],
)
def test_a_malformed_pattern_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(UsageError, match="no pattern as GitHub writes them") as caught:
        triggers.check(["a", pattern])
    assert said in caught.value.cause


def test_what_is_excluded_has_to_be_included_before() -> None:
    triggers.check([])
    triggers.check(["docs/**", "!docs/a"])
    with pytest.raises(UsageError, match="'!docs/a' excludes something"):
        triggers.check(["!docs/a", "docs/**"])


@pytest.mark.parametrize(
    "key", ["builder.triggers", "app.triggers", "ci.branches", "ci.tags", "ci.pull-requests"]
)
def test_a_malformed_pattern_in_the_settings_is_told_with_its_place(key: str) -> None:
    section, _, name = key.partition(".")
    with pytest.raises(SettingsError, match=key):
        resolve(Path("/w"), document={section: {name: ["a["]}}, environment={}, overrides={})
    variable = f"BAILING_TASKS_{key.upper().replace('.', '_').replace('-', '_')}"
    with pytest.raises(SettingsError, match=variable):
        resolve(Path("/w"), document={}, environment={variable: "a, !"}, overrides={})


LIST = ("*.md", "!README.md", "README*")


@pytest.mark.parametrize(
    ("patterns", "text", "pattern", "included"),
    [
        (LIST[:2], "hello.md", "*.md", True),
        (LIST[:2], "README.md", "!README.md", False),
        (LIST[:2], "docs/hello.md", None, False),
        (LIST, "hello.md", "*.md", True),
        (LIST, "README.md", "README*", True),
        (LIST, "README.doc", "README*", True),
        ((), "main", None, False),
        (("**", "!wip/**"), "wip/a", "!wip/**", False),
    ],
)
def test_the_last_pattern_that_matches_decides(
    patterns: tuple[str, ...], text: str, pattern: str | None, included: bool
) -> None:
    assert triggers.deciding(patterns, text) == pattern
    assert triggers.includes(patterns, text) == included


MANY = [f"docs/{number}" for number in range(301)]


@pytest.mark.parametrize(
    ("files", "paths", "commits", "runs", "file", "pattern", "reason"),
    [
        (["a.md", "main.py"], ["main.py", "lib/**"], 1, True, "main.py", "main.py", "has changed"),
        (["README.md", "x.md"], LIST[:2], 1, True, "x.md", "*.md", "x.md has changed"),
        (["a", "README.md", "README.md"], LIST[:2], 1, False, "README.md", "!README.md", "exclu"),
        (["docs/a", "docs/b"], ["main.py"], 1, False, "", "", "no pattern takes"),
        ([], ["**"], 1, False, "", "", "no file has changed"),
        (["docs/a"], [], 1, True, "", "", "no pattern limits"),
        (MANY[:300], ["main.py"], 1000, False, "", "", "no pattern takes"),
        (MANY, ["main.py"], 1, False, "", "", "no pattern takes"),
        ([*MANY, "main.py"], ["main.py"], 1, True, "main.py", "main.py", "main.py has changed"),
        (MANY[:1], ["main.py"], 1001, True, "", "", "more than 1000 commits (1001)"),
        ([], ["main.py"], 1001, False, "", "", "no file has changed"),
    ],
)
def test_one_included_file_is_enough(
    files: list[str],
    paths: list[str],
    commits: int,
    runs: bool,
    file: str,
    pattern: str,
    reason: str,
) -> None:
    found = triggers.decide(files, paths=paths, commits=commits)
    assert (found.runs, found.file, found.pattern) == (runs, file, pattern)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("files", "ignored", "runs", "file", "pattern"),
    [
        (["docs/a", "README.md"], ["docs/**", "*.md"], False, "docs/a", "docs/**"),
        (["docs/a", "main.py"], ["docs/**", "*.md"], True, "main.py", ""),
        (["docs/a", "docs/b"], ["docs/**", "!docs/b"], True, "docs/b", "!docs/b"),
        ([], ["docs/**"], False, "", ""),
    ],
)
def test_paths_ignore_skips_only_what_is_ignored_as_a_whole(
    files: list[str], ignored: list[str], runs: bool, file: str, pattern: str
) -> None:
    found = triggers.decide(files, paths_ignore=ignored)
    assert (found.runs, found.file, found.pattern) == (runs, file, pattern)


def test_paths_and_paths_ignore_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        triggers.decide(["a"], paths=["a"], paths_ignore=["b"])
