"""Trying again, with growing waits, until the time is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from bailing_tasks.errors import RemoteError

ATTEMPTS = 4
FIRST_WAIT = 1.0
"""Seconds before the second attempt; each later wait is twice as long, with up to 25 % jitter."""
LONGEST_WAIT = 3600.0
"""Seconds; who asks for more is not waited for."""

Value = TypeVar("Value")


def retried(
    attempt: Callable[[], Value],
    on_wait: Callable[[RemoteError, int, float], None],
    *,
    left: Callable[[], float] = lambda: float("inf"),
    sleep: Callable[[float], object] = time.sleep,
) -> Value:
    """Return what `attempt` returns, trying again where its failure is transient.

    A registry that asks to wait longer (`Retry-After`) is waited for as long as it asks, unless
    that is an hour or more.

    Args:
        attempt: What is tried.
        on_wait: Told the failure, the number of the next attempt and the seconds until then.
        left: Returns the seconds that are left; a wait that is longer is not begun.
        sleep: Waits.

    Raises:
        RemoteError: The last failure.
    """
    for number in range(2, ATTEMPTS + 1):
        try:
            return attempt()
        except RemoteError as error:
            wait = FIRST_WAIT * 2 ** (number - 2) * random.uniform(1.0, 1.25)  # noqa: S311
            wait = max(wait, error.retry_after or 0.0)
            if not error.transient or wait >= min(left(), LONGEST_WAIT):
                raise
            on_wait(error, number, wait)
            sleep(wait)
    return attempt()
