"""Progress and tables for people.

With `--json` all of it goes to standard error, so that standard output holds one document.
Under GitHub Actions long parts fold; on a terminal the running part is live.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

UNITS = ("B", "kB", "MB", "GB", "TB")


class Console:
    """Where a run tells people what it does.

    Args:
        stream: Where to write.
        live: Whether the stream is a terminal that can be redrawn.
        folded: Whether GitHub Actions reads it.
    """

    def __init__(self, stream: TextIO, *, live: bool, folded: bool) -> None:
        self._stream = stream
        self.live = live
        self._folded = folded

    @classmethod
    def standard(cls, *, json: bool) -> Console:
        """Return the console of this process: standard output, or standard error with JSON."""
        stream = (sys.stderr if json else sys.stdout) or io.StringIO()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        return cls(
            stream,
            live=stream.isatty() and os.environ.get("TERM") != "dumb",
            folded=os.environ.get("GITHUB_ACTIONS") == "true",
        )

    def say(self, text: str = "") -> None:
        """Write a line; once nobody reads any more, nowhere."""
        try:
            print(text, file=self._stream, flush=True)
        except BrokenPipeError:
            no_longer_read(self._stream)

    def warn(self, text: str) -> None:
        """Write a warning; its further lines are indented."""
        first, *rest = text.splitlines()
        self.say(f"{'::warning::' if self._folded else 'warning: '}{first}")
        for line in rest:
            self.say(f"  {line}")

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Write a heading over a part of the run, which folds under GitHub Actions."""
        self.say(f"::group::{title}" if self._folded else f"==> {title}")
        try:
            yield
        finally:
            if self._folded:
                self.say("::endgroup::")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under headings, the columns as wide as they need."""
        lines = [list(headings), *map(list, rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.say("  ".join(cells).rstrip())

    @contextlib.contextmanager
    def transfer(self, title: str) -> Iterator[Transfer]:
        """Show how many bytes have come: live on a terminal, one line elsewhere."""
        if not self.live:
            self.say(title)
            yield Transfer()
            return
        from rich.console import Console as Terminal
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Terminal(file=self._stream),
            transient=True,
        ) as progress:
            task = progress.add_task(title, total=None)
            yield Transfer(
                lambda done, total: progress.update(task, completed=done, total=total or None)
            )

    @contextlib.contextmanager
    def activity(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show the lines that a build prints: the last one on a terminal, all of them elsewhere."""
        if not self.live:
            with self.group(title):
                yield self.say
            return
        from rich.console import Console as Terminal
        from rich.markup import escape

        with Terminal(file=self._stream).status(escape(title)) as status:
            yield lambda line: status.update(f"{escape(title)}  [dim]{escape(line[:80])}")

    def ask(self, question: str, answers: Sequence[str]) -> str:
        """Ask a person until one of the answers, or its first letter, comes.

        Enter takes the first answer; the end of the input takes the last one.
        """
        while True:
            print(f"{question} [{'/'.join(answers)}] ", end="", file=self._stream, flush=True)
            line = sys.stdin.readline()
            if not line:
                return answers[-1]
            text = line.strip().lower()
            for answer in answers:
                if text in (answer, answer[0]):
                    return answer
            if not text:
                return answers[0]


def no_longer_read(stream: TextIO) -> None:
    """Let what is still written to a stream whose reader has gone, `head` perhaps, vanish."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


class Transfer:
    """The bytes of one transfer, over all its layers.

    Args:
        show: Called with the bytes done and the bytes known so far.
    """

    def __init__(self, show: Callable[[int, int], None] | None = None) -> None:
        self._show = show
        self._layers: dict[str, tuple[int, int]] = {}

    def update(self, layer: str, current: int, total: int) -> None:
        """Say where one layer stands, in bytes."""
        self._layers[layer] = (current, total)
        if self._show:
            self._show(*(sum(numbers) for numbers in zip(*self._layers.values(), strict=True)))

    @property
    def bytes(self) -> int:
        """The bytes that came."""
        return sum(current for current, _ in self._layers.values())


def size(count: int) -> str:
    """Return a number of bytes as Docker shows it, in powers of a thousand."""
    value = float(count)
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            return f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
