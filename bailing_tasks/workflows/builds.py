"""What a workflow does with images for one event: builds and pushes, as data. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bailing_tasks.errors import UsageError
from bailing_tasks.events import Event
from bailing_tasks.references import Reference
from bailing_tasks.workflows.expressions import UNKNOWN, Truth, both, either
from bailing_tasks.workflows.model import Workflow

_NAME = re.compile(rf"(?P<image>(?:[^/]*:(?:[0-9]+|{UNKNOWN})/)?[^:]*)(?::(?P<tag>.*))?", re.DOTALL)
"""An image's name: a host may have a port."""


@dataclass(frozen=True, order=True)
class Finding:
    """One place where something is wrong.

    Attributes:
        file: From the repository's root.
        line: Its line.
        rule: The rule's name.
        message: What is wrong.
        remedy: What to do about it.
    """

    file: str
    line: int
    rule: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Build:
    """One image that a step builds, pushes, or both.

    Texts may be known in part: see `expressions.UNKNOWN`.

    Attributes:
        path: The workflow file it stands in.
        job: The job, as the workflow that was triggered names it.
        step: Which step of the job, from 0.
        line: Where it stands.
        lines: Where what is said about it stands, by name.
        runs: Whether it is done at all.
        dockerfile: Its Dockerfile from the repository's root; empty where nothing is built.
        context: The build context, likewise.
        stage: The stage that is built; empty for the last one.
        build_args: Build arguments.
        contexts: Named build contexts.
        platforms: The platforms it is built for; those of the runner where it names none.
        tags: The names the image gets.
        tags_known: Whether there can be no others.
        pushes: Whether it is pushed.
        late: The tags that later commands push; empty where the build pushes all of them.
        caches: The caches it writes: each by what tells it from others.
        refused: Why GitHub's runner would end there; None where it would not.
        own: The target of the settings that this project's own tasks build.
    """

    path: str
    job: str
    step: int
    line: int
    lines: Mapping[str, int] = field(default_factory=dict)
    runs: Truth = True
    dockerfile: str = ""
    context: str = ""
    stage: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tags_known: bool = True
    pushes: Truth = False
    late: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()
    refused: UsageError | None = None
    own: str = ""

    def line_of(self, name: str) -> int:
        """Return where something is said about it, else where it stands."""
        return self.lines.get(name, self.line)

    @property
    def published(self) -> Truth:
        """Whether it is run and pushed."""
        return both(self.runs, self.pushes)

    @property
    def source(self) -> Source:
        """What decides the files and images that it reads."""
        arguments = tuple(sorted(self.build_args.items()))
        return Source(self.dockerfile, self.stage, self.context, arguments)

    @property
    def image(self) -> tuple[str, str, str]:
        """What tells its image from others."""
        return (self.dockerfile, self.stage, self.context)

    @property
    def names(self) -> tuple[str, ...]:
        """The tags that are pushed, if it is."""
        return self.late or self.tags

    @property
    def moves_latest(self) -> bool:
        """Whether `latest` is among them, which a name without a tag is too."""
        return any(tag_of(tag) == "latest" for tag in self.names)


@dataclass(frozen=True)
class Source:
    """A Dockerfile, and what of it is built."""

    dockerfile: str
    stage: str
    context: str
    build_args: tuple[tuple[str, str], ...]

    @property
    def known(self) -> bool:
        """Whether Dockerfile, stage and context are known."""
        parts = (self.dockerfile, self.stage, self.context)
        return bool(self.dockerfile) and UNKNOWN not in "".join(parts)


@dataclass(frozen=True)
class Run:
    """What a workflow does for an event."""

    workflow: Workflow
    event: Event
    builds: tuple[Build, ...]


def repository(name: str) -> str:
    """Return an image's name without tag and digest, in canonical form where it has one."""
    try:
        return Reference.parse(name).repository
    except UsageError:
        return _split(name)[0]


def tag_of(name: str) -> str:
    """Return an image's tag as far as it is known; `latest` where it has none."""
    image, tag = _split(name)
    if "@" in name or (UNKNOWN in image.rpartition("/")[2] and tag is None):
        return UNKNOWN
    return "latest" if tag is None else tag


def _split(name: str) -> tuple[str, str | None]:
    """Split a name before its tag, which a branch's name may have made one that is refused."""
    match = _NAME.fullmatch(name.partition("@")[0])
    assert match
    return match["image"], match["tag"]


def named_alike(name: str, other: str) -> bool:
    """Whether two names are one image's."""
    return (repository(name), tag_of(name)) == (repository(other), tag_of(other))


def joined(found: Sequence[Build]) -> tuple[Build, ...]:
    """Return the builds of a job, each with the pushes of its tags by later commands.

    What is pushed, and was not built in the job, stays as it is.
    """
    builds = [each for each in found if each.dockerfile]
    rest = []
    pushes = [each for each in found if not each.dockerfile]
    for push in sorted(pushes, key=lambda each: each.runs is not True):
        if not push.tags:
            rest.append(push)
            continue
        places = [
            at
            for at, each in enumerate(builds)
            if any(named_alike(push.tags[0], tag) for tag in each.tags)
        ]
        for at in places:
            builds[at] = _pushed(builds[at], push)
        if not places:
            rest.append(push)
    return (*builds, *rest)


def _pushed(build: Build, push: Build) -> Build:
    # What is pushed only perhaps adds nothing to what is pushed for certain.
    if build.pushes and not (build.late and push.runs):
        return build
    lines = {"push": push.line, "tags": push.line, **build.lines}
    if push.moves_latest:
        lines["tags"] = push.line
    pushes = either(build.pushes, push.runs)
    return replace(build, pushes=pushes, late=(*build.late, *push.tags), lines=lines)
