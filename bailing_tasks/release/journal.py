"""The journal of a release: what was done, with digest and time, a line for each step.

It is appended to, and each line is on the disk before the next step begins: a run that dies leaves
what it has done, and the same command goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bailing_tasks.errors import ReleaseError, UsageError
from bailing_tasks.release.model import Plan
from bailing_tasks.state import State

FOLDER = "releases"
SCHEMA = 1

BEGIN = "begin"
SEND = "send"
UPLOADED = "uploaded"
INDEX = "index"
MOVE = "move"
TAG = "tag"
UNDONE = "undone"
FAILED = "failed"
END = "end"

SAID: Mapping[str, frozenset[str]] = {
    BEGIN: frozenset({"schema", "kind", "title", "commit", "images", "tags"}),
    SEND: frozenset({"name", "platform"}),
    UPLOADED: frozenset({"name"}),
    INDEX: frozenset(),
    MOVE: frozenset({"name", "digest", "before"}),
    TAG: frozenset({"name", "digest", "result"}),
    UNDONE: frozenset({"name"}),
    FAILED: frozenset({"message", "cause"}),
    END: frozenset(),
}
"""For each step, what its line has to say beside `step` and `at`: else the line says nothing."""

MOVED = "moved"
THERE = "there"
LEFT = "left"


@dataclass
class Journal:
    """One release in the state.

    Attributes:
        path: Where it is.
        steps: Its lines so far, each an object with at least `step` and `at`.
    """

    path: Path
    state: State = field(repr=False)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: str, **said: Any) -> None:
        """Write down a step.

        Raises:
            ReleaseError: The state cannot be written to.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"step": step, "at": at, **said}
        try:
            self.state.append(f"{FOLDER}/{self.path.name}", json.dumps(line))
        except UsageError as error:
            raise ReleaseError(
                "the release cannot be written down",
                cause=f"{error.message}: {error.cause}",
                remedy=error.remedy,
            ) from error
        self.steps.append(line)

    @property
    def begun(self) -> Mapping[str, Any]:
        """What the release was to do, as it was begun last."""
        return next(step for step in reversed(self.steps) if step["step"] == BEGIN)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.steps[-1]["step"] == END)

    @property
    def before(self) -> Mapping[str, str]:
        """For each tag, what it stood for before the release moved it; empty where it was free.

        Where somebody else has moved it since the release began, that is theirs.
        """
        found = {tag["name"]: tag["before"] for tag in self.begun["tags"]}
        ours: set[tuple[str, str]] = set()
        for step in self.since_begun:
            if step["step"] == MOVE:
                if (step["name"], step["before"]) not in ours:
                    found[step["name"]] = step["before"]
                ours.add((step["name"], step["digest"]))
        return found

    @property
    def moved(self) -> Mapping[str, str]:
        """For each tag that the release has begun to move, and has not put back, where to."""
        return {name: step["digest"] for name, step in self._last(MOVE, until=UNDONE).items()}

    @property
    def tags(self) -> Mapping[str, Mapping[str, Any]]:
        """For each tag, the last step that was made with it since the release began."""
        return self._last(TAG, until=UNDONE)

    @property
    def open_sends(self) -> tuple[Mapping[str, Any], ...]:
        """The uploads that were begun and did not end: the last run may have died in one."""
        return tuple(self._last(SEND, until=UPLOADED).values())

    def _last(self, wanted: str, *, until: str) -> dict[str, Mapping[str, Any]]:
        """Return the last step of a kind for each name, unless a later one of another undid it."""
        found: dict[str, Mapping[str, Any]] = {}
        for step in self.since_begun:
            if step["step"] == wanted:
                found[step["name"]] = step
            if step["step"] == until:
                found.pop(step["name"], None)
        return found

    @property
    def since_begun(self) -> Iterator[Mapping[str, Any]]:
        """The steps since the release was begun last."""
        begun = max(i for i, step in enumerate(self.steps) if step["step"] == BEGIN)
        return iter(self.steps[begun + 1 :])


def opened(state: State, plan: Plan, before: Mapping[str, str]) -> Journal:
    """Return the journal of a release: the one that was stopped halfway, else a new one.

    Args:
        state: The workspace's state.
        plan: What is to be done.
        before: What each tag stands for now; empty where it is free.

    Raises:
        UsageError: A journal cannot be read.
        ReleaseError: The state cannot be written to.
    """
    key = _key(plan)
    journal = next((each for each in journals(state) if each.path.stem.endswith(key)), None)
    if journal is not None and not journal.is_finished:
        return journal
    if journal is None:
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = state.folder / FOLDER / f"{started}-{key}.jsonl"
        journal = Journal(path, state)
    journal.add(
        BEGIN,
        schema=SCHEMA,
        kind=plan.kind,
        title=plan.title,
        commit=plan.commit,
        annotations=dict(plan.annotations),
        images=[
            {
                "target": image.variant.target.name,
                "python": image.variant.python,
                "platform": str(image.variant.platform),
                "name": image.name,
                "fingerprint": image.fingerprint,
                "identity": image.identity,
            }
            for image in plan.images
        ],
        tags=[
            {
                "target": tag.target,
                "python": tag.python,
                "name": tag.name,
                "kind": tag.kind,
                "rule": tag.rule,
                "before": before.get(tag.name, ""),
            }
            for tag in plan.tags
        ],
    )
    return journal


def journals(state: State) -> list[Journal]:
    """Return all journals of a workspace, the one that was written to last first.

    Raises:
        UsageError: One cannot be read.
    """
    paths = (state.folder / FOLDER).glob("*.jsonl")
    found = [Journal(path, state, _read(path)) for path in paths]
    begun = [each for each in found if any(step["step"] == BEGIN for step in each.steps)]
    return sorted(begun, key=lambda each: str(each.steps[-1]["at"]), reverse=True)


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; one that was cut off by a crash says nothing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    steps = []
    for line in lines:
        with contextlib.suppress(ValueError):
            step = json.loads(line)
            if _is_whole(step):
                steps.append(step)
    if any(step["step"] == BEGIN and step["schema"] != SCHEMA for step in steps):
        raise _unreadable(path, "another version of bailing-tasks has written it")
    return steps


def _is_whole(step: Any) -> bool:
    """Whether a line says all that is asked of it."""
    if not isinstance(step, dict) or not {"step", "at"} <= step.keys():
        return False
    return step["step"] in SAID and step.keys() >= SAID[step["step"]]


def _unreadable(path: Path, cause: str) -> UsageError:
    return UsageError(
        f"{path} cannot be read",
        cause=cause,
        remedy="move it away: the next release finds out from the registry what is there",
    )


def _key(plan: Plan) -> str:
    """Return what is the same for the same release: command, commit, images and tags."""
    parts: Sequence[str] = (
        plan.kind,
        plan.title,
        plan.commit,
        *sorted(f"{image.variant} {image.identity}" for image in plan.images),
        *sorted(tag.name for tag in plan.tags),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
