"""Stages and what they are built on: which of them a target reaches, and which images they take.

The rules are those of ``dockerfile2llb/convert.go`` in BuildKit, up to where it asks a registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bailing_tasks.dockerfile.mounts import declared_origin
from bailing_tasks.dockerfile.parser import Instruction, parse
from bailing_tasks.dockerfile.shell import Lexer
from bailing_tasks.dockerfile.syntax import Command, Program, Stage, read_command
from bailing_tasks.dockerfile.text import Refused, from_raw, lower, to_raw
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

SCRATCH = "scratch"
#: How an instruction names an image.
Kind = Literal["FROM", "COPY", "mount"]
_NUMBER = re.compile(r"[+-]?[0-9]+")
_ONBUILD = re.compile(r"[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built: everything but the file.

    Attributes:
        target: A stage's name or number; None for the last.
        platform: What is built for.
        build_platform: What is built on.
        build_args: Values given from outside.
        all_stages: Whether stages that the target does not reach count as well.
    """

    target: str | None
    platform: Platform
    build_platform: Platform
    build_args: Mapping[str, str]
    all_stages: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """Where the file names something.

    Attributes:
        kind: ``FROM``, ``COPY`` or ``mount``.
        line: The instruction's line.
        spans: Where in the file the name's characters stand.
    """

    kind: Kind
    line: int
    spans: tuple[tuple[int, int], ...]


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
        ready: Whether its commands were carried out.
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
    """

    program: Program
    request: Request
    global_env: dict[str, str]
    lexer: Lexer
    states: list[State] = field(default_factory=list)
    by_name: dict[str, State] = field(default_factory=dict)

    def add(self, state: State) -> State:
        """Append a state; what it is built on is looked up among those before it."""
        self.states.append(state)
        state.base = self.by_name.get(state.base_name)
        if state.name:
            self.by_name[state.name] = state
        return state


def build_graph(program: Program, request: Request) -> tuple[Graph, list[State]]:
    """The states of a file, and those that the target reaches, in the file's order.

    Raises:
        DockerfileError: BuildKit refuses the file before it asks a registry.
    """
    lexer = Lexer(program.escape)
    graph = Graph(program, request, _global_env(program, request, lexer), lexer)
    for stage in program.stages:
        command = stage.origin
        try:
            graph.add(_stage_state(graph, stage))
        except Refused as refused:
            raise refused.at(command.line, "FROM") from None
    target = _target(graph)
    for state in tuple(graph.states):
        if state.stage is not None:
            state.actions = [_action(graph, command) for command in state.stage.commands]
    _refuse_cycles(graph.states)
    return graph, _resolve(graph, target)


def _global_env(program: Program, request: Request, lexer: Lexer) -> dict[str, str]:
    """The predefined arguments, and the ARGs before the first FROM."""
    env = _predefined(program, request)
    env = {name: _arg(request.build_args, name, value) for name, value in env.items()}
    for command in program.global_args:
        for text in command.instruction.args:
            name, equals, default = text.partition("=")
            given = request.build_args.get(from_raw(name))
            try:
                if given is not None:
                    env[name] = to_raw(given)
                elif equals:
                    env[name] = lexer.expand(default, env).text
            except Refused as refused:
                raise refused.at(command.line, "ARG") from None
    return env


def _arg(build_args: Mapping[str, str], name: str, default: str) -> str:
    return to_raw(build_args.get(name, default))


def _predefined(program: Program, request: Request) -> dict[str, str]:
    """``BUILD*`` and ``TARGET*``, which every FROM may use undeclared."""
    env = {}
    for prefix, platform in (("BUILD", request.build_platform), ("TARGET", request.platform)):
        env[f"{prefix}PLATFORM"] = str(platform)
        env[f"{prefix}OS"] = platform.os
        env[f"{prefix}OSVERSION"] = platform.os_version
        env[f"{prefix}ARCH"] = platform.architecture
        env[f"{prefix}VARIANT"] = platform.variant
    env["TARGETSTAGE"] = request.target or program.stages[-1].name or "default"
    return env


def _stage_state(graph: Graph, stage: Stage) -> State:
    instruction = stage.origin.instruction
    written = instruction.args[0]
    base_name = graph.lexer.expand(written, graph.global_env).text
    if not base_name:
        raise Refused(
            f"the image ({from_raw(written)}) is blank",
            "give its variable a default (ARG NAME=value) before the first FROM",
        )
    start = instruction.arguments_at
    spans = _source_spans(instruction, [(at, at + 1) for at in range(start, start + len(written))])
    site = Site("FROM", instruction.line, spans)
    platform = _platform(graph, stage.origin.flags.get("platform", ""))
    return State(base_name, site, len(graph.states), stage.name, stage, platform)


def _platform(graph: Graph, written: str) -> Platform | None:
    if not written:
        return None
    text = graph.lexer.expand(written, graph.global_env).text
    if not text:
        raise Refused(
            f"its platform ({from_raw(written)}) is empty",
            "give its variable a default (ARG NAME=value) before the first FROM",
        )
    try:
        return Platform.parse(
            from_raw(text), architecture=graph.request.build_platform.architecture
        )
    except UsageError as error:
        raise Refused(f"its platform: {error.message}; {error.cause}", error.remedy) from None


def _source_spans(
    instruction: Instruction, spans: Iterable[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    """Where in the file spans of an instruction's text stand."""
    return tuple(
        (instruction.source_offset(start), instruction.source_offset(end - 1) + 1)
        for start, end in spans
    )


