"""Brings every external image of a run into the engines that need it, one engine after the other.

Whatever fails, the others are brought; what is done about failures is decided at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bailing_tasks.console import Console
from bailing_tasks.outcomes import Outcome, PrefetchResult
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.progress import Transfers, transfers
from bailing_tasks.units import size
from bailing_tasks.wanted import WantedImage

Chooser = Callable[[Sequence[Outcome]], str]
"""Decides what to do about images that failed: `retry`, `continue` or `stop`."""

Part = tuple[Prefetcher, Sequence[WantedImage]]
"""What brings images into one engine, and which."""


def fetch(console: Console, parts: Sequence[Part], *, choose: Chooser) -> PrefetchResult:
    """Bring all images of a run; see the module.

    Args:
        console: Where it is shown.
        parts: The images of each engine.
        choose: Asked while there are failures.
    """
    started = time.monotonic()
    outcomes: list[dict[tuple[str, str], Outcome]] = [{} for _ in parts]
    left, count, decision = parts, 0, "retry"
    while decision == "retry":
        with transfers(console, sum(len(images) for _, images in left)) as shown:
            _bring(left, outcomes, shown)
        count += shown.bytes
        failed = [outcome for outcome in _all(parts, outcomes) if outcome.status == "failed"]
        left = [
            (prefetcher, [image for image in images if found[image.key] in failed])
            for (prefetcher, images), found in zip(parts, outcomes, strict=True)
        ]
        decision = choose(failed) if failed else ""
    return PrefetchResult(
        images=_all(parts, outcomes),
        bytes=count,
        seconds=time.monotonic() - started,
        stopped=decision == "stop",
    )


def summary(result: PrefetchResult) -> str:
    """Return a prefetch's result in a line."""
    counts = ", ".join(f"{count} {status}" for status, count in result.counts().items())
    return f"{counts}; {size(result.bytes)} in {result.seconds:.1f} s"


def _bring(
    parts: Sequence[Part], outcomes: Sequence[dict[tuple[str, str], Outcome]], shown: Transfers
) -> None:
    """Bring images, all within the time that each prefetch may take."""
    for prefetcher, _ in parts:
        prefetcher.begin()
    try:
        for (prefetcher, images), found in zip(parts, outcomes, strict=True):
            if images:
                found |= {outcome.key: outcome for outcome in prefetcher.fetch_all(images, shown)}
    except KeyboardInterrupt:
        for prefetcher, _ in parts:
            prefetcher.limits.cancelled.set()
        raise


def _all(
    parts: Sequence[Part], outcomes: Sequence[dict[tuple[str, str], Outcome]]
) -> tuple[Outcome, ...]:
    """Return the outcomes in the order of the images; two engines may want one."""
    pairs = zip(parts, outcomes, strict=True)
    return tuple(found[image.key] for (_, images), found in pairs for image in images)
