"""The context files that are found are those that BuildKit copies: generated, really built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailing_tasks import context
from bailing_tasks.dockerfile import context_inputs
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.errors import UsageError
from tests.engine.support import Engine

PATHS = (
    "a.py",
    "a/d.py",
    "a/b.txt",
    "a/b/c.txt",
    "a/b/c/e.py",
    "b/f",
    "b/b/.g",
    ".a",
    "c d",
    "[a]",
)
"""No two files have one name: copied into one folder, none takes another's place."""

PARTS = st.sampled_from(
    ["a", "b", "c", "*", "**", "?", "a*", "*.py", "[a-b]", ".*", "f", "b.txt", "."]
)
RULES = st.builds(
    lambda keep, root, parts, end: f"{keep}{root}{'/'.join(parts)}{end}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/", "./"]),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", " "]),
)
LITERALS = [".", "a", "a/", "./a/b", "a/../b", "/b", "b/b", "ln", "ln/c", "absolute"]
ABSENT = ["nope", "a/nope", "ln/nope", "dangling"]
SOURCES = st.sampled_from([*LITERALS, *ABSENT, "a/*", "*", "*.py", "a/b*", "?", "[ab]*"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A context in which each file holds its own path."""
    root = tmp_path / "context"
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "ln").symlink_to("a/b")
    (root / "dangling").symlink_to("nope")
    (root / "absolute").symlink_to("/a")
    return root


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rules=st.lists(RULES, max_size=4), source=SOURCES)
def test_the_files_found_are_those_that_buildkit_copies(
    containerd: Engine, tree: Path, tmp_path: Path, rules: list[str], source: str
) -> None:
    text = f"FROM scratch\nCOPY {source} /x/\n"
    (tmp_path / "Dockerfile").write_text(text)
    ignore = "\n".join(rules)
    (tmp_path / "Dockerfile.dockerignore").write_text(ignore)
    refused, copied = copies(containerd, tmp_path, tree)
    if "illegal exclusion pattern" in refused:
        with pytest.raises(UsageError):
            DockerIgnore.parse(ignore)
        return
    parsed = DockerIgnore.parse(ignore)
    patterns = [each.pattern for each in context_inputs(text)]
    if source in (*LITERALS, *ABSENT):
        assert bool(context.lacks(tree, parsed, *patterns)) == bool(refused), (ignore, source)
    if refused:
        assert "not found" in refused or "no such file" in refused, refused
        return
    found = context.files(tree, parsed, patterns)
    ours = {path for path in found if (tree / path).is_file()}
    assert copied <= ours, (ignore, source)
    # What is found too much is only what a link leads to, which the rules may keep out, and what
    # the last rule for it keeps out again: there BuildKit's answer hangs on what it copied before.
    more = {path for path in ours - copied if not path.startswith(("a/b/", "ln"))}
    assert {path for path in more if not kept_out_last(path, rules)} == set(), (ignore, source)


def kept_out_last(path: str, rules: list[str]) -> bool:
    """Whether the last rule that holds for a path, or for a folder it is in, keeps it out."""
    bare = [(rule.startswith("!"), rule.removeprefix("!")) for rule in rules]
    held = [keeps for keeps, rule in bare if DockerIgnore.parse(rule).ignores(path)]
    return bool(held) and not held[-1]


def copies(engine: Engine, folder: Path, tree: Path) -> tuple[str, set[str]]:
    """Return why a build is refused, if it is, and the files that it copies."""
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    argv = ["buildx", "build", "--provenance=false", f"--output=type=local,dest={output}"]
    result = engine.docker(*argv, "-f", str(folder / "Dockerfile"), str(tree))
    copied = {
        path.read_text()
        for path in output.rglob("*")
        if path.is_file() and not path.is_symlink() and path.read_text()
    }
    return "" if result.ok else result.stderr, copied
