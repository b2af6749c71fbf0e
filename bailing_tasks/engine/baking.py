"""Several builds at once, through `docker buildx bake`: one BuildKit run, and each log apart.

One process drives them all, and what they share is done once. BuildKit tells as JSON what it does
(`--progress=rawjson`, buildx 0.13): each step is called after the builds that it is for.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailing_tasks import process
from bailing_tasks.engine.buildx import LOST, BuildRequest, docker, secret

OLDEST_BUILDX = (0, 13)
"""The first buildx that tells as JSON what it does."""
ALLOWED = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
"""Lets a definition name folders elsewhere (buildx 0.19 and later): it is our own."""

_NAME = re.compile(r"\[(?P<build>[\w-]+)(?: (?P<step>[^\]]*))?\] ?(?P<what>.*)", re.DOTALL)
_ALONE = re.compile(r"(?:\[(?P<step>[^\]]*)\] ?)?(?P<what>.*)", re.DOTALL)
"""How a step is called: where there is one build, without the build."""
_STEP = re.compile(r"(?:\S+ )?\d+/\d+")
_CACHE = re.compile(r"(?:importing|exporting) cache\b")
"""A step without which the build goes on: there may be no cache yet, or no place for it."""
_TEMPLATE = re.compile(r"([$%])\{")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One build of several.

    Attributes:
        request: What BuildKit is asked.
        bases: For a named context, the part whose result it is.
    """

    request: BuildRequest
    bases: Mapping[str, str]


@dataclass(kw_only=True)
class PartLog:
    """What BuildKit says of one build of several, as it comes.

    Attributes:
        name: The part.
        began: When its first step began, by `time.monotonic()`; None before.
        ended: When its result was handed over; None where it was not.
        error: What failed; empty where nothing did.
        at_export: Whether that was while the result was handed over.
        steps: The steps of the Dockerfile that it took.
        cached: Those that came from the build cache.
    """

    name: str
    began: float | None = None
    ended: float | None = None
    error: str = ""
    at_export: bool = False
    steps: set[str] = field(default_factory=set)
    cached: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """How long it took until now, or to its end."""
        return (self.ended or time.monotonic()) - self.began if self.began else 0.0


