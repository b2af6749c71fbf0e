"""Work on many things at once, some of which share a bottleneck."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def in_parallel(
    work: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    jobs: int,
    group: Callable[[Item], str] = lambda _: "",
    jobs_per_group: int | None = None,
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

    Raises:
        Exception: What `work` raised.
    """
    pool = _Pool(work, items, group, jobs_per_group or jobs)
    for _ in range(min(jobs, len(items))):
        threading.Thread(target=pool.run, daemon=True).start()
    try:
        for _ in items:
            item, value, error = pool.ended.get()
            if error is not None:
                raise error
            assert value is not None
            yield item, value[0]
    finally:
        pool.stop()


class _Pool(Generic[Item, Value]):
    def __init__(
        self,
        work: Callable[[Item], Value],
        items: Sequence[Item],
        group: Callable[[Item], str],
        jobs_per_group: int,
    ) -> None:
        self._work = work
        self._waiting = list(items)
        self._group = group
        self._limit = jobs_per_group
        self._running: Counter[str] = Counter()
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
                self._running[self._group(item)] -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _take(self) -> tuple[Item] | None:
        """Return the first waiting item whose group has room; None where nothing waits."""
        with self._changed:
            while self._waiting:
                for number, item in enumerate(self._waiting):
                    if self._running[self._group(item)] < self._limit:
                        self._running[self._group(item)] += 1
                        return (self._waiting.pop(number),)
                self._changed.wait()
        return None
