"""The parts of a build's graph: stages, the images they take, and what ties them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bailing_tasks.dockerfile.dialect import Dialect
from bailing_tasks.dockerfile.parser import Instruction
from bailing_tasks.dockerfile.shell import Lexer
from bailing_tasks.dockerfile.syntax import Command, Program, Stage
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

SCRATCH = "scratch"
#: How an instruction names an image.
Kind = Literal["FROM", "COPY", "mount", "syntax", "ONBUILD"]
OnBuild = Mapping[tuple[str, str], tuple[str, ...]]
"""The ONBUILD instructions of images from outside the file, by reference and platform."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built: everything but the file.

    Attributes:
        target: A stage's name; None for the last.
        platform: What is built for.
        build_platform: What is built on.
        build_args: Values given from outside.
        all_stages: Whether stages that the target does not reach count as well.
        onbuild: What the images that stages are built on add to them.
    """

    target: str | None
    platform: Platform
    build_platform: Platform
    build_args: Mapping[str, str]
    all_stages: bool = False
    onbuild: OnBuild = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the file names something.

    Attributes:
        kind: ``FROM``, ``COPY`` or ``mount``; ``ONBUILD`` where an image's configuration does.
        line: The instruction's line; for ``ONBUILD``, that of the FROM.
        ranges: Where in the file the name stands; one on each line that it is broken over.
    """

    kind: Kind
    line: int
    ranges: tuple[tuple[int, int], ...]


@dataclass(eq=False, slots=True)
class Action:
    """A command of a stage, with the states it takes files from."""

    command: Command
    sources: tuple[State | None, ...] = ()
    onbuild: Instruction | None = None

    @property
    def line(self) -> int:
        """Where the file asks for it."""
        return (self.onbuild or self.command.instruction).line


@dataclass(eq=False, slots=True)
class State:
    """A stage, or an image that an instruction names directly.

    Attributes:
        base_name: What it is built on, variables expanded.
        site: Where that is named.
        index: Its place among all states.
        name: In lower case; empty for none.
        stage: What the file says; None for an image named directly.
        platform: As its FROM gives it; None for the target's.
        base: The earlier stage it is built on; None for an image or scratch.
        reference: The image it is built on, once that is known to be well-formed.
        actions: Its commands, triggers of its base first.
        ready: Whether files can be taken from it: its commands are, or were, carried out.
        triggered: Whether its base's ONBUILD commands were added.
    """

    base_name: str
    site: Site
    index: int
    name: str = ""
    stage: Stage | None = None
    platform: Platform | None = None
    base: State | None = None
    reference: Reference | None = None
    actions: list[Action] = field(default_factory=list)
    ready: bool = False
    triggered: bool = False

    def needs(self) -> Iterable[State]:
        """The states it takes files from by COPY or mount."""
        return (source for action in self.actions for source in action.sources if source)


@dataclass(slots=True)
class Graph:
    """All states of a file.

    Attributes:
        program: The file.
        request: What is to be built.
        global_env: The variables that FROM sees.
        lexer: Reads words with the file's escape character.
        dialect: Whose syntax it is in.
    """

    program: Program
    request: Request
    global_env: dict[str, str]
    lexer: Lexer
    dialect: Dialect
    states: list[State] = field(default_factory=list)
    by_name: dict[str, State] = field(default_factory=dict)

    def add(self, state: State) -> State:
        """Append a state; what it is built on is looked up among those before it."""
        self.states.append(state)
        state.base = self.by_name.get(state.base_name)
        if state.name:
            self.by_name[state.name] = state
        return state