OnLine = Callable[[PartLog, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Baked:
    """What came of several builds.

    Attributes:
        ok: Whether all succeeded.
        interrupted: Whether they were ended by Ctrl-C.
        logs: What is known of each part.
        said: What was said of none of them, or of what failed.
    """

    ok: bool
    interrupted: bool
    logs: Mapping[str, PartLog]
    said: str

    @property
    def failed(self) -> frozenset[str]:
        """The parts that failed by themselves, as far as BuildKit says.

        What a failure ended may have errors of its own, such as an export that nobody takes any
        more; of what is left, BuildKit says last what failed first, but not always. A part that it
        has lost has not failed.
        """
        wrong = {
            name: log
            for name, log in self.logs.items()
            if log.error and not self.ok and not LOST.search(log.error)
        }
        wrong = {name: log for name, log in wrong.items() if not log.at_export} or wrong
        told = frozenset(name for name, log in wrong.items() if log.error in self.said)
        return told or frozenset(wrong)


def definition(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return what a bake file says of several builds (buildx's bake file reference)."""
    return {"target": {name: _target(part) for name, part in parts.items()}}


def command(parts: Mapping[str, Part], file: Path) -> list[str]:
    """Return the command line that builds all of them, from their definition in a file."""
    request = next(iter(parts.values())).request
    argv = [*docker(request.docker_context), "buildx", "bake", "--builder", request.builder]
    return [*argv, "--file", str(file), "--progress=rawjson", *parts]


def bake(parts: Mapping[str, Part], file: Path, on_line: OnLine) -> Baked:
    """Build several at once; failures are returned, not raised.

    One that fails ends the others, as far as they have not ended.

    Args:
        parts: The builds, by names of letters, digits, `_` and `-`.
        file: Where their definition stands.
        on_line: Called with each line of a log: whose it is, the number of its step, the text.

    Raises:
        EngineError: The docker command is not there.
    """
    reader = _Reader({name: PartLog(name=name) for name in parts}, on_line)
    result = process.stream(command(parts, file), reader.read, env={**os.environ, **ALLOWED})
    return Baked(
        ok=result.ok,
        interrupted=result.returncode in (-signal.SIGINT, 128 + signal.SIGINT),
        logs=reader.logs,
        said="\n".join(reader.said),
    )


def _target(part: Part) -> dict[str, Any]:
    request = part.request
    contexts = dict(request.build_contexts) | {
        name: f"target:{base}" for name, base in part.bases.items()
    }
    tag, output = _destination(request)
    mode = f"mode={request.provenance}" if request.provenance else "disabled=true"
    found: dict[str, Any] = {
        "context": str(request.context),
        "dockerfile": str(request.dockerfile),
        "platforms": [str(request.platform)],
        "args": dict(request.build_args),
        "contexts": contexts,
        "labels": dict(request.labels),
        "secret": [secret(name, place) for name, place in sorted(request.secrets.items())],
        "tags": tag,
        "output": [output],
        "attest": [f"type=provenance,{mode}"],
        "no-cache": request.no_cache,
    }
    if request.stage:
        found["target"] = request.stage
    if request.scanner:
        found["attest"].append(f"type=sbom,generator={request.scanner}")
    found |= {"cache-from": [request.cache_from]} if request.cache_from else {}
    found |= {"cache-to": [request.cache_to]} if request.cache_to else {}
    escaped: dict[str, Any] = _escaped(found)
    return escaped


def _destination(request: BuildRequest) -> tuple[list[str], str]:
    """Return the tags and the output that a request's arguments ask for."""
    words = list(request.destination)
    tags = [words[place + 1] for place, word in enumerate(words) if word == "--tag"]
    outputs = [words[place + 1] for place, word in enumerate(words) if word == "--output"]
    return tags, outputs[0] if outputs else "type=docker"


def _escaped(value: Any) -> Any:
    """Return a value in which nothing is a template: bake files have those in every string."""
    if isinstance(value, str):
        return _TEMPLATE.sub(r"\1\1{", value)
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


class _Reader:
    """Reads what BuildKit tells, line by line, into the logs of the parts."""

    def __init__(self, logs: Mapping[str, PartLog], on_line: OnLine) -> None:
        self.logs = logs
        self.said: list[str] = []
        self._on_line = on_line
        self._document: list[str] = []
        self._owners: dict[str, dict[str, str]] = {}
        self._numbers: dict[str, int] = {}
        self._told: set[tuple[str, str, str]] = set()

    def read(self, line: str) -> None:
        """Take a line: of a JSON document, which may have many, or of what is said at the end."""
        if not self._document and not line.startswith("{"):
            self.said.append(line)
            return
        self._document.append(line)
        if line in ("}", "{}") or (len(self._document) == 1 and line.endswith("}")):
            text, self._document = "\n".join(self._document), []
            try:
                self._take(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError):
                self.said.append(text)

    def _take(self, document: Mapping[str, Any]) -> None:
        for vertex in document.get("vertexes") or ():
            self._vertex(vertex)
        for entry in document.get("logs") or ():
            text = base64.b64decode(entry["data"]).decode(errors="replace")
            for line in text.splitlines():
                self._write(entry["vertex"], line)

    def _vertex(self, vertex: Mapping[str, Any]) -> None:
        """Take what is known of a step, under the name that one of its builds has for it."""
        log, step, what = self._named(vertex["name"])
        if log is None:
            return
        digest = vertex["digest"]
        self._owners.setdefault(digest, {})[log.name] = step
        if not vertex.get("started"):
            return
        if step != "internal":
            log.began = log.began or time.monotonic()
        self._say(log, digest, "begin", f"{f'[{step}] ' if step else ''}{what}")
        if _STEP.fullmatch(step):
            log.steps.add(digest)
            if vertex.get("cached"):
                log.cached.add(digest)
                self._say(log, digest, "cached", "CACHED")
        exports = not step and what.startswith("exporting") and not _CACHE.match(what)
        if vertex.get("error"):
            if "context canceled" not in vertex["error"] and not _CACHE.match(what):
                log.at_export = log.at_export if log.error else exports
                log.error = log.error or vertex["error"]
            self._say(log, digest, "end", f"ERROR: {vertex['error']}")
        elif vertex.get("completed"):
            if exports:
                log.ended = time.monotonic()
            self._say(log, digest, "end", "DONE")

    def _named(self, name: str) -> tuple[PartLog | None, str, str]:
        """Return whose a step is, its place in the Dockerfile, and what it does."""
        if len(self.logs) == 1:
            match = _ALONE.fullmatch(name)
            log = self.logs.get(next(iter(self.logs)))
        else:
            match = _NAME.fullmatch(name)
            log = self.logs.get(match["build"] if match else "")
        return (log, match["step"] or "", match["what"]) if match else (None, "", "")

    def _say(self, log: PartLog, digest: str, what: str, text: str) -> None:
        """Write a line about a step, once: BuildKit tells the same again and again."""
        if (log.name, digest, what) not in self._told:
            self._told.add((log.name, digest, what))
            self._line(log, digest, text)

    def _write(self, digest: str, text: str) -> None:
        for name in self._owners.get(digest, ()):
            self._line(self.logs[name], digest, text)

    def _line(self, log: PartLog, digest: str, text: str) -> None:
        number = self._numbers.setdefault(digest, len(self._numbers) + 1)
        self._on_line(log, number, text)
