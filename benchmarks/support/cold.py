"""Ways to bring images that are not there; each starts from an empty store."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.bed import Engine
from benchmarks.support.images import NAMESPACE
from benchmarks.support.slow_link import SlowLink, Traffic

PATTERNS = (f"127.0.0.1:*/{NAMESPACE}/*", f"localhost/{NAMESPACE}/*")
"""What the images are called that a run brings; without their names the kept ones go too."""


@dataclass(frozen=True)
class Way:
    """A way to bring images.

    Attributes:
        name: For the table.
        prepare: Writes what it needs for some images into an empty folder; returns the command.
    """

    name: str
    prepare: Callable[[Path, Sequence[str]], list[str]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a way.

    Attributes:
        seconds: Wall time of its process.
        bytes: What came over the link.
        connections: How many connections it took.
        start: Seconds until the first byte came.
        idle: Seconds in which the link had nothing to do, between first and last byte.
        tail: Seconds after the last byte.
    """

    seconds: float
    bytes: float
    connections: float
    start: float
    idle: float
    tail: float


def run(way: Way, names: Sequence[str], engine: Engine, link: SlowLink) -> Run:
    """Run a way on an empty store."""
    engine.clear(*PATTERNS)
    with tempfile.TemporaryDirectory() as folder:
        argv = way.prepare(Path(folder), [f"{link.address}/{name}" for name in names])
        link.reset()
        began = time.monotonic()
        engine.must(argv, cwd=Path(folder))
        return _judged(began, time.monotonic(), link.traffic())


def _judged(began: float, ended: float, traffic: Traffic) -> Run:
    return Run(
        seconds=ended - began,
        bytes=traffic.bytes,
        connections=traffic.connections,
        start=traffic.first - began,
        idle=traffic.idle,
        tail=ended - traffic.last,
    )


def median(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    return Run(
        **{name: statistics.median(vars(run)[name] for run in runs) for name in vars(runs[0])}
    )


def prefetch(*options: str) -> Way:
    """Return `invoke prefetch`, with options."""

    def prepare(folder: Path, images: Sequence[str]) -> list[str]:
        write_workspace(folder, images)
        return [sys.executable, "-m", "invoke", "prefetch", *options]

    return Way(" ".join(["invoke prefetch", *options]), prepare)


def write_workspace(folder: Path, images: Sequence[str]) -> None:
    """Write a workspace whose Dockerfiles name some images."""
    first, *others, last = images
    copies = "".join(f"COPY --from={image} / /{n}/\n" for n, image in enumerate(others))
    folder.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    folder.joinpath("builder.dockerfile").write_text(f"FROM {first} AS builder\n{copies}")
    folder.joinpath("Dockerfile").write_text(f"FROM {last}\n")
    folder.joinpath("pyproject.toml").write_text(
        '[tool.bailing-tasks.builder]\ndockerfile = "builder.dockerfile"\n'
    )


def pull_loop() -> Way:
    """Return `docker pull`, one after the other, as build scripts do."""
    script = 'for image in "$@"; do docker pull --quiet "$image" || exit; done'
    return Way("docker pull, a loop", lambda _, images: ["sh", "-c", script, "sh", *images])


def pull_at_once() -> Way:
    """Return `docker pull`, all at once."""
    script = 'printf "%s\\n" "$@" | xargs --max-procs=0 --max-args=1 docker pull --quiet'
    return Way("docker pull, all at once", lambda _, images: ["sh", "-c", script, "sh", *images])


def compose_pull(program: str) -> Way:
    """Return `docker compose pull` of a service an image."""

    def prepare(folder: Path, images: Sequence[str]) -> list[str]:
        services = {f"s{n}": {"image": image} for n, image in enumerate(images)}
        folder.joinpath("compose.json").write_text(json.dumps({"services": services}))
        return [program, "--file", "compose.json", "pull", "--quiet"]

    return Way("docker compose pull", prepare)


def bake() -> Way:
    """Return `docker buildx bake` of a target FROM each image, into the engine's store."""

    def prepare(folder: Path, images: Sequence[str]) -> list[str]:
        targets = {
            f"t{n}": {
                "dockerfile-inline": f"FROM {image}\n",
                "tags": [f"localhost/{NAMESPACE}/bake:{n}"],
                "output": ["type=docker"],
            }
            for n, image in enumerate(images)
        }
        document = {"group": {"default": {"targets": list(targets)}}, "target": targets}
        folder.joinpath("bake.json").write_text(json.dumps(document))
        return ["docker", "buildx", "bake", "--file", "bake.json", "--progress=quiet"]

    return Way("docker buildx bake", prepare)
