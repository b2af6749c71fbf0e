"""What is shown of several builds while they run."""

from __future__ import annotations

import io
import threading

import pytest

from bailing_tasks import board as boards
from bailing_tasks.board import Board, board
from bailing_tasks.console import Console
from bailing_tasks.errors import UsageError
from bailing_tasks.tasks.batching import Wishes


def console(*, live: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(stream, live=live, folded=False), stream


def test_a_word_names_what_is_built_now() -> None:
    shown = Board(console(live=False)[0])
    assert shown.word() == ""
    shown.show("api", "[1/2] COPY")
    shown.show("web", "[1/2] COPY")
    shown.show("api", "DONE")
    assert shown.word() == "... building api, web"
    shown.ended("api")
    shown.show("api", "late")
    assert shown.word() == "... building web"
    shown.clear()
    assert shown.word() == ""
    shown.show("api", "again")
    assert shown.word() == "... building api"


def test_where_nothing_redraws_itself_people_are_told_at_times_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(boards, "EVERY_SECONDS", 0.01)
    told = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            told.set()
            return super().write(text)

    stream = Stream()
    with board(Console(stream, live=False, folded=False)) as shown:
        shown.show("api", "[1/2] COPY")
        told.wait()
        shown.ended("api")
    assert set(stream.getvalue().splitlines()) == {"... building api"}


def test_on_a_terminal_each_build_has_a_line_and_what_is_said_stands_above() -> None:
    told, stream = console(live=True)
    with board(told) as shown:
        shown.show("api", "[1/2] COPY [bold] x")
        shown.show("api", "y" * 200)
        shown.show("web", "[1/2] COPY")
        told.say("[1/2] web: built")
        shown.ended("web")
        shown.ended("nobody")
        shown.clear()
        assert shown.word() == ""
    told.say("summary")
    assert "[1/2] web: built\n" in stream.getvalue()
    assert stream.getvalue().endswith("summary\n")


def test_wishes_are_read() -> None:
    wishes = Wishes.read(jobs="", force=True, keep_going=False)
    assert (wishes.jobs, wishes.force, wishes.keep_going) == (0, True, False)
    assert Wishes.read(jobs="3", force=False, keep_going=True).jobs == 3
    for wrong in ("0", "-1", "x", "1.5"):
        with pytest.raises(UsageError, match="--jobs: expected a whole number from 1"):
            Wishes.read(jobs=wrong, force=False, keep_going=False)
