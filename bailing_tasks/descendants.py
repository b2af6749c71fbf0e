"""A process with all that it has started, directly or not (proc(5)).

What runs in a session of its own is left out: a daemon outlives what starts it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")
_ENDED = {"Z", "X"}
"""The states of processes that have ended, though their parents have not waited for them."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process.

    Attributes:
        pid: Its number.
        parent: The number of its parent, which changes when that ends.
        session: The number of its session.
        started: When it was started, which tells it from a later one with its number.
    """

    pid: int
    parent: int = field(compare=False)
    session: int
    started: int

    def runs(self) -> bool:
        """Whether it has not ended, nor left its session."""
        return _read(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.runs():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def families(pids: Collection[int]) -> frozenset[Process]:
    """Return processes with all that they have started in their session.

    Of a session's leader that is the whole session, orphans included.
    """
    names = [folder.name for folder in _PROC.iterdir()]
    every = {each for name in names if name.isdecimal() and (each := _read(int(name)))}
    found = {each for each in every if each.pid in pids or each.session in pids}
    parents = found
    while parents:
        known = {(each.pid, each.session) for each in parents}
        parents = {each for each in every if (each.parent, each.session) in known} - found
        found |= parents
    return frozenset(found)


def _read(pid: int) -> Process | None:
    """Return a process; None where it has ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name before may hold blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    if fields[0] in _ENDED:
        return None
    return Process(pid=pid, parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]))
