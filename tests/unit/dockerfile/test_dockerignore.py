"""``.dockerignore`` and COPY's patterns follow Moby's rules."""

from __future__ import annotations

import pytest

from bailing_tasks.dockerfile.dockerignore import DockerIgnore, matches_source
from bailing_tasks.errors import UsageError


@pytest.mark.parametrize(
    ("text", "path", "ignored"),
    [
        ("", "a", False),
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("a", "b/a", False),
        ("a", "ab", False),
        ("*.go", "a.go", True),
        ("*.go", "d/a.go", False),
        ("*/a", "d/a", True),
        ("*/a", "d/e/a", False),
        ("a/*/b", "a/x/b/y", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("**", "a/b", True),
        ("**/", "a", True),
        ("**/*.go", "a.go", True),
        ("**/*.go", "d/e/a.go", True),
        ("**/foo", "foo", True),
        ("**/foo", "a/b/foo", True),
        ("**/foo", "afoo", False),
        ("**foo", "xfoo", True),
        ("**foo", "a/xfoo", True),
        ("**/a.b", "xaab", False),
        ("dir/**", "dir/a", True),
        ("dir/**", "dir", False),
        ("abc**", "abcd/e", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/xb", False),
        ("a*/**", "ab/c", True),
        ("**/a/**", "x/a/y", True),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("[a\\]b]", "]", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("a.b", "axb", False),
        ("/a", "a", True),
        ("./a/../b", "b", True),
        ("a/", "a/b", True),
        ("# a", "# a", False),
        ("  a\t", "a", True),
        ("\u2003a", "a", True),
        ("a\r\nb\r\n", "b", True),
        ("\ufeffa", "a", True),
        ("/", "a", False),
        ("*\n!a", "a", False),
        ("*\n!a", "b", True),
        ("*\n! a", "a", False),
        ("*\n!/a", "a", False),
        ("*\n!a/b", "a/b", False),
        ("*\n!a/b", "a/c", True),
        ("a\n!a/b\na/b/c", "a/b/c", True),
        ("a\n!a/b\na/b/c", "a/b/d", False),
        ("!a\na", "a", True),
        # As the walk goes: at the folder the exception could change nothing, so it was not tried.
        ("a/b\n!a", "a/b", True),
        ("**/*.md\n!README.md", "README.md", False),
        ("**/*.md\n!README.md", "docs/README.md", True),
    ],
)
def test_a_path_is_ignored(text: str, path: str, ignored: bool) -> None:
    assert DockerIgnore.parse(text).ignores(path) is ignored


@pytest.mark.parametrize(
    "text", ["!", "! ", "!/", "!//", "[", "a[", "[]", "[]a]", "[^]", "[a-]", "[b-a]", "a\\"]
)
def test_a_malformed_pattern_is_refused_with_cause_and_remedy(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        DockerIgnore.parse(text)
    assert caught.value.cause
    assert caught.value.remedy


def test_many_paths_of_one_folder_agree_with_each_alone() -> None:
    text = "*\n!src\nsrc/**/*.pyc\n!src/keep.pyc"
    paths = ["src/a.py", "src/a.pyc", "src/keep.pyc", "src/d/e.pyc", "x", "src"]
    rules = DockerIgnore.parse(text)
    assert [rules.ignores(path) for path in paths] == [
        DockerIgnore.parse(text).ignores(path) for path in paths
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        (".", "a/b", True),
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("a", "ab", False),
        ("a/b", "a", False),
        ("*.py", "a.py", True),
        ("*.py", "d/a.py", False),
        ("*", "d/a", True),
        ("d/*", "d/e/f", True),
        ("d/?", "d/ab", False),
        ("[ab]*", "ba", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("d/**/x", "d/x", True),
        ("d/**/x", "d/e/f/x", True),
        ("[", "[", False),
    ],
)
def test_a_source_reads_a_file(pattern: str, path: str, matches: bool) -> None:
    assert matches_source(pattern, path) is matches
