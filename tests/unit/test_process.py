"""Processes that other threads wait for end with the run."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from bailing_tasks import process

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
