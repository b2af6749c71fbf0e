"""What a workspace has built: a line in `history.jsonl` of the state for each build, as it ends.

A build that was skipped since nothing changed leaves none: those of a run may be hundreds.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bailing_tasks.errors import BailingError, UsageError
from bailing_tasks.state import FOLDER, State

if TYPE_CHECKING:
    from bailing_tasks.build import BuildResult
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.decision import Decision

NAME = "history.jsonl"
LARGEST = 2 << 20
"""Bytes from which on the oldest builds are forgotten."""
KEPT = 1000
"""How many builds are left then."""
LONGEST = 1000
"""Characters of a reason or a cause; what is longer is cut."""

BUILT, FAILED, INTERRUPTED = "built", "failed", "interrupted"
TOLD = frozenset({BUILT, "pulled", FAILED, INTERRUPTED, "left out"})
"""The results that are remembered."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build, and what became of it.

    Attributes:
        began: When it began, in UTC by ISO 8601.
        task: The task that it was a part of.
        commit: The commit that was checked out; empty where there is none.
        target: The target's name.
        platform: The platform.
        python: The Python version; empty for a target that is the same for all.
        result: `built`, `pulled`, `failed`, `interrupted`, or `left out`: what it needs failed.
        reason: Why it was built, pulled or left out.
        cause: Why it failed.
        seconds: How long it took.
        steps: How many steps of the Dockerfile ran or were cached.
        cached: How many of them came from the build cache.
        image: The image's local name.
        digest: The image's id in the engine; empty where there is none.
        fingerprint: The digest of what it is made from.
        log: The log of the last build of this target, platform and Python, in the workspace.
    """

    began: str
    task: str
    target: str
    platform: str
    result: str
    commit: str = ""
    python: str = ""
    reason: str = ""
    cause: str = ""
    seconds: float = 0.0
    steps: int = 0
    cached: int = 0
    image: str = ""
    digest: str = ""
    fingerprint: str = ""
    log: str = ""


_KINDS: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
_TYPES = {field.name: _KINDS[str(field.type)] for field in fields(Build)}


class History:
    """The builds of a workspace; several threads may use it.

    Args:
        state: The workspace's state.
        commit: The commit that is checked out; empty where there is none.
    """

    def __init__(self, state: State, commit: str) -> None:
        self._state = state
        self._path = state.folder / NAME
        self._commit = commit
        self._file = threading.Lock()

    def recorded(
        self,
        task: str,
        plan: BuildPlan,
        decision: Decision,
        work: Callable[[], BuildResult],
    ) -> BuildResult:
        """Build, and write down what became of it; what the build raises goes on.

        Args:
            task: The task that it is a part of.
            plan: The build.
            decision: What is done about it.
            work: Carries it out.
        """
        started = time.monotonic()
        try:
            done = work()
        except (BailingError, KeyboardInterrupt) as error:
            result, cause = INTERRUPTED, ""
            if isinstance(error, BailingError):
                result, cause = FAILED, error.cause or error.message
            seconds = time.monotonic() - started
            self.add(ended(task, plan, result, decision.reason, seconds=seconds, cause=cause))
            raise
        self.add(ended(task, plan, done.result, done.reason, seconds=done.seconds, built=done))
        return done

    def add(self, build: Build) -> None:
        """Write down a build, unless it was skipped since nothing changed."""
        if build.result not in TOLD:
            return
        said = {"commit": self._commit, "reason": _cut(build.reason), "cause": _cut(build.cause)}
        line = json.dumps(asdict(build) | said, ensure_ascii=False)
        # It only tells what was: a full disk is the build's to meet.
        with self._file, contextlib.suppress(UsageError):
            self._state.append(NAME, line, durable=False)
            if self._path.stat().st_size > LARGEST:
                kept = b"\n".join(self._lines()[-KEPT:])
                self._state.write(NAME, kept + b"\n")

    def read(self, limit: int | None = None) -> list[Build]:
        """Return the builds, or as many of the last ones, the newest last.

        A line that a crash has cut off, or that something else has written, is passed over.

        Raises:
            UsageError: The file cannot be read.
        """
        found = [build for line in self._lines() if (build := _parse(line))]
        return found[-limit:] if limit else found

    def _lines(self) -> list[bytes]:
        try:
            return self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read", cause=str(error)) from error


def ended(
    task: str,
    plan: BuildPlan,
    result: str,
    reason: str,
    *,
    seconds: float,
    cause: str = "",
    built: BuildResult | None = None,
) -> Build:
    """Return what became of a planned build that has just ended.

    Args:
        task: The task that it was a part of.
        plan: The build.
        result: How it ended.
        reason: Why it was built, pulled or left out.
        seconds: How long it took.
        cause: Why it failed.
        built: What there is now; None where there is nothing.
    """
    target, platform, python = plan.recipe.variant.key
    began = datetime.now(UTC) - timedelta(seconds=seconds)
    return Build(
        began=began.isoformat(timespec="seconds"),
        task=task,
        target=target,
        platform=platform,
        python=python,
        result=result,
        reason=reason,
        cause=cause,
        seconds=seconds,
        steps=built.steps if built else 0,
        cached=built.cached if built else 0,
        image=plan.name,
        digest=built.digest if built else "",
        fingerprint=plan.fingerprint,
        log=f"{FOLDER}/{plan.log}",
    )


def _parse(line: bytes) -> Build | None:
    """Return what a line says; None where it is none of this project's."""
    try:
        found = json.loads(line)
        known = {name: found[name] for name in _TYPES if name in found}
        right = all(isinstance(value, _TYPES[name]) for name, value in known.items())
        datetime.fromisoformat(found["began"])
        return Build(**known) if right else None
    except (KeyError, TypeError, ValueError):
        return None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
