"""Commands that are measured by turns: whatever else the machine does falls on all of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.support.bed import Engine


def by_turns(
    engine: Engine, folder: Path, commands: Mapping[str, Sequence[str]], rounds: int
) -> dict[str, float]:
    """Return the median seconds of commands that take turns, after one turn unmeasured."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, argv in commands.items():
            taken[name].append(engine.must(argv, cwd=folder).seconds)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}