def _target(graph: Graph) -> State:
    target = graph.request.target
    if target is None or not target:
        return graph.states[-1]
    if found := graph.by_name.get(lower(target)):
        return found
    if target.isascii() and target.isdecimal() and int(target[:18]) < len(graph.states):
        return graph.states[int(target)]
    names = [state.name or str(state.index) for state in graph.states]
    raise DockerfileError(
        f"there is no stage {target!r}",
        cause="no FROM gives a stage that name",
        remedy=f"build one of: {', '.join(names[:50])}",
    )


def _action(graph: Graph, command: Command, onbuild: Instruction | None = None) -> Action:
    """A command with the states it takes files from; images named directly become states."""
    try:
        if command.keyword == "copy" and command.flags.get("from"):
            return Action(command, (_copy_source(graph, command, onbuild),), onbuild)
        if command.keyword == "run":
            return Action(command, _mount_sources(graph, command, onbuild), onbuild)
    except Refused as refused:
        raise refused.at((onbuild or command.instruction).line, command.keyword.upper()) from None
    return Action(command, (), onbuild)


def _copy_source(graph: Graph, command: Command, onbuild: Instruction | None) -> State:
    origin = command.flags["from"]
    if graph.lexer.expand(origin, {}).text != origin:
        raise Refused(
            "--from holds a variable, which BuildKit does not expand there",
            "add a stage, FROM ${NAME} AS name, and copy --from=name",
        )
    if _NUMBER.fullmatch(origin) and abs(int(origin[:20])) < 1 << 63:
        number = int(origin)
        if not 0 <= number < len(graph.states):
            raise Refused(f"there is no stage number {number}", "count the stages from 0")
        return graph.states[number]
    word = next(word for word in command.instruction.flags if word.text.startswith("--from="))
    spans = word.spans[len("--from=") :]
    return _source(graph, origin, "COPY", command.instruction, spans, onbuild)


def _mount_sources(
    graph: Graph, command: Command, onbuild: Instruction | None
) -> tuple[State | None, ...]:
    sources: list[State | None] = []
    prefix = len("--mount=")
    for word in command.many.get("mount", ()):
        mount = declared_origin(word.text[prefix:])
        start, end = (prefix + at for at in mount.origin_at)
        spans = word.spans[start:end]
        origin = mount.origin or SCRATCH
        sources.append(_source(graph, origin, "mount", command.instruction, spans, onbuild))
    return tuple(sources)


