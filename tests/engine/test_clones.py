"""Two clones of one repository on one engine never break each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.support import Engine, Workspace, made, unique

ROUNDS = 3


@pytest.fixture
def clones(engine: Engine, tmp_path: Path) -> Iterator[tuple[Workspace, Workspace]]:
    """Two clones of one commit, whose images have the same names."""
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        clone = made(folder, engine)
        clone.environment["BAILING_TASKS_NAME"] = unique(tmp_path, "clones")
        clone.write("Dockerfile", "FROM scratch\nCOPY file /\nCMD ['-']\n")
        clone.write("file", "1")
        found.append(clone)
    yield found[0], found[1]
    left = names(engine, unique(tmp_path, "clones"))
    if left:
        engine.must("rmi", "--force", *left)


def names(engine: Engine, image: str) -> set[str]:
    """Return the names in an engine of the images of a project."""
    listed = [
        engine.must("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", each)
        for each in (image, f"localhost/{image}")
    ]
    return set("\n".join(listed).split())


def test_two_clones_of_one_commit_build_at_once(
    clones: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    engine = clones[0].engine
    for _ in range(ROUNDS):
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda each: each.invoke("build-app", "--no-cache"), clones))
        assert [each.returncode for each in done] == [0, 0], done[0].stderr + done[1].stderr
    left = names(engine, unique(tmp_path, "clones"))
    assert not [name for name in left if ":new-" in name]
