"""What people see."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from bailing_tasks.console import Console
from bailing_tasks.errors import DockerfileError, PullError
from bailing_tasks.units import size
from bailing_tasks.verify import is_command


def console(*, folded: bool = False) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(stream, live=False, folded=folded), stream


def test_columns_are_as_wide_as_they_need() -> None:
    shown, stream = console()
    shown.table(("image", "platform"), [("alpine:3.20", "linux/amd64"), ("x", "y")])
    assert stream.getvalue().splitlines() == [
        "image        platform",
        "alpine:3.20  linux/amd64",
        "x            y",
    ]


def test_parts_fold_under_github_actions_and_have_headings_elsewhere() -> None:
    for folded, expected in (
        (False, "==> part\nline\n"),
        (True, "::group::part\nline\n::endgroup::\n"),
    ):
        shown, stream = console(folded=folded)
        with shown.group("part"):
            shown.say("line")
        assert stream.getvalue() == expected


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mred\x1b[0m \x1b[2Jgone\x1b[1;1H", "red gone"),
        ("\x1b]0;a title\x07one\x1b]8;;http://x.example\x1b\\two", "onetwo"),
        ("\x1bP1$r0m\x1b\\one\x9b31m\x1bctwo", "one31mctwo"),
        ("back\b\b\r\x00\x7f\x0b\x0c", "back"),
        ("\ta\n\tb \u6570 [bold]{}", "\ta\n\tb \u6570 [bold]{}"),
    ],
)
def test_what_a_build_says_controls_no_terminal(said: str, shown: str) -> None:
    out, stream = console()
    out.say(said)
    assert stream.getvalue() == f"{shown}\n"


def test_a_warning_keeps_its_further_lines() -> None:
    shown, stream = console()
    shown.warn("one\ntwo")
    assert stream.getvalue() == "warning: one\n  two\n"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("continue\n", "continue"),
        ("s\n", "stop"),
        ("\n", "retry"),
        ("", "stop"),
        ("x\nc\n", "continue"),
    ],
)
def test_a_question_takes_whole_words_first_letters_and_enter(
    monkeypatch: pytest.MonkeyPatch, typed: str, answer: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    shown, stream = console()
    assert shown.ask("What now?", ("retry", "continue", "stop")) == answer
    assert "What now? [retry/continue/stop]" in stream.getvalue()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (80_007_164, "80 MB"), (5 * 10**15, "5e+03 TB")],
)
def test_sizes_are_in_powers_of_a_thousand(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("path", "command", "found"),
    [
        ("usr/bin/gcc", "gcc", True),
        ("usr/bin/gcc-12", "gcc", True),
        ("usr/bin/x86_64-linux-gnu-gcc-12", "gcc", True),
        ("usr/bin/aarch64-linux-gnu-g++-13.2", "g++", True),
        ("usr/bin/gccgo", "gcc", False),
        ("usr/bin/gcc-ar", "gcc", False),
        ("usr/bin/cpp", "gcc", False),
    ],
)
def test_a_compiler_is_known_by_any_of_its_names(path: str, command: str, found: bool) -> None:
    assert is_command(path, command) is found


def test_an_error_is_told_with_place_cause_and_remedy() -> None:
    error = DockerfileError("no", line=3, cause="why", remedy="do", path="docker/Dockerfile")
    assert str(error) == "docker/Dockerfile:3: no\n  cause: why\n  remedy: do"
    assert str(DockerfileError("no")) == "no"
    assert str(PullError("no", remedy="do")) == "no\n  remedy: do"


def test_a_terminal_that_is_closed_ends_no_run() -> None:
    window, terminal = pty.openpty()
    with open(terminal, "w") as stream:  # noqa: PTH123
        shown = Console(stream, live=False, folded=False)
        shown.say("seen")
        os.close(window)
        shown.say("not seen")
        shown.say("nor this")