def _source(
    graph: Graph,
    origin: str,
    kind: Kind,
    instruction: Instruction,
    spans: tuple[tuple[int, int], ...],
    onbuild: Instruction | None,
) -> State:
    found = graph.by_name.get(lower(from_raw(origin)))
    if found is not None:
        return found
    places = _source_spans(instruction, spans)
    if onbuild is not None:
        shift = _trigger_start(onbuild)
        places = _source_spans(onbuild, [(start + shift, end + shift) for start, end in places])
    site = Site(kind, (onbuild or instruction).line, places)
    return graph.add(State(origin, site, len(graph.states), ready=True))


def _trigger_start(onbuild: Instruction) -> int:
    match = _ONBUILD.match(onbuild.text)
    return match.end() if match else 0


def _refuse_cycles(states: list[State]) -> None:
    """Refuse stages that take files from one another in a circle."""
    done: set[State] = set()
    for first in states:
        path: dict[State, None] = {}
        stack = [(first, iter(first.needs()))] if first not in done else []
        path[first] = None
        while stack:
            state, needs = stack[-1]
            for needed in needs:
                if needed in path:
                    raise Refused(
                        f"stage {needed.name or needed.index} takes files from itself in the end",
                        "copy from a stage that stands earlier in the file",
                    ).at(needed.site.line)
                if needed not in done:
                    path[needed] = None
                    stack.append((needed, iter(needed.needs())))
                    break
            else:
                stack.pop()
                path.pop(state)
                done.add(state)


def _resolve(graph: Graph, target: State) -> list[State]:
    """The states that are reached, ONBUILD commands of stages included."""
    while True:
        reached = set(graph.states) if graph.request.all_stages else _reachable(target)
        for state in graph.states:
            if state.base is None and state.reference is None and state.base_name != SCRATCH:
                state.reference = _reference(state)
        ordered = sorted(reached, key=_index)
        added = [_add_triggers(graph, state) for state in ordered]
        if not any(added):
            return ordered


def _index(state: State) -> int:
    return state.index


def _reachable(target: State) -> set[State]:
    reached: set[State] = set()
    stack = [target]
    while stack:
        state = stack.pop()
        if state not in reached:
            reached.add(state)
            stack += [needed for needed in (state.base, *state.needs()) if needed]
    return reached


def _reference(state: State) -> Reference:
    """The image a state is built on; BuildKit reads it for stages nobody reaches as well."""
    try:
        return Reference.parse(from_raw(state.base_name))
    except UsageError as error:
        refused = Refused(f"{error.message}: {error.cause}", error.remedy)
        raise refused.at(state.site.line, state.site.kind) from None


def _add_triggers(graph: Graph, state: State) -> bool:
    """Put the ONBUILD commands of a stage's base before its own; whether that adds states."""
    if state.base is None or state.triggered:
        return False
    state.triggered = True
    onbuilds = [
        action.command.instruction
        for action in state.base.actions
        if action.command.keyword == "onbuild"
    ]
    actions = [_trigger(graph, onbuild) for onbuild in onbuilds]
    state.actions = actions + state.actions
    return any(action.sources for action in actions)


def _trigger(graph: Graph, onbuild: Instruction) -> Action:
    """What an ONBUILD holds back, as BuildKit reads it: a file of its own."""
    text = onbuild.text[_trigger_start(onbuild) :]
    text += "".join(f"\n{heredoc.body}{heredoc.name}" for heredoc in onbuild.heredocs)
    try:
        parsed = parse(text)
        if len(parsed.instructions) != 1:
            raise Refused("an ONBUILD holds back more than one instruction", "write one of each")
        command = read_command(parsed.instructions[0])
    except DockerfileError as error:
        raise DockerfileError(
            error.message, line=onbuild.line, cause=error.cause, remedy=error.remedy
        ) from None
    except Refused as refused:
        raise refused.at(onbuild.line, "ONBUILD") from None
    return _action(graph, command, onbuild)
