"""The one place that starts a process. Argument lists only, never a shell.

No secret may be put on a command line: arguments are shown in dry runs, logs and errors.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks.descendants import Process, families
from bailing_tasks.errors import EngineError
from bailing_tasks.units import without_controls

GRACE_SECONDS = 10.0
"""How long a child may take to end after each signal, from SIGINT to SIGKILL."""
POLL_SECONDS = 0.02
DRAIN_SECONDS = 1.0
"""How long the output of what was killed is waited for."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What a finished process left.

    Attributes:
        argv: The command as it was run.
        returncode: Its exit code, negative for a signal.
        stdout: Its standard output as text.
        stderr: Its standard error as text.
        seconds: Wall time.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.returncode == 0


def find(name: str, *, path: str | None = None) -> str | None:
    """Return the absolute path of a program, or None where there is none."""
    return shutil.which(name, path=path)


def quote(argv: Sequence[str]) -> str:
    """Return a command line a person can paste into a shell."""
    return shlex.join(argv)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    show_stderr: bool = False,
) -> Completed:
    """Run a command to its end and return what it printed; a failure is the caller's to judge.

    Args:
        argv: Program and arguments.
        env: The whole environment of the child; this process's by default.
        cwd: Working folder; this process's by default.
        stdin: Text for its standard input; empty by default.
        timeout: Seconds until it is killed, with all that it has started; its return code is then
            -9. Such a command has no terminal to ask questions on.
        show_stderr: Let its standard error go where this process's goes; `stderr` is then empty.

    Raises:
        EngineError: The program is not there.
    """
    started = time.monotonic()
    errors = None if show_stderr else subprocess.PIPE
    apart = timeout is not None
    with _running(
        _popen(argv, env, cwd, subprocess.PIPE, errors, piped=True, apart=apart)
    ) as child:
        try:
            out, err = child.communicate((stdin or "").encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            out, err = _killed(child)
    return Completed(
        argv=tuple(argv),
        returncode=child.returncode,
        stdout=out.decode(errors="replace"),
        stderr=(err or b"").decode(errors="replace"),
        seconds=time.monotonic() - started,
    )


def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a command and hand each line it prints, on either stream, to `on_line` as it comes.

    Returns:
        The result, which holds nothing of what it printed.

    Raises:
        EngineError: The program is not there.
    """
    started = time.monotonic()
    with _running(_popen(argv, env, cwd, subprocess.PIPE, subprocess.STDOUT)) as child:
        assert child.stdout is not None
        for raw in child.stdout:
            on_line(raw.decode(errors="replace").rstrip("\r\n"))
    return Completed(
        argv=tuple(argv),
        returncode=child.returncode,
        stdout="",
        stderr="",
        seconds=time.monotonic() - started,
    )


def spawn(argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a daemon in a session of its own, its output appended to a file; return its pid.

    Raises:
        EngineError: The program is not there.
    """
    with log.open("ab") as out:
        child = _popen(argv, env, None, out.fileno(), subprocess.STDOUT, apart=True)
    child.returncode = 0  # nobody waits for it: it may outlive this process
    return child.pid


def _popen(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdout: int,
    stderr: int | None,
    *,
    piped: bool = False,
    apart: bool = False,
) -> subprocess.Popen[bytes]:
    if _echo.is_set():
        print(without_controls(quote(argv)), file=sys.stderr, flush=True)
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=apart,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise EngineError(f"the folder {cwd} is not there") from error
        raise EngineError(
            f"the program {argv[0]!r} is not there",
            cause=f"it is not on PATH ({os.environ.get('PATH', '')})",
            remedy=f"install {argv[0]} or put it on PATH",
        ) from error
    except PermissionError as error:
        raise EngineError(
            f"the program {argv[0]!r} may not be started", cause=str(error)
        ) from error


def _killed(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Kill a child's process group; return what was printed until then.

    What has left the group may hold the pipes open (ssh's ControlPersist) and is not waited for.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    try:
        return child.communicate(timeout=DRAIN_SECONDS)
    except subprocess.TimeoutExpired as expired:
        return expired.output or b"", expired.stderr or b""


_children: set[subprocess.Popen[bytes]] = set()
_interrupted = threading.Event()
_terminated = False
_signalled: set[Process] = set()
"""What `terminate` has found: a shell may be gone before what it has started."""
_echo = threading.Event()


def echo() -> None:
    """Print each command on standard error as it is started, from now on."""
    _echo.set()


def terminate() -> None:
    """Send SIGTERM to all that this process waits for.

    Until `end` is called, other threads start nothing, and what they wait for raises
    KeyboardInterrupt.
    """
    global _terminated
    _terminated = True
    _signalled.update(families([child.pid for child in list(_children)]))
    for each in _signalled:
        each.send(signal.SIGTERM)


def end() -> None:
    """Wait for all that Ctrl-C or `terminate` has interrupted, and kill what does not end."""
    global _terminated
    _end(*_children)
    _signalled.clear()
    _terminated = False


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    """End what other threads have started, as Ctrl-C does; they start nothing during the block.

    Ctrl-C comes to the main thread alone. In the others, `run` and `stream` raise
    KeyboardInterrupt.
    """
    _interrupted.set()
    try:
        _end(*_children)
        yield
    finally:
        _interrupted.clear()


@contextlib.contextmanager
def _running(child: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Wait for a child at the end of the block, or end it where the run is interrupted."""
    _children.add(child)
    try:
        with child:
            try:
                _go_on()  # not where the run was interrupted before it was known
                yield child
            except KeyboardInterrupt:
                _end(child)
                raise
        _go_on()
    finally:
        _children.discard(child)


def _go_on() -> None:
    # The main thread, which a signal interrupts, may run commands to tidy up.
    others = threading.current_thread() is not threading.main_thread()
    if _interrupted.is_set() or (_terminated and others):
        raise KeyboardInterrupt


def _end(*children: subprocess.Popen[bytes]) -> None:
    """Let children finish that got Ctrl-C, then terminate them, then kill them.

    What they have started ends with them. Another Ctrl-C ends the wait for each signal.
    """
    pids = [child.pid for child in children]
    session = os.getsid(0)
    family = families(pids) | _signalled
    first = () if _terminated else (signal.SIGINT,)
    for number in (*first, signal.SIGTERM, signal.SIGKILL):
        over = time.monotonic() + GRACE_SECONDS
        for each in family:
            # A terminal sends Ctrl-C to this session by itself.
            reached = each.session == session if number == signal.SIGINT else each in _signalled
            if number == signal.SIGKILL or not reached:
                each.send(number)
        with contextlib.suppress(KeyboardInterrupt):
            while any(each.runs() for each in family) and time.monotonic() < over:
                time.sleep(POLL_SECONDS)
        family = frozenset(filter(Process.runs, family | families(pids)))
        if not family:
            return
