"""Platforms whose engines differ go side by side: each engine has a lane of the run.

Builds of one engine stay one after the other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bailing_tasks import process
from bailing_tasks.console import Console, PartConsole
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import BailingError
from bailing_tasks.platforms import Platform
from bailing_tasks.settings import Settings

LOOK_SECONDS = 0.1
"""How often it is looked whether Ctrl-C was pressed."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What a run does on one engine.

    Attributes:
        engine: The engine.
        settings: The run's settings, for the platforms that this engine builds.
        console: Who is told.
        cancelled: Set when the run is being interrupted.
    """

    engine: Engine
    settings: Settings
    console: Console
    cancelled: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        return ",".join(map(str, self.settings.platforms))

    def builds(self, platform: Platform) -> bool:
        """Whether a platform is built here."""
        return platform in self.settings.platforms

    def go_on(self) -> None:
        """Stop here where the run is being interrupted.

        Raises:
            KeyboardInterrupt: It is.
        """
        if self.cancelled.is_set():
            raise KeyboardInterrupt


def side_by_side(lanes: Sequence[Lane], work: Callable[[Lane], None]) -> None:
    """Work in all lanes at once; each goes on to its own end.

    Ctrl-C ends what runs in any of them.

    Raises:
        Exception: The first that was raised in a lane; people are told of the others.
    """
    if len(lanes) == 1:
        work(lanes[0])
        return
    failures: list[tuple[Lane, BaseException]] = []

    def run(lane: Lane) -> None:
        try:
            lane.go_on()
            work(lane)
        except BaseException as error:
            failures.append((lane, error))
            if isinstance(error, BailingError) and not lane.cancelled.is_set():
                lane.console.say(f"failed: {error.message}")

    with _consoles(lanes) as consoles:
        pairs = zip(lanes, consoles, strict=True)
        _run_all(run, [replace(lane, console=console) for lane, console in pairs])
    for lane, error in failures[1:]:
        lanes[0].console.warn(f"{lane}: {error}")
    if failures:
        raise failures[0][1]


def _run_all(run: Callable[[Lane], None], lanes: Sequence[Lane]) -> None:
    """Run each lane in a thread, to its end, which comes soon where people interrupt it.

    None begins before all are there: an interrupt finds either all of them or none at work.
    """
    begun = threading.Event()
    ended = [threading.Event() for _ in lanes]

    def work(lane: Lane, end: threading.Event) -> None:
        begun.wait()
        run(lane)
        end.set()

    try:
        for each in zip(lanes, ended, strict=True):
            threading.Thread(target=work, args=each, daemon=True).start()
        begun.set()
        _wait(ended)
    except KeyboardInterrupt:
        for lane in lanes:
            lane.cancelled.set()
        at_work = begun.is_set()
        begun.set()
        if at_work:
            with process.interrupted():
                _wait(ended)
        raise


def _wait(ended: Sequence[threading.Event]) -> None:
    # Looking up now and then, since Ctrl-C right before a wait is not heard of during it; and for
    # events, since a thread counts as ended where its join was interrupted (Python 3.11 and 3.12).
    for event in ended:
        while not event.wait(LOOK_SECONDS):
            continue


@contextlib.contextmanager
def _consoles(lanes: Sequence[Lane]) -> Iterator[list[Console]]:
    """Give each lane a console; on a terminal one display shows what runs in all of them."""
    whole = lanes[0].console
    width = max(len(str(lane)) for lane in lanes)
    names = [str(lane).ljust(width) for lane in lanes]
    if not whole.live:
        yield [PartConsole(whole, name) for name in names]
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with (
        Progress(*columns, console=whole.terminal(), transient=True) as display,
        whole.above(display.console),
    ):
        yield [PartConsole(whole, name, display) for name in names]
