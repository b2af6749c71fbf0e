"""The promise: after a prefetch, a build needs no image registry and does not wait for one.

On each engine, for one platform and for two; `pytest -s` prints the matrix with request counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailing_tasks import sandbox
from tests.engine import tiny
from tests.engine.proxy import RegistryProxy
from tests.engine.remote import content, remote
from tests.engine.support import HOST, TRUE, Engine, Workspace, made, started, unique

HUB = "docker.io"
BUILDKIT = "buildkit"
BOTH = ("linux/amd64", "linux/arm64")
NAMES = ("base", "tool", "other", "twin")
PATIENCE = 15.0
"""Seconds by which two builds of the same may differ; who waits for a registry waits longer."""

BUILDER = """\
FROM --platform=$BUILDPLATFORM {base} AS host
RUN --mount=type=bind,from={tool},target=/tool ["/tool/true"]
FROM {base} AS builder
COPY --from=host /platform /host
COPY --from={other} /platform /other
"""
APP = """\
ARG BUILDER_IMAGE
FROM {twin} AS {twin}
COPY code /code
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}
COPY --from={twin} /code /code
COPY --from={twin} /platform /twin
COPY --from=builder /host /other /
"""
"""A stage is named like the image it is made from; what is copied from it is the stage's."""


@dataclass
class Cell:
    """A workspace whose base images come through a proxy, prefetched, and nothing built yet."""

    workspace: Workspace
    proxy: RegistryProxy
    platforms: tuple[str, ...]
    folder: Path

    def build(self) -> float:
        """Build everything; return the seconds it took."""
        result = self.workspace.invoke("build-builder", *self.options, "build-app", *self.options)
        assert result.ok, result.stdout + result.stderr
        return result.seconds

    @property
    def options(self) -> list[str]:
        return [part for platform in self.platforms for part in ("--platform", platform)]

    def check(self) -> None:
        """Each file comes from the image it should, for the platform it should."""
        for platform in self.platforms:
            files = self.files(platform)
            assert files == {
                "platform": f"base {platform}",
                "host": "base linux/amd64",
                "other": f"other {platform}",
                "twin": f"twin {platform}",
                "code": "code",
            }

    def files(self, platform: str) -> dict[str, str]:
        suffix = "" if platform == BOTH[0] else "-arm64"
        image = f"{self.workspace.environment['BAILING_TASKS_APP_IMAGE']}:latest{suffix}"
        engine, names = self.workspace.engine, ("platform", "host", "other", "twin", "code")
        if engine.store == BUILDKIT:
            found = content(self.workspace, image)
            return {name: found[name].decode() for name in names}
        container = engine.must("create", "--platform", platform, image, "-")
        copy = self.folder / f"copy{suffix}"
        try:
            engine.must("cp", f"{container}:/", str(copy))
        finally:
            engine.must("rm", container)
        return {name: copy.joinpath(name).read_text() for name in names}


@contextmanager
def prefetched(engine: Engine, platforms: tuple[str, ...], folder: Path) -> Iterator[Cell]:
    """A cell with images of its own, so that each pull is the first."""
    with RegistryProxy(engine.registry) as proxy:
        workspace = made(folder, engine)
        write(workspace, proxy, {name: unique(folder, name) for name in NAMES})
        cell = Cell(workspace, proxy, platforms, folder)
        found = workspace.document("prefetch", *cell.options, "--json")["prefetch"]
        assert found["failed"] == 0
        yield cell


def write(workspace: Workspace, proxy: RegistryProxy, names: dict[str, str]) -> None:
    """Push the images, and write Dockerfiles that name them."""
    paths = {name: f"{HOST}/{names[name]}:1" for name in NAMES}
    images = {name: f"{proxy.address}/{path}" for name, path in paths.items()}
    # Only an image of Docker Hub has a name that a stage can have as well.
    paths["twin"], images["twin"] = f"{HOST}/library/{names['twin']}:latest", names["twin"]
    for name, path in paths.items():
        contents = {
            platform: {
                "platform": f"{name} {platform}".encode(),
                "true": TRUE,
                "unlike-any-other": os.urandom(8),
            }
            for platform in BOTH
        }
        tiny.push_index(proxy.registry, path, contents)
    workspace.write("docker/dockerfile.dev", BUILDER.format(**images))
    workspace.write("Dockerfile", APP.format(**images))
    workspace.write("code", "code")
    workspace.environment |= {
        "BAILING_TASKS_MIRRORS": json.dumps({HUB: [f"http://{proxy.address}/{HOST}"]}),
        "BAILING_TASKS_BUILDER_IMAGE": unique(workspace.root, "promise-builder"),
        "BAILING_TASKS_APP_IMAGE": unique(workspace.root, "promise"),
    }


@dataclass(frozen=True)
class Built:
    """What a build did while the registry was up."""

    seconds: float
    requests: tuple[tuple[str, str, int], ...]


@pytest.fixture(scope="module", params=[*sandbox.STORES, BUILDKIT])
def engine(
    request: pytest.FixtureRequest, home: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine of each kind."""
    if request.param != BUILDKIT:
        yield started(request.param)
        return
    with remote(started(sandbox.STORES[0]), tmp_path_factory.mktemp(BUILDKIT)) as found:
        yield found


@pytest.fixture(scope="module", params=[BOTH[:1], BOTH], ids=["one-platform", "two-platforms"])
def platforms(request: pytest.FixtureRequest) -> tuple[str, ...]:
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture(scope="module")
def built(
    engine: Engine, platforms: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """A build while the registry is up: its requests are counted, its time is compared with."""
    with prefetched(engine, platforms, tmp_path_factory.mktemp("up")) as cell:
        before = len(cell.proxy.log)
        seconds = cell.build()
        cell.check()
        asked = cell.proxy.log[before:]
    tell(engine, platforms, f"up: {before} requests of the prefetch, {len(asked)} of the build")
    return Built(seconds, tuple(asked))


def test_a_build_after_a_prefetch_asks_no_registry(built: Built) -> None:
    assert built.requests == ()


def test_a_build_after_a_prefetch_does_without_the_registry(
    engine: Engine, platforms: tuple[str, ...], tmp_path: Path
) -> None:
    with prefetched(engine, platforms, tmp_path) as cell:
        cell.proxy.stop()
        seconds = cell.build()
        cell.check()
    tell(engine, platforms, f"gone: built in {seconds:.1f} s")


def test_a_build_after_a_prefetch_does_not_wait_for_a_silent_registry(
    engine: Engine, platforms: tuple[str, ...], built: Built, tmp_path: Path
) -> None:
    with prefetched(engine, platforms, tmp_path) as cell:
        cell.proxy.silent()
        before = len(cell.proxy.log)
        seconds = cell.build()
        cell.check()
        asked = len(cell.proxy.log) - before
    tell(
        engine,
        platforms,
        f"silent: built in {seconds:.1f} s, {asked} requests; up: {built.seconds:.1f} s",
    )
    assert seconds < built.seconds + PATIENCE


def tell(engine: Engine, platforms: tuple[str, ...], what: str) -> None:
    """Print a line of the matrix."""
    print(f"\n{engine.store}, {' + '.join(platforms)}: {what}")
