"""Progress and tables for people.

With `--json` all of it goes to standard error, so that standard output holds one document.
Under GitHub Actions long parts fold; on a terminal the running part is live.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bailing_tasks.units import without_controls

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.progress import Progress


class Console:
    """Where a run tells people what it does.

    Args:
        stream: Where to write.
        live: Whether the stream is a terminal that can be redrawn.
        folded: Whether GitHub Actions reads it.

    Attributes:
        display: What redraws itself on the terminal for several parts of a run; None for nothing.
    """

    def __init__(self, stream: TextIO, *, live: bool, folded: bool) -> None:
        self._stream = stream
        self._print: Callable[[str], object] = self._write
        self.live = live
        self.display: Progress | None = None
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
        """Write a line, which controls no terminal; once nobody reads any more, nowhere."""
        self._print(without_controls(text))

    def _write(self, text: str) -> None:
        try:
            # In one piece: several threads may write.
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except OSError as error:
            no_longer_read(self._stream, error)

    def warn(self, text: str) -> None:
        """Write a warning; its further lines are indented."""
        lines = "\n  ".join(text.splitlines())
        self.say(f"{'::warning::' if self._folded else 'warning: '}{lines}")

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
        """Write rows under headings, if there are any, the columns as wide as they need."""
        lines = [line for line in (list(headings), *map(list, rows)) if line]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.say("  ".join(cells).rstrip())

    @contextlib.contextmanager
    def above(self, terminal: Terminal) -> Iterator[None]:
        """Write lines above what redraws itself on the terminal."""

        def write(text: str) -> None:
            terminal.print(text, markup=False, highlight=False, soft_wrap=True)

        self._print = write
        try:
            yield
        finally:
            self._print = self._write

    def terminal(self) -> Terminal:
        """Return the terminal that it writes to, for what redraws itself."""
        from rich.console import Console as Terminal

        return Terminal(file=self._stream)

    @contextlib.contextmanager
    def activity(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show the lines that a build prints: the last one on a terminal, all of them elsewhere."""
        if not self.live:
            with self.group(title):
                yield self.say
            return
        from rich.markup import escape

        with self.terminal().status(escape(title)) as status:
            yield lambda line: status.update(
                f"{escape(title)}  [dim]{escape(without_controls(line)[:80])}"
            )

    def ask(self, question: str, answers: Sequence[str], *, enter: bool = True) -> str:
        """Ask a person until one of the answers, or its first letter, comes.

        Enter takes the first answer, unless `enter` says that nothing does; the end of the input
        takes the last one.
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
            if not text and enter:
                return answers[0]


class PartConsole(Console):
    """The console of one of several parts of a run that go on at once.

    Args:
        whole: The run's console.
        owner: Whose lines these are: each begins with it.
        display: What shows all parts on a terminal; None where there is none.
    """

    def __init__(self, whole: Console, owner: str, display: Progress | None = None) -> None:
        super().__init__(io.StringIO(), live=whole.live, folded=False)
        self._whole = whole
        self._owner = owner
        self.display = display

    def say(self, text: str = "") -> None:
        """Write lines in one piece."""
        self._whole.say("\n".join(f"{self._owner} | {line}" for line in text.split("\n")))

    def warn(self, text: str) -> None:
        """Write a warning in one piece."""
        self._whole.warn(f"{self._owner} | {text}")

    @contextlib.contextmanager
    def activity(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show the lines that a build prints: the last one on a terminal, all of them elsewhere."""
        if self.display is None:
            with self.group(title):
                yield self.say
            return
        display, task = self.display, self.display.add_task(title, total=None)
        try:
            yield lambda line: display.update(
                task, description=f"{title}  {without_controls(line)[:80]}"
            )
        finally:
            display.remove_task(task)


def no_longer_read(stream: TextIO, error: OSError) -> None:
    """Let what is still written to a stream vanish if its reader, a terminal perhaps, has gone.

    Raises:
        OSError: It failed otherwise.
    """
    if error.errno not in (errno.EPIPE, errno.EIO):
        raise error
    _discard(stream)


def leave_closed_terminal() -> None:
    """Let what is written to the standard streams vanish where their terminal was closed."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(io.UnsupportedOperation):  # it is no file
            state = select.poll()
            state.register(stream.fileno(), 0)  # which reports a hang-up alone
            if state.poll(0):
                _discard(stream)


def _discard(stream: TextIO) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
