"""Daemons of the sandbox: found by what they were started as, ended only if they are ours.

A pid file may be stale and its number another program's by now, so none is trusted: a daemon of
ours is a process whose program and arguments name this sandbox's own folders.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError

_PROC = Path("/proc")
_POLL_SECONDS = 0.05
_LOG_LINES = 12


def arguments(pid: int) -> tuple[str, ...]:
    """Return the program and arguments of a process; empty for one that ended."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0")[:-1])


def running(program: str, mark: str) -> tuple[int, ...]:
    """Return the processes that run a program with a mark in its path or arguments.

    Args:
        program: Name of the program's file, or the beginning of it.
        mark: A folder of this sandbox, which no other program's arguments hold.
    """
    return tuple(pid for pid in _pids() if _matches(arguments(pid), program, mark))


def _pids() -> list[int]:
    return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _matches(argv: Sequence[str], program: str, mark: str) -> bool:
    return bool(argv) and Path(argv[0]).name.startswith(program) and mark in " ".join(argv)


def children(pid: int) -> tuple[int, ...]:
    """Return the processes that a process started and that still are."""
    return tuple(child for child in _pids() if _state_and_parent(child)[1] == str(pid))


def is_alive(pid: int) -> bool:
    """Return whether a process is there and has not ended; one that nobody waited for has."""
    return _state_and_parent(pid)[0] not in ("", "Z", "X")


def _state_and_parent(pid: int) -> tuple[str, str]:
    """Return the letter of a process's state and its parent; empty for one that is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    state, parent, *_ = stat.rpartition(")")[2].split()
    return state, parent


def wait_until(
    ready: Callable[[], bool], *, pid: int, name: str, log: Path, timeout: float
) -> None:
    """Wait until a daemon that was just started answers.

    Args:
        ready: Asks it.
        pid: Its process.
        name: What people call it.
        log: Its output.
        timeout: Seconds to wait.

    Raises:
        EngineError: It ended, or did not answer in time.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        ended = not is_alive(pid)
        if ended or time.monotonic() > deadline:
            what = "ended at once" if ended else f"did not answer in {timeout:.0f} seconds"
            raise EngineError(
                f"the sandbox's {name} {what}",
                cause=tail(log),
                remedy=f"its whole output is in {log}",
            )
        time.sleep(_POLL_SECONDS)


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n    ".join(lines[-_LOG_LINES:])


def start(argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> int:
    """Start a daemon and return its pid."""
    log.parent.mkdir(parents=True, exist_ok=True)
    return process.spawn(argv, log=log, env=env)


def stop(pids: Sequence[int], program: str, mark: str, *, grace: float) -> bool:
    """End processes: ask, wait, then force.

    Args:
        pids: The processes.
        program: As in `running`; asked again before each signal, so that a number that was
            given to another program meanwhile is left alone.
        mark: As in `running`.
        grace: Seconds they may take to end by themselves.

    Returns:
        Whether any was there to end.
    """
    any_there = False
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = [pid for pid in pids if _matches(arguments(pid), program, mark)]
        for pid in left:
            any_there = True
            signal_to(pid, number)
        deadline = time.monotonic() + grace
        while any(_matches(arguments(pid), program, mark) for pid in left):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
    return any_there


def signal_to(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
