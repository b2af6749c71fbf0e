"""All that rules know: what workflows do for events, and what their builds read. Pure."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bailing_tasks.dockerfile.dockerignore import DockerIgnore, matches_source
from bailing_tasks.settings import Target
from bailing_tasks.workflows.builds import Build, Run, Source
from bailing_tasks.workflows.contexts import Surroundings
from bailing_tasks.workflows.model import Pattern, Workflow


@dataclass(frozen=True)
class Input:
    """An instruction that reads the build context.

    Attributes:
        line: Where it stands.
        keyword: `COPY`, `ADD` or `mount`.
        patterns: What it takes, relative to the context.
        files: The files it takes, from the repository's root.
    """

    line: int
    keyword: str
    patterns: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """Why a Dockerfile cannot be built as a step asks for it: rule, message and remedy."""

    rule: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a build reads.

    Attributes:
        context: The build context, from the repository's root.
        support: The Dockerfile and its ignore file, likewise.
        inputs: The instructions that read the context.
        ignore: What is kept out of it.
        images: The repositories of the images it takes.
        problem: Why it cannot be built; None where it can.
    """

    context: str = "."
    support: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    ignore: DockerIgnore = field(default_factory=DockerIgnore)
    images: frozenset[str] = frozenset()
    problem: Problem | None = None

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """The files that it reads."""
        return frozenset(self.support).union(*(each.files for each in self.inputs))

    def reads(self, path: str) -> bool:
        """Whether it reads a file, or would if it were there."""
        if path in self.files:
            return True
        inner = within(self.context, path)
        patterns = (pattern for each in self.inputs for pattern in each.patterns)
        return inner is not None and takes(self.ignore, patterns, inner)


def within(context: str, path: str) -> str | None:
    """Return a path relative to a context, both from the root; None where it is not in it."""
    if context == ".":
        return path
    return path[len(context) + 1 :] if path.startswith(f"{context}/") else None


def takes(ignore: DockerIgnore, patterns: Iterable[str], path: str) -> bool:
    """Whether one of COPY's patterns takes a path, both relative to the context."""
    return any(matches_source(each, path) for each in patterns) and not ignore.ignores(path)


@dataclass(frozen=True)
class Sampled:
    """A run, and for a Git tag the pattern that let it in."""

    run: Run
    pattern: Pattern | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What rules judge.

    Attributes:
        around: The surroundings, with all workflows.
        sampled: What each workflow does for each of its events.
        readings: What each build reads, by its source.
        files: The files that Git tracks, from the repository's root, sorted.
        lines: Where the settings have the triggers of each target.
        paths: The `paths` that `ci-write` gives each target.
        below: What those read that each target is built on.
    """

    around: Surroundings
    sampled: tuple[Sampled, ...]
    readings: Mapping[Source, Reading]
    files: tuple[str, ...]
    lines: Mapping[str, int]
    paths: Mapping[str, tuple[str, ...]]
    below: Mapping[str, tuple[Reading, ...]]

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """The workflows, by path."""
        return tuple(self.around.workflows.values())

    def runs(self, workflow: Workflow) -> list[Run]:
        """Return a workflow's runs."""
        return [each.run for each in self.sampled if each.run.workflow is workflow]

    def builds(self) -> Iterator[tuple[Run, Build]]:
        """Yield each build that may be run, with its run."""
        for each in self.sampled:
            for build in each.run.builds:
                yield each.run, build

    def reading(self, build: Build) -> Reading:
        """Return what a build reads; nothing where that is not known."""
        return self.readings.get(build.source, Reading())

    def target(self, build: Build) -> Target | None:
        """Return the target of the settings that a build is: by Dockerfile, then by stage."""
        settings, prefix = self.around.settings, self.around.prefix
        if build.own:
            return next(target for target in settings.targets if target.name == build.own)
        found = [
            target
            for target in settings.targets
            if posixpath.normpath(posixpath.join(prefix, target.dockerfile)) == build.dockerfile
        ]
        if len(found) > 1:
            found = [target for target in found if target.stage == build.stage] or found[:1]
        return found[0] if found else None
