"""Processes end with the run or when their time is over, with all that they have started."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from bailing_tasks import process

PARENT = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session={apart})
print(child.pid, flush=True)
child.wait()
"""
"""A program whose child goes on when it is killed, and holds its output open."""
SLEEP = "import time; time.sleep(600)"
STUBBORN = "import time; print('here', flush=True); time.sleep(600)"


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)


def test_an_interrupted_run_ends_what_its_threads_have_started() -> None:
    here = threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            process.stream([sys.executable, "-c", STUBBORN], lambda line: here.set())
        except KeyboardInterrupt as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert here.wait(60)
    with process.interrupted():
        thread.join(60)
    assert not thread.is_alive()
    assert len(raised) == 1


def test_nothing_is_started_while_a_run_is_being_interrupted() -> None:
    started = time.monotonic()
    with process.interrupted(), pytest.raises(KeyboardInterrupt):
        process.run([sys.executable, "-c", STUBBORN])
    assert time.monotonic() - started < 60
    assert process.run([sys.executable, "-c", "print(1)"]).stdout == "1\n"


def parent(child: str = SLEEP, *, apart: bool = False) -> list[str]:
    return [sys.executable, "-c", PARENT.format(child=child, apart=apart)]


def runs(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid: str) -> bool:
    over = time.monotonic() + 10
    while runs(pid) and time.monotonic() < over:
        time.sleep(0.01)
    return not runs(pid)


def test_a_timeout_ends_all_that_a_process_has_started() -> None:
    done = process.run(parent(), timeout=1.0)
    assert done.seconds < 30
    assert done.returncode == -signal.SIGKILL
    assert ends(done.stdout.strip())


def test_a_timeout_waits_for_nothing_that_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "DRAIN_SECONDS", 0.1)
    done = process.run(parent(apart=True), timeout=1.0)
    assert done.seconds < 30
    pid = done.stdout.strip()
    assert runs(pid)
    os.kill(int(pid), signal.SIGKILL)


def test_within_its_time_a_process_prints_what_it_has_to_say() -> None:
    script = "import sys; print(sys.stdin.read()); sys.exit(3)"
    done = process.run([sys.executable, "-c", script], stdin="in", timeout=60.0)
    assert (done.returncode, done.stdout) == (3, "in\n")


def test_what_a_process_has_started_ends_with_an_interrupted_run() -> None:
    pids: list[str] = []
    here = threading.Event()

    def take(line: str) -> None:
        pids.append(line)
        here.set()

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            process.stream(parent(), take)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert here.wait(60)
    with process.interrupted():
        thread.join(60)
    assert not thread.is_alive()
    assert ends(pids[0])


def test_what_has_a_session_of_its_own_hears_of_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 30.0)
    here, heard = tmp_path / "here", tmp_path / "heard"
    script = "import pathlib, time\ntry:\n    pathlib.Path({!r}).touch(); time.sleep(600)\n"
    script += "except KeyboardInterrupt:\n    pathlib.Path({!r}).touch()"
    argv = [sys.executable, "-c", script.format(str(here), str(heard))]

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            process.run(argv, timeout=600.0)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not here.exists():
        time.sleep(0.01)
    with process.interrupted():
        thread.join(60)
    assert heard.exists()


def test_other_threads_take_a_signal_for_ctrl_c() -> None:
    here = threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        for _ in range(2):
            try:
                process.stream([sys.executable, "-c", STUBBORN], lambda line: here.set())
            except KeyboardInterrupt as error:
                raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert here.wait(60)
    process.terminate()
    thread.join(60)
    assert len(raised) == 2
    # The thread that was interrupted may tidy up.
    assert process.run([sys.executable, "-c", "print(1)"]).stdout == "1\n"
    process.end()


def test_a_daemon_outlives_what_started_it(tmp_path: Path) -> None:
    daemon = str(process.spawn([sys.executable, "-c", SLEEP], log=tmp_path / "log"))
    process.terminate()
    process.end()
    assert runs(daemon)
    os.kill(int(daemon), signal.SIGKILL)
