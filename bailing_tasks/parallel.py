"""Work on many things at once, some of which share a bottleneck."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")

LOOK_SECONDS = 0.05
"""How often it is looked whether items still clash: that may end while both go on."""


def in_parallel(
    work: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    jobs: int,
    group: Callable[[Item], str] = lambda _: "",
    jobs_per_group: int | None = None,
    clashes: Callable[[Item, Item], bool] = lambda running, waiting: False,
    within: float | None = None,
) -> Generator[tuple[Item, Value], None, None]:
    """Yield each item with what `work` returns for it, as they end; they start in order.

    Whoever stops reading, by an interrupt perhaps, is not kept: what has begun may go on for a
    while, but nothing waits for it.

    Args:
        work: Called in threads of its own.
        items: What it is called with.
        jobs: How many at once.
        group: What an item shares with others.
        jobs_per_group: How many of one group at once; by default as many as in all.
        clashes: Whether an item that is under way keeps a waiting one from beginning; asked again
            and again, while others overtake.
        within: After how many seconds no more is waited for; what has not ended is left out.

    Raises:
        Exception: What `work` raised.
    """
    pool = _Pool(work, items, group, jobs_per_group or jobs, clashes)
    for _ in range(min(jobs, len(items))):
        threading.Thread(target=pool.run, daemon=True).start()
    over = None if within is None else time.monotonic() + within
    try:
        for _ in items:
            left = None if over is None else max(over - time.monotonic(), 0.0)
            try:
                item, value, error = pool.ended.get(timeout=left)
            except queue.Empty:
                return
            if error is not None:
                raise error
            assert value is not None
            yield item, value[0]
    finally:
        pool.stop()


@contextlib.contextmanager
def beside(work: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Let work be done beside a block, in a thread of its own, each time that the block calls.

    At the end of the block all calls have been answered, also where an interrupt ends it.

    Yields:
        What calls.

    Raises:
        Exception: What `work` raised, unless the block has raised itself; later calls are left.
    """
    calls: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def answer() -> None:
        while calls.get():
            work()

    with ThreadPoolExecutor(1) as thread:
        answered = thread.submit(answer)
        try:
            yield lambda: calls.put(True)
        finally:
            calls.put(False)
        answered.result()


def ahead(work: Callable[[], Value]) -> Callable[[], Value]:
    """Begin work in a thread of its own; return what waits for it.

    That returns its value, or raises what it raised.
    """
    with_thread = ThreadPoolExecutor(1)
    begun = with_thread.submit(work)
    with_thread.shutdown(wait=False)
    return begun.result


class _Pool(Generic[Item, Value]):
    def __init__(
        self,
        work: Callable[[Item], Value],
        items: Sequence[Item],
        group: Callable[[Item], str],
        jobs_per_group: int,
        clashes: Callable[[Item, Item], bool],
    ) -> None:
        self._work = work
        self._waiting = list(items)
        self._group = group
        self._limit = jobs_per_group
        self._clashes = clashes
        self._running: list[Item] = []
        self._changed = threading.Condition()
        self.ended: queue.SimpleQueue[tuple[Item, tuple[Value] | None, BaseException | None]] = (
            queue.SimpleQueue()
        )

    def run(self) -> None:
        """Work until nothing waits any more."""
        while (taken := self._take()) is not None:
            (item,) = taken
            try:
                self.ended.put((item, (self._work(item),), None))
            except BaseException as error:
                self.ended.put((item, None, error))
            with self._changed:
                self._running.remove(item)
                self._changed.notify_all()

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _take(self) -> tuple[Item] | None:
        """Return the first waiting item that may begin; None where nothing waits."""
        with self._changed:
            while self._waiting:
                for number, item in enumerate(self._waiting):
                    if self._may_begin(item):
                        self._running.append(item)
                        return (self._waiting.pop(number),)
                self._changed.wait(LOOK_SECONDS)
        return None

    def _may_begin(self, item: Item) -> bool:
        group = self._group(item)
        same = sum(self._group(running) == group for running in self._running)
        return same < self._limit and not any(
            self._clashes(running, item) for running in self._running
        )
