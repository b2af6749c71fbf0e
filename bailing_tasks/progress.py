"""Shows people what comes over the network: live on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from bailing_tasks.console import Console
from bailing_tasks.engine import base
from bailing_tasks.units import size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY_SECONDS = 10.0
"""How often a line says how far it has come, where nothing can be redrawn."""
REDRAWN_SECONDS = 0.2


class Transfer:
    """What comes for one image, layer by layer; safe to look at from other threads.

    Args:
        title: What it is for.
        settled: Takes the layers that no other image has to wait for.
    """

    def __init__(self, title: str = "", settled: set[str] | None = None) -> None:
        self.title = title
        self.layers: dict[str, tuple[int, int]] = {}
        self._settled = set() if settled is None else settled

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Say how many bytes each layer has, as far as that is known."""
        for layer, total in sizes.items():
            self.layers.setdefault(layer, (0, total))

    def skip(self, layer: str) -> None:
        """Say that a layer need not come."""
        self.layers.pop(layer, None)
        self._settled.add(layer)

    def update(self, layer: str, current: int, total: int) -> None:
        """Say where one layer stands, in bytes."""
        self.layers[layer] = (current, total)
        if current >= total:
            self._settled.add(layer)

    def give_way(self) -> None:
        """Let no other image wait for the layers of this one."""
        self._settled.update(self.layers)

    @property
    def bytes(self) -> int:
        """The bytes that came."""
        return sum(current for current, _ in list(self.layers.values()))


class Transfers:
    """What comes for all images of a run.

    Args:
        count: How many images there are.
        console: Where the lines for people go.
    """

    def __init__(self, count: int, console: Console) -> None:
        self._count = count
        self.console = console
        self._ended = 0
        self._all: list[Transfer] = []
        self.running: list[Transfer] = []
        self._settled: set[str] = set()

    @contextlib.contextmanager
    def image(self, title: str) -> Iterator[Transfer]:
        """Show what comes for one image while it comes."""
        transfer = Transfer(title, self._settled)
        self._all.append(transfer)
        self.running.append(transfer)
        try:
            yield transfer
        finally:
            self.running.remove(transfer)

    def ended(self, text: str, *, failed: bool = False) -> None:
        """Write the line that ends one image, numbered in the order of their ends."""
        self._ended += 1
        tell = self.console.warn if failed else self.console.say
        tell(f"[{self._ended}/{self._count}] {text}")

    def clash(self, one: Mapping[str, int], other: Mapping[str, int]) -> bool:
        """Whether one of two images had better wait, by the layers of each: they share some.

        An engine may look for a layer that comes for another image at growing intervals, up to
        seconds long; with several such pulls the network lies idle.
        """
        return bool(one.keys() & other.keys() - self._settled)

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Bytes done and in all of each layer; one that several images share stands once."""
        found: dict[str, tuple[int, int]] = {}
        for transfer in list(self._all):
            for layer, state in list(transfer.layers.items()):
                found[layer] = max(state, found.get(layer, (0, 0)))
        return found

    @property
    def bytes(self) -> int:
        """The bytes that came in all."""
        return sum(current for current, _ in self.layers.values())

    def summary(self) -> str:
        """Return how far it has come, in a few words."""
        layers = self.layers
        done = sum(current >= total > 0 for current, total in layers.values())
        return f"{self._ended} of {self._count} images, {done} of {len(layers)} layers"


@contextlib.contextmanager
def transfers(console: Console, count: int) -> Iterator[Transfers]:
    """Show what comes for some images until the end of the block.

    Args:
        console: Where.
        count: How many images there are.
    """
    if console.live:
        with _live(console, count) as shown:
            yield shown
        return
    shown = Transfers(count, console)
    started = time.monotonic()

    def tell(found: Transfers) -> None:
        if found.running:
            rate = found.bytes / (time.monotonic() - started)
            console.say(f"... {found.summary()}, {size(found.bytes)} at {size(rate)}/s")

    with _regularly(tell, shown, EVERY_SECONDS):
        yield shown


@contextlib.contextmanager
def _live(console: Console, count: int) -> Iterator[Transfers]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    terminal = console.terminal()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=terminal, transient=True) as progress:
        shown = Transfers(count, console)
        with console.above(progress.console), _regularly(_Bars(progress), shown, REDRAWN_SECONDS):
            yield shown


class _Bars:
    """Redraws one bar for all and one for each image that is coming."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._all = progress.add_task("", total=None)
        self._tasks: dict[Transfer, TaskID] = {}

    def __call__(self, transfers: Transfers) -> None:
        layers = transfers.layers
        self._progress.update(
            self._all,
            description=transfers.summary(),
            completed=sum(current for current, _ in layers.values()),
            total=sum(total for _, total in layers.values()) or None,
        )
        running = list(transfers.running)
        for transfer in running:
            self._draw(transfer)
        for transfer in [each for each in self._tasks if each not in running]:
            self._progress.remove_task(self._tasks.pop(transfer))

    def _draw(self, transfer: Transfer) -> None:
        if transfer not in self._tasks:
            self._tasks[transfer] = self._progress.add_task(transfer.title, total=None)
        states = list(transfer.layers.values())
        self._progress.update(
            self._tasks[transfer],
            completed=transfer.bytes,
            total=sum(total for _, total in states) or None,
        )


@contextlib.contextmanager
def _regularly(
    look: Callable[[Transfers], None], transfers: Transfers, seconds: float
) -> Iterator[None]:
    """Look every so often, in a thread of its own, until the end of the block."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            look(transfers)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def meter(transfer: Transfer) -> Callable[[base.Progress], None]:
    """Count what comes, less what was here; a layer too small to be told of counts at its end."""
    here: dict[str, int] = {}

    def show(progress: base.Progress) -> None:
        came, total = transfer.layers.get(progress.layer, (0, progress.total))
        if progress.status == "Already exists":
            transfer.skip(progress.layer)
        elif progress.status == "Starting":
            here[progress.layer] = progress.current - came
            transfer.update(progress.layer, came, progress.total - here[progress.layer])
        elif progress.status == "Downloading" and progress.current:
            current = progress.current - here.get(progress.layer, 0)
            transfer.update(progress.layer, current, total or progress.total)
        elif progress.status in ("Download complete", "Pull complete") and total:
            transfer.update(progress.layer, total, total)

    return show
