"""Finding that nothing has changed in a large context, beside builds that find the same.

``python benchmarks/plan.py [--quick] [--store STORE]``; it needs what the sandbox needs, and prints
why where there is none.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bailing_tasks import sandbox
from benchmarks.support import bed
from benchmarks.support.bed import Engine
from benchmarks.support.turns import by_turns

FILES = 10_000
SIZE = 20_000
AIM = 0.5
"""Seconds for a plan of a whole process."""
SETTINGS = """\
[tool.bailing-tasks.app]
builder-arg = ""
image = "bailing-bench-plan"
"""
PLAN = [sys.executable, "-m", "invoke", "plan"]
BUILD = [sys.executable, "-m", "invoke", "build-app"]
DOCKER = ["docker", "buildx", "build", "--quiet", "--provenance=false", "--load", "."]


def main() -> int:
    """Print the tables, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files, three rounds")
    parser.add_argument("--store", action="append", choices=sandbox.STORES, help="repeatable")
    options = parser.parse_args()
    if reason := sandbox.unavailable():
        print(f"skipped: {reason}")
        return 0
    count, rounds = (FILES // 10, 3) if options.quick else (FILES, 11)
    with bed.up(options.store or sandbox.STORES) as (_, engines):
        for engine in engines:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write(folder, count)
                measure(engine, folder, count, rounds)
                changed(engine, folder)
            engine.clear("bailing-bench-plan*", "localhost/bailing-bench-plan*")
    return 0


def write(folder: Path, count: int) -> None:
    """Write a workspace whose app copies all of its context."""
    for number in range(count):
        file = folder / "src" / f"{number // 100:03}" / f"{number % 100:02}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(SIZE))
    folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY . /app\n")
    folder.joinpath(".dockerignore").write_text("**/*.pyc\n.git\n.bailing-tasks\n")
    folder.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    folder.joinpath("pyproject.toml").write_text(SETTINGS)


def measure(engine: Engine, folder: Path, count: int, rounds: int) -> None:
    """Print what it takes to find that nothing has changed."""
    first = engine.must(PLAN, cwd=folder).seconds
    engine.must(BUILD, cwd=folder)
    engine.must(DOCKER, cwd=folder)
    commands = {
        "invoke plan": PLAN,
        "invoke build-app, skipped": BUILD,
        "docker buildx build, all cached": DOCKER,
    }
    seconds = by_turns(engine, folder, commands, rounds)
    megabytes = count * SIZE / 1e6
    print(f"\nnothing changed, {engine.store} store: {count} files, {megabytes:.0f} MB;", end=" ")
    print(f"medians of {rounds} (the first plan, which reads all: {first:.2f} s)\n")
    print("| what | seconds | ratio | aim, seconds |\n|---|---|---|---|")
    *_, theirs = seconds.values()
    for name, value in seconds.items():
        aim = f"{AIM:.2f}" if name == "invoke plan" else ""
        print(f"| {name} | {value:.3f} | {value / theirs:.2f} | {aim} |", flush=True)


def changed(engine: Engine, folder: Path) -> None:
    """Print whether a change is seen that leaves a file's size and time of writing as they were."""
    file = folder / "src" / "000" / "07.bin"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    shown = engine.must(PLAN, cwd=folder).stdout
    seen = "file changed: src/000/07.bin" in shown
    print(f"\na changed file of the same size and time is {'seen' if seen else 'NOT SEEN'}")


if __name__ == "__main__":
    sys.exit(main())
