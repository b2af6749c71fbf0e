"""Carries out a release: uploads, indexes, then tags, with a journal to go on from."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import BailingError, EngineError, RegistryError, ReleaseError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.release import journal as journals
from bailing_tasks.release.journal import LEFT, Journal
from bailing_tasks.release.model import Index, Key, MovedTag, Plan, Uploaded
from bailing_tasks.release.mover import Judge, Mover
from bailing_tasks.release.publisher import Publisher
from bailing_tasks.release.registry import Registry
from bailing_tasks.state import State, hold


@dataclass(frozen=True, kw_only=True)
class Release:
    """What a release has done.

    Attributes:
        plan: What it was to do.
        journal: Where it is written down.
        indexes: The index of each target and Python.
        uploads: The images that are in it; nothing for a rollback.
        tags: Each tag, in the order in which they were moved.
    """

    plan: Plan
    journal: Path
    indexes: Mapping[Key, Index]
    uploads: tuple[Uploaded, ...]
    tags: tuple[MovedTag, ...]


@dataclass(frozen=True, kw_only=True)
class Releaser:
    """Carries out releases of a workspace.

    Attributes:
        state: Has the journals.
        registry: Asks registries.
        engine_for: Returns the engine that holds the images of a platform.
        console: Told what is done.
    """

    state: State
    registry: Registry
    engine_for: Callable[[Platform], Engine]
    console: Console

    def push(self, plan: Plan, before: Mapping[str, str], judge: Judge) -> Release:
        """Publish the images of a plan, then move its tags.

        Args:
            plan: What is to be done.
            before: What each tag stands for, as people were shown it; empty where it is free.
            judge: Says whether a tag moves.

        Raises:
            UsageError: A version stands for another image, no tag has been moved; or there is no
                place for the lock.
            ReleaseError: It stopped halfway; the same again goes on.
        """

        def publish(journal: Journal) -> tuple[Mapping[Key, Index], tuple[Uploaded, ...]]:
            return Publisher(self.engine_for, self.registry, journal, self.console).publish(plan)

        return self._carried_out(plan, before, publish, judge)

    def move(
        self, plan: Plan, before: Mapping[str, str], indexes: Mapping[Key, Index], judge: Judge
    ) -> Release:
        """Move the tags of a plan to indexes that are published; as `push`."""
        return self._carried_out(plan, before, lambda journal: (indexes, ()), judge)

    def _carried_out(
        self,
        plan: Plan,
        before: Mapping[str, str],
        publish: Callable[[Journal], tuple[Mapping[Key, Index], tuple[Uploaded, ...]]],
        judge: Judge,
    ) -> Release:
        with self._journal(plan, before) as journal:
            indexes, uploads = publish(journal)
            tags = Mover(self.registry, journal, judge, self.console).move(plan, indexes)
            journal.add(journals.END)
        return Release(plan=plan, journal=journal.path, indexes=indexes, uploads=uploads, tags=tags)

    @contextlib.contextmanager
    def _journal(self, plan: Plan, before: Mapping[str, str]) -> Iterator[Journal]:
        """Open the journal of a plan; what fails from now on stops the release halfway."""
        with contextlib.ExitStack() as stack:
            for repository in sorted(each.repository for each in plan.repositories):
                stack.enter_context(_alone(repository, self.console))
            journal = journals.opened(self.state, plan, before)
            if any(step["step"] != journals.BEGIN for step in journal.steps):
                self.console.say(f"going on with the release of {journal.begun['at'][:19]}")
            try:
                yield journal
            except BailingError as error:
                with contextlib.suppress(ReleaseError):
                    journal.add(journals.FAILED, message=error.message, cause=error.cause)
                if isinstance(error, (RegistryError, EngineError)):
                    raise _halfway(error, journal) from error
                raise


def _halfway(error: BailingError, journal: Journal) -> ReleaseError:
    # Where the answer was lost, a tag may have moved all the same.
    results = {name: journal.tags.get(name, {}).get("result", "") for name in journal.moved}
    moved = [
        name if result else f"{name} (perhaps)"
        for name, result in results.items()
        if result != LEFT
    ]
    changed = f"moved so far: {', '.join(moved)}" if moved else "no tag was moved"
    return ReleaseError(
        f"the release stopped halfway: {error.message}",
        cause=error.cause,
        remedy=f"{error.remedy}\n{changed}; the same command goes on from there, and "
        "`invoke release-status` shows how far it is".strip(),
    )


@contextlib.contextmanager
def _alone(repository: str, console: Console) -> Iterator[None]:
    """Release to a repository alone on this machine, from whichever clone; wait for others.

    Raises:
        UsageError: The user's cache folder cannot be written to.
    """
    with _lock(hashlib.sha256(repository.encode()).hexdigest()[:16]) as file:
        hold(
            file,
            lambda _: console.say(f"another run releases to {repository}; waiting for it"),
        )
        yield


def _lock(name: str) -> TextIO:
    """Return an open file of the user's cache folder, the same for all clones."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        folder = Path(cache).expanduser() / "bailing-tasks" / "releases"
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / f"{name}.lock").open("a+", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        # The latter where a user has no home (`Path.expanduser`).
        raise UsageError(
            f"{cache} cannot be written to, so two releases at once would not know of each other",
            cause=str(error),
            remedy="let XDG_CACHE_HOME name a folder that can be",
        ) from error
