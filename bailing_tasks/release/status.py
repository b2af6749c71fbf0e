"""A release's journal against the registry: how far it is, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bailing_tasks import process
from bailing_tasks.errors import FindingsError, ReleaseError
from bailing_tasks.references import Reference
from bailing_tasks.release.journal import FAILED, LEFT, UPLOADED, Journal
from bailing_tasks.release.registry import Registry

OPEN = "open"
DONE = "done"
CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class TagStatus:
    """One tag of a release.

    Attributes:
        name: The tag.
        wanted: What the release let it stand for; empty where it has not come to that.
        found: What it stands for in the registry; empty where it is free.
        status: `done`, `open` where the release has not come to it, `changed` where something else
            stands there now.
        result: What the release made of it: `moved`, `there` or `left`; empty where it is open.
    """

    name: str
    wanted: str
    found: str
    status: str
    result: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a release is.

    Attributes:
        kind: `push` or `rollback`.
        title: What it is.
        commit: The commit that it publishes; empty for a rollback.
        begun: When it began, by ISO 8601.
        finished: Whether it came to its end.
        images: How many images it has, and how many of them are uploaded.
        failure: Why it stopped, as far as that is written down; empty if it did not.
        tags: Each tag, in the order in which they move.
    """

    kind: str
    title: str
    commit: str
    begun: str
    finished: bool
    images: tuple[int, int]
    failure: str
    tags: tuple[TagStatus, ...]

    def check(self) -> None:
        """Make sure that nothing is left to do, and nothing has changed.

        Raises:
            ReleaseError: The release has not come to its end.
            FindingsError: A tag stands for something else now.
        """
        if not self.finished:
            raise ReleaseError(
                f"the {self.title} stopped halfway",
                cause=self.failure or "it was interrupted",
                remedy="the same command goes on from there",
            )
        changed = [tag for tag in self.tags if tag.status == CHANGED]
        if changed:
            names = ", ".join(tag.name for tag in changed)
            raise FindingsError(
                f"{len(changed)} tags stand for something else since: {names}",
                cause="a later release, or somebody else, has moved them",
                remedy="if that is not meant: the same command puts right what the policy lets it; "
                "what this release had is put back by\n"
                + "\n".join(f"    {_command(tag)}" for tag in changed),
            )


def _command(tag: TagStatus) -> str:
    """Return what lets a tag stand for what the release let it stand for."""
    repository = Reference.parse(tag.name).repository
    argv = ["docker", "buildx", "imagetools", "create", "--tag", tag.name]
    return process.quote([*argv, f"{repository}@{tag.wanted}"])


def status(journal: Journal, registry: Registry) -> Status:
    """Return how far a release is, by its journal and what the registry has now.

    Raises:
        RegistryError: The registry cannot be asked.
    """
    begun = journal.begun
    last = journal.steps[-1]
    failure = f"{last['message']}: {last['cause']}" if last["step"] == FAILED else ""
    uploaded = {step["name"] for step in journal.since_begun if step["step"] == UPLOADED}
    return Status(
        kind=begun["kind"],
        title=begun["title"],
        commit=begun["commit"],
        begun=begun["at"],
        finished=journal.is_finished,
        images=(len(begun["images"]), len(uploaded)),
        failure=failure,
        tags=tuple(_tags(begun["tags"], journal, registry)),
    )


def _tags(
    planned: list[dict[str, Any]], journal: Journal, registry: Registry
) -> Iterator[TagStatus]:
    for tag in planned:
        step = journal.tags.get(tag["name"])
        found = registry.digest(Reference.parse(tag["name"]))
        wanted = step["digest"] if step else ""
        as_left = bool(step) and found == wanted
        result = step["result"] if step else ""
        changed = CHANGED if step and result != LEFT else DONE if step else OPEN
        yield TagStatus(
            name=tag["name"],
            wanted=wanted,
            found=found,
            status=DONE if as_left else changed,
            result=result,
        )
