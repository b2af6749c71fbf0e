"""What is remembered of the builds of a workspace."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks import history
from bailing_tasks.history import Build, History
from bailing_tasks.state import State


def build(reason: str, result: str = "built") -> Build:
    return Build(
        began="2026-01-02T03:04:05+00:00",
        task="build-all",
        target="app",
        platform="linux/arm64",
        result=result,
        reason=reason,
    )


def test_what_was_built_is_found_again_with_its_commit(tmp_path: Path) -> None:
    History(State(tmp_path), "abc").add(build("r"))
    assert History(State(tmp_path), "").read() == [replace(build("r"), commit="abc")]


def test_what_was_skipped_leaves_no_line(tmp_path: Path) -> None:
    kept = History(State(tmp_path), "")
    for result in ("skipped", "stopped", "left out"):
        kept.add(build("r", result))
    assert [each.result for each in kept.read()] == ["left out"]


def test_a_workspace_that_has_built_nothing_has_no_history(tmp_path: Path) -> None:
    assert History(State(tmp_path), "").read(20) == []
    assert list(tmp_path.iterdir()) == []


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    kept = History(State(tmp_path), "")
    for number in range(3):
        kept.add(build(f"r{number}"))
    path = tmp_path / ".bailing-tasks" / history.NAME
    whole = path.read_bytes()
    first = json.loads(whole.splitlines()[0])
    wrong = json.dumps({**first, "seconds": "many"}).encode()
    odd = json.dumps({**first, "began": "once"}).encode()
    newer = json.dumps({**first, "reason": "newer", "unknown": 1}).encode()
    path.write_bytes(b"\n".join([b"\xff", b"[]", b"3", b"{}", wrong, odd, newer, whole[:-20]]))
    assert [each.reason for each in kept.read()] == ["newer", "r0", "r1"]
    kept.add(build("after a crash"))
    assert [each.reason for each in kept.read(2)] == ["r1", "after a crash"]


def test_the_oldest_builds_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LARGEST", 5000)
    monkeypatch.setattr(history, "KEPT", 4)
    kept = History(State(tmp_path), "")
    with ThreadPoolExecutor(4) as threads:
        for number in range(100):
            threads.submit(kept.add, build(str(number)))
    kept.add(build("x" * 5000))
    found = kept.read()
    assert 4 <= len(found) < 20
    assert len({each.reason for each in found}) == len(found)
    assert len(found[-1].reason) == history.LONGEST + 1
