"""What is remembered of the builds of a workspace."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bailing_tasks import history
from bailing_tasks.configuration import resolve
from bailing_tasks.history import History
from bailing_tasks.platforms import Platform
from bailing_tasks.state import State
from bailing_tasks.variants import Variant


def variant(root: Path) -> Variant:
    settings = resolve(root, document={}, environment={}, overrides={})
    platform = Platform.parse("linux/arm64")
    return Variant(target=settings.app, platform=platform, python="3.11")


def test_what_was_left_out_is_found_again(tmp_path: Path) -> None:
    History(State(tmp_path), "abc").left_out("build-all", variant(tmp_path), "base failed")
    (found,) = History(State(tmp_path), "").read()
    assert (found.task, found.commit, found.result) == ("build-all", "abc", "left out")
    assert (found.target, found.platform, found.python) == ("app", "linux/arm64", "3.11")
    assert found.reason == "base failed"
    assert found.began.endswith("+00:00")


def test_a_workspace_that_has_built_nothing_has_no_history(tmp_path: Path) -> None:
    assert History(State(tmp_path), "").read(20) == []
    assert list(tmp_path.iterdir()) == []


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    kept = History(State(tmp_path), "")
    for number in range(3):
        kept.left_out("t", variant(tmp_path), f"r{number}")
    path = tmp_path / ".bailing-tasks" / history.NAME
    whole = path.read_bytes()
    first = json.loads(whole.splitlines()[0])
    wrong = json.dumps({**first, "seconds": "many"}).encode()
    odd = json.dumps({**first, "began": "once"}).encode()
    newer = json.dumps({**first, "reason": "newer", "unknown": 1}).encode()
    path.write_bytes(b"\n".join([b"\xff", b"[]", b"3", b"{}", wrong, odd, newer, whole[:-20]]))
    assert [build.reason for build in kept.read()] == ["newer", "r0", "r1"]
    kept.left_out("t", variant(tmp_path), "after a crash")
    assert [build.reason for build in kept.read(2)] == ["r1", "after a crash"]


def test_the_oldest_builds_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LARGEST", 5000)
    monkeypatch.setattr(history, "KEPT", 4)
    kept = History(State(tmp_path), "")
    with ThreadPoolExecutor(4) as threads:
        for number in range(100):
            threads.submit(kept.left_out, "t", variant(tmp_path), str(number))
    kept.left_out("t", variant(tmp_path), "x" * 5000)
    found = kept.read()
    assert 4 <= len(found) < 20
    assert len({build.reason for build in found}) == len(found)
    assert len(found[-1].reason) == history.LONGEST + 1
