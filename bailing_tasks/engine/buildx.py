"""Builds, through `docker buildx`."""

from __future__ import annotations

import csv
import functools
import io
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.platforms import Platform

LOST = re.compile(
    r"snapshot \S+ does not exist: not found|missing lease requirement"
    r"|failed to receive status: rpc error"
)
"""What BuildKit says where a build that has ended took along what another one goes on with, and
buildx where it has lost sight of a build. Once more, it goes well (issue 4419 and pull request 6808
of moby/buildkit).
"""
_VERTEX = re.compile(r"^#(\d+) \[(?!internal|context )([^\]]*)\] (.*)$")
_OUTCOME = re.compile(r"^#(\d+) (CACHED|DONE|ERROR|CANCELED)\b")


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One build of one target for one platform.

    Attributes:
        builder: The name of the buildx builder.
        docker_context: The Docker context to build in, which the builder of another one needs;
            empty for the current one.
        dockerfile: The Dockerfile to build.
        context: The build context.
        stage: The stage to build; empty for the last.
        platform: The platform to build for.
        build_args: Build arguments.
        build_contexts: Named contexts, such as `pin-…` to `docker-image://…`.
        secrets: Build secrets by id: a file, or `env:NAME`.
        labels: Labels of the image.
        destination: The arguments that say where the result goes, and under which name.
        provenance: How much is said of how it was made, `min` or `max`; empty for nothing.
        scanner: The image that lists what is in it (SBOM), as BuildKit finds it; empty for none.
        no_cache: Whether BuildKit may not use its cache.
        cache_from: Where an earlier build's cache comes from, as buildx writes it; empty for none.
        cache_to: Where this build's cache goes; empty for nowhere.
    """

    builder: str
    docker_context: str
    dockerfile: Path
    context: Path
    stage: str
    platform: Platform
    build_args: Mapping[str, str]
    build_contexts: Mapping[str, str]
    secrets: Mapping[str, str]
    labels: Mapping[str, str]
    destination: Sequence[str]
    provenance: str = ""
    scanner: str = ""
    no_cache: bool = False
    cache_from: str = ""
    cache_to: str = ""

    def command(self) -> list[str]:
        """Return the command line, which holds no secret."""
        argv = [*docker(self.docker_context), "buildx", "build", "--builder", self.builder]
        argv += ["--file", str(self.dockerfile), "--platform", str(self.platform)]
        if self.stage:
            argv += ["--target", self.stage]
        argv += _repeated("--build-arg", self.build_args)
        argv += _repeated("--build-context", self.build_contexts)
        for name, place in sorted(self.secrets.items()):
            argv += ["--secret", secret(name, place)]
        argv += _repeated("--label", self.labels)
        argv += self.destination
        if self.no_cache:
            argv.append("--no-cache")
        argv += ["--cache-from", self.cache_from] if self.cache_from else []
        argv += ["--cache-to", self.cache_to] if self.cache_to else []
        argv.append(f"--provenance={f'mode={self.provenance}' if self.provenance else 'false'}")
        argv += [f"--sbom=generator={self.scanner}"] if self.scanner else []
        return [*argv, "--progress=plain", str(self.context)]


def docker(context: str) -> list[str]:
    """Return the docker command for a Docker context; empty for the current one."""
    return ["docker", "--context", context] if context else ["docker"]


def fields(*parts: str) -> str:
    """Return the fields of an option as buildx reads them: CSV, quoted where a path needs it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(parts)
    return text.getvalue()


def secret(name: str, place: str) -> str:
    """Return what buildx is told of a build secret."""
    from_file = not place.startswith("env:")
    return fields(
        f"id={name}", f"src={place}" if from_file else f"env={place.removeprefix('env:')}"
    )


def _repeated(flag: str, values: Mapping[str, str]) -> list[str]:
    return [part for key in sorted(values) for part in (flag, f"{key}={values[key]}")]


