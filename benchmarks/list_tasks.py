"""How long `invoke --list` takes with these tasks, beside a bare Invoke with one empty task.

The two are run by turns, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from bailing_tasks import process

ROUNDS = 21
AIM = 1.15

BARE = """\
from invoke import task


@task
def empty(c):
    "Does nothing."
"""
OURS = "from bailing_tasks import namespace\n"


def seconds(folder: Path) -> float:
    """Return the wall time of one listing in a folder."""
    started = time.perf_counter()
    result = process.run([sys.executable, "-m", "invoke", "--list"], cwd=folder)
    taken = time.perf_counter() - started
    if not result.ok:
        raise SystemExit(result.stderr)
    return taken


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folders = {"bare Invoke, one empty task": BARE, "bailing-tasks": OURS}
        times: dict[str, list[float]] = {label: [] for label in folders}
        for number, (label, text) in enumerate(folders.items()):
            folder = Path(name, str(number))
            folder.mkdir()
            (folder / "tasks.py").write_text(text)
            folders[label] = str(folder)
        for _ in range(ROUNDS):
            for label, path in folders.items():
                times[label].append(seconds(Path(path)))
    medians = {label: statistics.median(values) for label, values in times.items()}
    bare, ours = medians.values()
    print(f"invoke --list, median of {ROUNDS} runs by turns")
    for label, value in medians.items():
        print(f"  {label:30} {value * 1000:6.0f} ms")
    print(f"  ratio {ours / bare:.3f} (aim: at most {AIM})")


if __name__ == "__main__":
    main()
