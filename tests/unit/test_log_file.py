"""The log of a build is written as it comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks.errors import UsageError
from bailing_tasks.log_file import HELD, LogFile
from bailing_tasks.state import State


def test_a_long_log_is_on_the_disk_before_its_end(tmp_path: Path) -> None:
    log = LogFile(State(tmp_path), "logs/app.log")
    lines = [f"#1 line {number}" for number in range(HELD // 4)]
    for line in lines:
        log.add(line)
    assert log.path.stat().st_size > HELD
    log.add("#1 DONE")
    assert log.text() == "\n".join([*lines, "#1 DONE", ""])


def test_a_new_log_takes_the_place_of_the_old_one_once_it_has_lines(tmp_path: Path) -> None:
    old, new = (LogFile(State(tmp_path), "logs/app.log") for _ in range(2))
    old.add("old")
    old.flush()
    new.add("new")
    assert new.path.read_text() == "old\n"
    assert new.text() == "new\n"


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.joinpath(".bailing-tasks").write_text("no folder")
    with pytest.raises(UsageError, match="cannot be written"):
        LogFile(State(tmp_path), "logs/app.log").flush()