@dataclass(frozen=True, kw_only=True)
class BuildLog:
    """What BuildKit said of a build.

    Attributes:
        ok: Whether it succeeded.
        interrupted: Whether it was ended by Ctrl-C.
        seconds: Wall time.
        steps: How many steps of the Dockerfile it took.
        cached: How many of them came from the build cache.
        text: All it printed.
    """

    ok: bool
    interrupted: bool
    seconds: float
    steps: int
    cached: int
    text: str


def build(request: BuildRequest, on_line: Callable[[str], None]) -> BuildLog:
    """Run a build to its end, once more where BuildKit has lost something.

    A failed one is returned, not raised.

    Raises:
        EngineError: The docker command is not there.
    """
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    result = process.stream(request.command(), take)
    if not result.ok and LOST.search("\n".join(lines)):
        lines.clear()
        result = process.stream(request.command(), take)
    steps, cached = count_steps(lines)
    return BuildLog(
        ok=result.ok,
        interrupted=result.returncode in (-signal.SIGINT, 128 + signal.SIGINT),
        seconds=result.seconds,
        steps=steps,
        cached=cached,
        text="\n".join(lines),
    )


def count_steps(lines: Sequence[str]) -> tuple[int, int]:
    """Return how many steps a plain progress log has, and how many of them were cached."""
    steps = {match[1] for line in lines if (match := _VERTEX.match(line))}
    outcomes = [match.groups() for line in lines if (match := _OUTCOME.match(line))]
    cached = {number for number, outcome in outcomes if outcome == "CACHED"}
    return len(steps), len(steps & cached)


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A builder as buildx knows it.

    Attributes:
        name: Its name.
        driver: `docker` for a Docker engine, empty for one that is stopped; anything else is a
            BuildKit of its own.
        context: The Docker context of a Docker engine.
        platforms: What it runs, emulated platforms included, its machine's own first.
    """

    name: str
    driver: str
    context: str
    platforms: tuple[Platform, ...]

    @property
    def is_docker(self) -> bool:
        """Whether it builds in a Docker engine."""
        return self.driver in ("", "docker")


def inspect(builder: str) -> Builder:
    """Return what buildx knows of a builder; start it where it is none of Docker's and rests.

    Raises:
        EngineError: There is no such builder, or it does not start.
    """
    found = _inspected(builder, "buildx knows no such builder")
    if found.is_docker or found.platforms:
        return found
    started = _inspected(builder, "it does not start", "--bootstrap")
    if not started.platforms:
        raise _unusable(builder, "it does not say what it runs")
    return started


@functools.cache
def platforms(builder: str) -> tuple[Platform, ...]:
    """Return the platforms that a builder can run, emulated ones included; it is asked once.

    Raises:
        EngineError: buildx does not know the builder, or it does not answer.
    """
    found = inspect(builder).platforms
    if not found:
        raise _unusable(builder, "it does not say what it runs")
    return found


def _inspected(builder: str, trouble: str, *options: str) -> Builder:
    answer = process.run(["docker", "buildx", "inspect", *options, builder])
    if not answer.ok:
        said = (answer.stderr or answer.stdout).strip().splitlines()
        raise _unusable(builder, f"{trouble} ({said[-1] if said else 'it says nothing'})")
    fields: dict[str, str] = {}
    for line in answer.stdout.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name, value.strip())
    names = (name.strip(" *") for name in fields.get("Platforms", "").split(","))
    return Builder(
        name=builder,
        driver=fields.get("Driver", ""),
        context=fields.get("Endpoint", builder),
        platforms=tuple(dict.fromkeys(Platform.parse(name) for name in names if name)),
    )


def _unusable(builder: str, cause: str) -> EngineError:
    return EngineError(
        f"the buildx builder {builder!r} cannot be used",
        cause=cause,
        remedy="`docker buildx ls` lists the builders, `docker buildx inspect --bootstrap` starts "
        "one; the setting buildx-builder or the variable BUILDX_BUILDER names another",
    )
