"""Building many services, and finding that nothing has changed, beside `docker buildx bake`.

``python benchmarks/services.py [--quick] [--store STORE]``; it needs what the sandbox needs, and
prints why where there is none.

Cold: the base images are in the engine and no image of a service is; a file of each service is
written anew before every command, so that no COPY, nor what follows it, comes from the build cache.
Bake has the same Dockerfiles, contexts, links between services, attestations and engine, and takes
turns with the tasks.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bailing_tasks import sandbox
from benchmarks.support import bed, services
from benchmarks.support.bed import Engine
from benchmarks.support.services import Services
from benchmarks.support.turns import by_turns

SERVICES, MANY = 25, 300
FEW = 5
COLD_AIM, NOTHING_AIM = 1.05, 1.0
PLAN_AIM = 1.5
"""Seconds for a plan of a whole process."""
INVOKE = [sys.executable, "-m", "invoke"]
BUILD = [*INVOKE, "build-all"]
PLAN = [*INVOKE, "plan"]
BAKE = ["docker", "buildx", "bake", "--file", "bake.json", "--progress=quiet"]
PEAK = """
import atexit, re, sys
def tell():
    with open("/proc/self/status") as status, open("peak", "w") as file:
        file.write(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1])
atexit.register(tell)
from invoke.main import program
program.run()
"""
"""Invoke, which writes down the largest memory of its own process: `buildx` does not count."""


def main() -> int:
    """Print the tables, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the services, few rounds")
    parser.add_argument("--store", action="append", choices=sandbox.STORES, help="repeatable")
    options = parser.parse_args()
    if reason := sandbox.unavailable():
        print(f"skipped: {reason}")
        return 0
    count, many, rounds = (8, 100, 1) if options.quick else (SERVICES, MANY, 5)
    with bed.up(options.store or sandbox.STORES) as (registry, engines):
        for engine in engines:
            images = (services.PYTHON, services.DEBIAN)
            sandbox.up(references=images, platforms=["linux/amd64"], store=engine.store)
            for image in images:
                engine.must(["docker", "pull", "--quiet", f"{registry}/{image}"])
            print_builds(engine, registry, count, rounds)
            print_many(engine, registry, many, rounds)
            print_memory(engine, registry, count, many)
    return 0


@contextmanager
def workspace(
    engine: Engine, registry: str, count: int, work: str = services.WORK
) -> Iterator[Services]:
    """Make a workspace, and take away its images at the end."""
    with tempfile.TemporaryDirectory() as name:
        attests = engine.store == "containerd"
        yield services.write(Path(name), count, registry=registry, work=work, attests=attests)
        engine.remove(*services.PATTERNS)


def print_builds(engine: Engine, registry: str, count: int, rounds: int) -> None:
    """Print what builds of all services take, cold and with nothing changed."""
    with workspace(engine, registry, count) as made:
        commands = {"invoke build-all": BUILD, "docker buildx bake": BAKE}
        cold: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, argv in commands.items():
                engine.remove(*services.PATTERNS)
                made.change()
                cold[name].append(engine.must(argv, cwd=made.folder).seconds)
        engine.must(BUILD, cwd=made.folder)
        nothing = by_turns(engine, made.folder, commands, 2 * rounds + 1)
    medians = {name: statistics.median(seconds) for name, seconds in cold.items()}
    print(f"\n{count} services, {engine.store} store; medians of {rounds} and {2 * rounds + 1}\n")
    print("| what | seconds | ratio | aim, ratio |\n|---|---|---|---|")
    for what, seconds, aim in (("cold", medians, COLD_AIM), ("nothing", nothing, NOTHING_AIM)):
        ours, theirs = seconds.values()
        words = "cold" if what == "cold" else "nothing changed"
        print(f"| invoke build-all, {words} | {ours:.2f} | {ours / theirs:.2f} | {aim:.2f} |")
        print(f"| docker buildx bake, {words} | {theirs:.2f} | 1.00 | |", flush=True)


def print_many(engine: Engine, registry: str, count: int, rounds: int) -> None:
    """Print what it takes to find that nothing has changed for very many services.

    Their Dockerfiles have no RUN: it is planned the same, and built sooner. Bake is no peer here:
    of 300 targets at once the engine's BuildKit loses some ("no such job").
    """
    with workspace(engine, registry, count, work="") as made:
        engine.must(BUILD, cwd=made.folder)
        names = " ".join(f"{services.NAMESPACE}/{name}:1.0" for name in made.names)
        script = f"for name in {names}; do docker image inspect $name >/dev/null || exit; done"
        seconds = by_turns(engine, made.folder, {"invoke plan": PLAN}, 2 * rounds + 1)
        seconds["invoke build-all"] = engine.must(BUILD, cwd=made.folder).seconds
        seconds["docker image inspect, a loop"] = engine.must(["sh", "-c", script]).seconds
    print(f"\n{count} services, nothing changed, {engine.store} store;", end=" ")
    print(f"plan: median of {2 * rounds + 1}, the others once\n")
    print("| what | seconds | aim, seconds |\n|---|---|---|")
    for name, value in seconds.items():
        aim = f"{PLAN_AIM:.2f}" if name == "invoke plan" else ""
        print(f"| {name} | {value:.2f} | {aim} |", flush=True)


def print_memory(engine: Engine, registry: str, count: int, many: int) -> None:
    """Print the largest memory of a process, for few services and for many."""
    print(f"\nlargest memory of the process, {engine.store} store\n")
    print("| what | services | MiB |\n|---|---|---|")
    for size in (count, many):
        with workspace(engine, registry, size, work="") as made:
            print(f"| invoke plan | {size} | {peak(engine, made, 'plan'):.0f} |", flush=True)
    for size in (FEW, count):
        with workspace(engine, registry, size, work=services.LOUD) as made:
            mebibytes = peak(engine, made, "build-all")
            print(f"| invoke build-all, 2 MB of log each | {size} | {mebibytes:.0f} |", flush=True)


def peak(engine: Engine, made: Services, task: str) -> float:
    """Return the largest memory of a run of a task, in MiB."""
    engine.must([sys.executable, "-c", PEAK, task], cwd=made.folder)
    return int(made.folder.joinpath("peak").read_text()) / 1024


if __name__ == "__main__":
    sys.exit(main())
