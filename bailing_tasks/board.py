"""Shows what several builds are doing: a line for each on a terminal, elsewhere a word at times."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bailing_tasks.console import Console
from bailing_tasks.units import without_controls

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY_SECONDS = 30.0
"""How often people are told, where nothing redraws itself, that it goes on."""
WIDTH = 80


class Board:
    """What several builds are doing; several threads may tell it.

    Args:
        console: Who is told.
        display: What redraws itself on a terminal; None where there is none.
    """

    def __init__(self, console: Console, display: Progress | None = None) -> None:
        self._console = console
        self._display = display
        self._tasks: dict[str, TaskID] = {}
        self._running: dict[str, None] = {}
        self._over: set[str] = set()
        self._one_at_a_time = threading.Lock()

    def show(self, name: str, line: str) -> None:
        """Show the last line of a build."""
        with self._one_at_a_time:
            if name in self._over:
                return
            self._running[name] = None
            if self._display is None:
                return
            if name not in self._tasks:
                self._tasks[name] = self._display.add_task(name, total=None)
            shown = without_controls(line)[:WIDTH]
            self._display.update(self._tasks[name], description=f"{name}  {shown}")

    def ended(self, name: str) -> None:
        """Show a build no more."""
        with self._one_at_a_time:
            self._over.add(name)
            self._running.pop(name, None)
            task = self._tasks.pop(name, None)
            if self._display is not None and task is not None:
                self._display.remove_task(task)

    def clear(self) -> None:
        """Show nothing: what ran has ended, and may begin again."""
        for name in list(self._running):
            self.ended(name)
        self._over.clear()

    def word(self) -> str:
        """Return what is going on, in a line; empty for nothing."""
        return f"... building {', '.join(self._running)}" if self._running else ""


@contextlib.contextmanager
def board(console: Console) -> Iterator[Board]:
    """Show what several builds are doing until the end of the block."""
    if console.display:
        yield Board(console, console.display)
        return
    if console.live:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with (
            Progress(*columns, console=console.terminal(), transient=True) as display,
            console.above(display.console),
        ):
            yield Board(console, display)
        return
    shown, over = Board(console), threading.Event()

    def tell() -> None:
        while not over.wait(EVERY_SECONDS):
            if word := shown.word():
                console.say(word)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        over.set()
        thread.join()
