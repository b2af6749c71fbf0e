"""What ends a run as Ctrl-C does: SIGTERM, SIGHUP, and the end of the time that it may take."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from bailing_tasks import process
from bailing_tasks.console import leave_closed_terminal


@contextlib.contextmanager
def interruptible(deadline: float | None = None) -> Iterator[list[signal.Signals]]:
    """Let SIGTERM, SIGHUP and the end of the time raise KeyboardInterrupt in the block.

    All that the run has started is terminated. Only the first signal counts: `timeout` sends two,
    and the second one must not disturb what the first one ends. A signal that is ignored or handled
    already stays so, as SIGHUP under `nohup`.

    Args:
        deadline: When the time is over, by `time.monotonic()`; None for never.

    Yields:
        The signal that came, once one has; SIGALRM when the time is over.
    """
    came: list[signal.Signals] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if not came:
            came.append(signal.Signals(number))
            leave_closed_terminal()
            process.terminate()
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals come to the main one
        yield came
        return
    with contextlib.ExitStack() as at_end:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            if signal.getsignal(number) is signal.SIG_DFL:
                at_end.callback(signal.signal, number, signal.signal(number, interrupt))
        if deadline is not None:
            at_end.callback(signal.setitimer, signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 1e-6))
        try:
            yield came
        except KeyboardInterrupt:
            process.end()  # what nothing has waited for
            raise
