"""Several words for one argument, as Invoke's parser takes them."""

from __future__ import annotations

import sys

import pytest
from invoke.exceptions import ParseError
from invoke.parser.parser import Parser

from bailing_tasks.tasks import namespace


def parsed(monkeypatch: pytest.MonkeyPatch, line: str) -> list[tuple[str, list[str]]]:
    """Return the tasks of a command line, each with its words."""
    argv = line.split()
    monkeypatch.setattr(sys, "argv", ["invoke", *argv])
    found = Parser(contexts=namespace.to_contexts()).parse_argv(argv)
    return [
        (str(context.name), context.args["names"].value if "names" in context.args else [])
        for context in found
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("build-service a", ["a"]),
        ("build-service a b c", ["a", "b", "c"]),
        ("build-service a,b c,", ["a", "b", "c"]),
        ("build-service a a", ["a", "a"]),
        ("build-service a b --force --jobs 2", ["a", "b"]),
        ("build-service --jobs 2 a b", ["a", "b"]),
        ("build-service --platform linux/amd64 a b --json", ["a", "b"]),
        ("build-service status", ["status"]),  # a task's name is one where a name has to be
    ],
)
def test_words_are_taken_up_to_the_next_option(
    monkeypatch: pytest.MonkeyPatch, line: str, words: list[str]
) -> None:
    assert parsed(monkeypatch, line) == [("build-service", words)]


def test_words_are_taken_up_to_the_next_task(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch, "prefetch build-service a b status --json") == [
        ("prefetch", []),
        ("build-service", ["a", "b"]),
        ("status", []),
    ]
    assert parsed(monkeypatch, "build-service a b build-service c d") == [
        ("build-service", ["a", "b"]),
        ("build-service", ["c", "d"]),
    ]


def test_a_word_is_needed_and_one_after_an_option_is_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ParseError, match="names"):
        parsed(monkeypatch, "build-service --force")
    with pytest.raises(ParseError, match="'b'"):
        parsed(monkeypatch, "build-service a --force b")
