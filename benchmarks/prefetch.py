"""Bringing images, and finding that nothing has to be brought, beside what others do it with.

``python benchmarks/prefetch.py [--quick] [--store STORE] [--jobs N]``; it needs what the sandbox
needs, and prints why where there is none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).parents[1]))

from bailing_tasks import sandbox
from benchmarks.support import bed, cold, images, reference_app
from benchmarks.support.bed import Engine
from benchmarks.support.slow_link import SlowLink
from benchmarks.support.turns import by_turns

RATE = 200e6
"""Bits a second."""
ROUND_TRIP = 0.05
COLD_AIM = 1.10
WARM_AIM = 0.5
NOTHING_AIM = 1.0
MB = 1_000_000


def main() -> int:
    """Print the tables, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 images instead of 25, one round")
    parser.add_argument("--store", action="append", choices=sandbox.STORES, help="repeatable")
    parser.add_argument("--jobs", action="append", default=[], help="further rows (repeatable)")
    options = parser.parse_args()
    if reason := sandbox.unavailable():
        print(f"skipped: {reason}")
        return 0
    count, rounds = (8, 1) if options.quick else (25, 3)
    with bed.up(options.store or sandbox.STORES) as (registry, engines):
        made = images.ensure(registry, count)
        ways = [cold.prefetch(), *(cold.prefetch("--jobs", jobs) for jobs in options.jobs)]
        ways += [cold.pull_loop(), cold.pull_at_once(), cold.compose_pull(bed.compose())]
        ways.append(cold.bake())
        print_versions(engines[0])
        with SlowLink(registry, rate=RATE, round_trip=ROUND_TRIP) as link:
            print_link(link, made)
            for engine in engines:
                print_cold(engine, link, made, ways, rounds)
                print_warm(engine, link, made, 4 * rounds + 3)
        for engine in engines:
            print_nothing_to_do(engine.store, 4 * rounds + 3)
    return 0


def print_versions(engine: Engine) -> None:
    """Print what is measured beside."""
    commands = (
        ["docker", "version", "--format", "docker {{.Server.Version}}"],
        ["docker", "buildx", "version"],
        [bed.compose(), "version"],
    )
    for argv in commands:
        print(engine.must(argv).stdout.strip())


def print_link(link: SlowLink, made: Sequence[images.Image]) -> None:
    """Print what the proxy reaches, by itself: it may not be what is measured."""
    image = made[-1]
    digest, size = max(image.layers.items(), key=lambda layer: layer[1])
    url = f"http://{link.address}/v2/{image.name.rpartition(':')[0]}/blobs/{digest}"
    requests.head(url, timeout=10).raise_for_status()
    began = time.monotonic()
    requests.head(f"http://{link.address}/v2/", timeout=10)
    trip = (time.monotonic() - began) / 2
    print(f"link: {RATE / 1e6:.0f} Mbit/s, {ROUND_TRIP * 1000:.0f} ms a round trip;", end=" ")
    print(f"seen {trip * 1000:.0f} ms,", end=" ")
    for count in (1, 10):
        began = time.monotonic()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda _: requests.get(url, timeout=60), range(count)))
        reached = count * size * 8 / (time.monotonic() - began)
        print(f"{count} at once {reached / 1e6:.0f} Mbit/s", end="; " if count == 1 else "\n")


def print_cold(
    engine: Engine,
    link: SlowLink,
    made: Sequence[images.Image],
    ways: Sequence[cold.Way],
    rounds: int,
) -> None:
    """Print how long each way takes from an empty store, beside the network's own time."""
    names = [image.name for image in made]
    least = images.unique_bytes(made) * 8 / RATE
    runs: dict[str, list[cold.Run]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            found = cold.run(way, names, engine, link)
            runs[way.name].append(found)
            print(f"{engine.store}: {way.name}: {found.seconds:.1f} s", file=sys.stderr)
    total = images.unique_bytes(made) / MB
    print(f"\ncold, {engine.store} store: {len(made)} images, {total:.0f} MB,", end=" ")
    print(f"{least:.1f} s of bandwidth; medians of {rounds}\n")
    print("| what | seconds | ratio | aim | MB | connections | to first byte | idle | after last |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, measured in runs.items():
        found = cold.median(measured)
        aim = f"{COLD_AIM:.2f}" if name == "invoke prefetch" else ""
        print(
            f"| {name} | {found.seconds:.2f} | {found.seconds / least:.2f} | {aim} "
            f"| {found.bytes / MB:.0f} | {found.connections:.0f} "
            f"| {found.start:.2f} | {found.idle:.2f} | {found.tail:.2f} |",
            flush=True,
        )


def print_warm(engine: Engine, link: SlowLink, made: Sequence[images.Image], rounds: int) -> None:
    """Print what it takes to find that all images are there."""
    names = [f"{link.address}/{image.name}" for image in made]
    script = 'for image in "$@"; do docker image inspect "$image" || exit; done'
    prefetch = [sys.executable, "-m", "invoke", "prefetch"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cold.write_workspace(folder, names)
        engine.must(prefetch, cwd=folder)
        commands = {
            "invoke prefetch": prefetch,
            "invoke prefetch --offline": [*prefetch, "--offline"],
            f"{len(made)} x docker image inspect": ["sh", "-c", script, "sh", *names],
        }
        seconds = by_turns(engine, folder, commands, rounds)
    engine.clear(*cold.PATTERNS)
    print_table(f"warm, {engine.store} store: {len(made)} images present", seconds, WARM_AIM)


def print_nothing_to_do(store: str, rounds: int) -> None:
    """Print what the reference app costs when nothing has changed."""
    with tempfile.TemporaryDirectory() as name:
        engine, chain, bake = reference_app.prepare(Path(name), store)
        commands = {
            "invoke prefetch build-builder build-app": chain,
            "docker buildx bake, two linked targets": bake,
        }
        seconds = by_turns(engine, Path(name), commands, rounds)
    print_table(f"nothing to do, {store} store: the reference app", seconds, NOTHING_AIM)


def print_table(title: str, seconds: Mapping[str, float], aim: float) -> None:
    """Print figures beside the last one, which is another's."""
    print(f"\n{title}\n\n| what | seconds | ratio | aim |\n|---|---|---|---|")
    *_, theirs = seconds.values()
    for number, (name, value) in enumerate(seconds.items()):
        wish = f"{aim:.2f}" if not number else ""
        print(f"| {name} | {value:.3f} | {value / theirs:.2f} | {wish} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
