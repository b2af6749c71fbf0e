"""Digests of files are kept while the files are the same, and never longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bailing_tasks import context, digests
from bailing_tasks.digests import Digests
from bailing_tasks.errors import DockerfileError
from bailing_tasks.state import State


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the files that are read, as they are."""
    paths: list[str] = []
    digest = context.digest

    def noted(folder: Path, path: str) -> str:
        paths.append(path)
        return digest(folder, path)

    monkeypatch.setattr(context, "digest", noted)
    return paths


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digests:
    """Digests of a context whose files have been as they are for a while."""
    monkeypatch.setattr(digests, "SETTLED", -(10**12))
    for name in ("a", "b"):
        (tmp_path / name).write_text("one")
    (tmp_path / "ln").symlink_to("a")
    (tmp_path / ".bailing-tasks").mkdir()
    return Digests(State(tmp_path), "app")


PATHS = ("a", "b", "ln")


def test_what_has_not_changed_is_not_read_again(
    kept: Digests, tmp_path: Path, read: list[str]
) -> None:
    first = kept.of(tmp_path, PATHS)
    assert read == list(PATHS)
    assert first["a"] == first["b"] != first["ln"]
    assert Digests(State(tmp_path), "app").of(tmp_path, PATHS) == first
    assert read == list(PATHS)


def test_a_change_is_seen_whatever_is_made_to_look_the_same(kept: Digests, tmp_path: Path) -> None:
    first = kept.of(tmp_path, PATHS)
    before = (tmp_path / "a").stat()
    time.sleep(0.02)  # a tick of the file system's clock
    (tmp_path / "a").write_text("two")
    os.utime(tmp_path / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "a").stat().st_size == before.st_size
    second = kept.of(tmp_path, PATHS)
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]
    (tmp_path / "b").chmod(0o755)
    assert kept.of(tmp_path, PATHS)["b"] != first["b"]


def test_a_file_that_has_just_changed_is_read_anew(tmp_path: Path, read: list[str]) -> None:
    (tmp_path / "a").write_text("one")
    found = Digests(State(tmp_path), "app")
    found.of(tmp_path, ["a"])
    found.of(tmp_path, ["a"])
    assert read == ["a", "a"]


def test_what_is_kept_may_be_damaged_or_of_another_folder(
    kept: Digests, tmp_path: Path, read: list[str]
) -> None:
    first = kept.of(tmp_path, ["a"])
    file = tmp_path / ".bailing-tasks" / "digests" / "app.json"
    for text in ("", "[]", '{"files": {}}', "{"):
        file.write_text(text)
        assert kept.of(tmp_path, ["a"]) == first
    other = tmp_path / "other"
    other.mkdir()
    (other / "a").write_text("two")
    assert kept.of(other, ["a"]) != first


def test_looking_makes_no_state(kept: Digests, tmp_path: Path) -> None:
    (tmp_path / ".bailing-tasks").rmdir()
    assert kept.of(tmp_path, PATHS)
    assert not (tmp_path / ".bailing-tasks").exists()


def test_a_state_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / ".bailing-tasks").write_text("in the way")
    assert Digests(State(tmp_path), "app").of(tmp_path, ["a"])


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DockerfileError, match="gone in the build context"):
        Digests(State(tmp_path), "app").of(tmp_path, ["gone"])
