"""What a build reads of its context, as GitHub's `paths`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks import github_paths, triggers
from bailing_tasks.dockerfile.dockerignore import matches_source

FOLDERS = {"src": True, "main.py": False, "a b": False}


@pytest.mark.parametrize(
    ("context", "source", "expected"),
    [
        (".", ".", ["**"]),
        ("docker/app", ".", ["docker/app/**"]),
        (".", "main.py", ["main.py"]),
        (".", "src", ["src/**"]),
        (".", "a b", ["a b"]),
        ("docker/[app]", "main.py", [r"docker/\[app\]/main.py"]),
        (".", "gone", ["gone", "gone/**"]),
        (".", "main.p[y]", ["main.py"]),
        (".", r"main\.py", ["main.py"]),
        (".", r"\*", [r"\*", r"\*/**"]),
        (".", "+!", [r"\+\!", r"\+\!/**"]),
        (".", "*.lock", ["*.lock", "*.lock/**"]),
        (".", "requirements*.loc[k]", ["requirements*.lock", "requirements*.lock/**"]),
        (".", "src/*", ["src/**"]),
        (".", "*", ["**"]),
        (".", "d/?x", ["d/*x", "d/*x/**"]),
        (".", "d/??*x", ["d/*x", "d/*x/**"]),
        (".", "lib[0-9a]/x", ["lib[0-9a]/x", "lib[0-9a]/x/**"]),
        (".", "lib[^0-9]/x", ["lib*/x", "lib*/x/**"]),
        (".", "lib[_]/x", ["lib*/x", "lib*/x/**"]),
        (".", "d/**/x", ["d/**/x", "d/**/x/**"]),
        (".", "d/**", ["d/**"]),
        (".", "a[", []),
        (".", "a\\", []),
    ],
)
def test_a_source_becomes_patterns(context: str, source: str, expected: list[str]) -> None:
    assert github_paths.of_source(context, source, lambda path: FOLDERS.get(path)) == expected


@given(
    st.text("ab/.*?[]^-\\+!", max_size=8).map(lambda text: text.strip("/")),
    st.text("ab/.*?[]^-\\+!", min_size=1, max_size=8),
)
def test_what_a_source_takes_its_patterns_take(source: str, path: str) -> None:
    patterns = github_paths.of_source(".", source or ".", lambda path: None)
    if matches_source(source or ".", path):
        assert triggers.includes(patterns, path)


def test_what_a_folder_has_is_not_named_again() -> None:
    given = ["src/a", "src/**", "src/a/**", "src", "*/**", "x/y", "src/a", "**/z"]
    assert github_paths.without_covered(given) == ("src/**", "src", "*/**", "x/y", "**/z")
    assert github_paths.without_covered(["a", "**", "b/**"]) == ("**",)
