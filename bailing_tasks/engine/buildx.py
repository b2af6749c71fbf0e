"""Builds, through `docker buildx`."""

from __future__ import annotations

import csv
import io
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.platforms import Platform

_VERTEX = re.compile(r"^#(\d+) \[(?!internal|context )([^\]]*)\] (.*)$")
_OUTCOME = re.compile(r"^#(\d+) (CACHED|DONE|ERROR|CANCELED)\b")


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One build of one target for one platform.

    Attributes:
        builder: The name of the buildx builder.
        dockerfile: The Dockerfile to build.
        context: The build context.
        stage: The stage to build; empty for the last.
        platform: The platform to build for.
        build_args: Build arguments.
        build_contexts: Named contexts, such as `pin-…` to `docker-image://…`.
        secrets: Build secrets by id: a file, or `env:NAME`.
        labels: Labels of the image.
        tags: The names it gets when it stands.
        no_cache: Whether BuildKit may not use its cache.
    """

    builder: str
    dockerfile: Path
    context: Path
    stage: str
    platform: Platform
    build_args: Mapping[str, str]
    build_contexts: Mapping[str, str]
    secrets: Mapping[str, str]
    labels: Mapping[str, str]
    tags: Sequence[str]
    no_cache: bool = False

    def command(self) -> list[str]:
        """Return the command line, which holds no secret."""
        argv = ["docker", "buildx", "build", "--builder", self.builder]
        argv += ["--file", str(self.dockerfile), "--platform", str(self.platform)]
        if self.stage:
            argv += ["--target", self.stage]
        argv += _repeated("--build-arg", self.build_args)
        argv += _repeated("--build-context", self.build_contexts)
        for name, place in sorted(self.secrets.items()):
            argv += ["--secret", _secret(name, place)]
        argv += _repeated("--label", self.labels)
        for tag in self.tags:
            argv += ["--tag", tag]
        if self.no_cache:
            argv.append("--no-cache")
        return [*argv, "--provenance=false", "--load", "--progress=plain", str(self.context)]


def _secret(name: str, place: str) -> str:
    """Return the fields of a secret, quoted as CSV where a path needs it, which buildx reads."""
    from_file = not place.startswith("env:")
    field = f"src={place}" if from_file else f"env={place.removeprefix('env:')}"
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([f"id={name}", field])
    return text.getvalue()


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
    """Run a build to its end; a failed one is returned, not raised.

    Raises:
        EngineError: The docker command is not there.
    """
    result = process.stream(request.command(), on_line)
    steps, cached = count_steps(result.stdout.splitlines())
    return BuildLog(
        ok=result.ok,
        interrupted=result.returncode in (-signal.SIGINT, 128 + signal.SIGINT),
        seconds=result.seconds,
        steps=steps,
        cached=cached,
        text=result.stdout,
    )


def count_steps(lines: Sequence[str]) -> tuple[int, int]:
    """Return how many steps a plain progress log has, and how many of them were cached."""
    steps = {match[1] for line in lines if (match := _VERTEX.match(line))}
    outcomes = [match.groups() for line in lines if (match := _OUTCOME.match(line))]
    cached = {number for number, outcome in outcomes if outcome == "CACHED"}
    return len(steps), len(steps & cached)


def platforms(builder: str) -> tuple[Platform, ...]:
    """Return the platforms that a builder can run, emulated ones included.

    Raises:
        EngineError: buildx does not know the builder.
    """
    answer = process.run(["docker", "buildx", "inspect", builder])
    match = re.search(r"^Platforms:\s*(.+)$", answer.stdout, re.MULTILINE)
    if not answer.ok or not match:
        raise EngineError(
            f"buildx cannot say what the builder {builder!r} runs",
            cause=(answer.stderr or answer.stdout).strip(),
            remedy="`docker buildx ls` lists the builders",
        )
    names = (name.strip(" *") for name in match[1].split(","))
    return tuple(dict.fromkeys(Platform.parse(name) for name in names if name))
