"""Stages and what they are built on: which of them a target reaches, and which images they take.

The rules are those of ``dockerfile2llb/convert.go`` in BuildKit, up to where it asks a registry.
"""

from __future__ import annotations

from collections.abc import Mapping

from bailing_tasks.dockerfile.dialect import Dialect
from bailing_tasks.dockerfile.epoch import with_epoch
from bailing_tasks.dockerfile.shell import Budget, Lexer
from bailing_tasks.dockerfile.sources import action_of, add_triggers
from bailing_tasks.dockerfile.states import SCRATCH, Graph, Request, Site, State
from bailing_tasks.dockerfile.syntax import Program, Stage
from bailing_tasks.dockerfile.text import Refused, from_raw, lower, to_raw
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference


def build_graph(program: Program, request: Request) -> tuple[Graph, State, list[State]]:
    """The states of a file, the target, and those that it reaches, in the file's order.

    Raises:
        DockerfileError: BuildKit refuses the file before it asks a registry.
    """
    lexer = Lexer(program.escape, budget=Budget())
    dialect = Dialect(program.dialect.frontend, [*program.dialect.unknown])
    env = global_env(program, request, lexer)
    request, env = with_epoch(program, request, env, lexer, dialect)
    graph = Graph(program, request, env, lexer, dialect)
    for stage in program.stages:
        command = stage.origin
        try:
            graph.add(_stage_state(graph, stage))
        except Refused as refused:
            raise refused.at(command.line, "FROM") from None
    target = _target(graph)
    for state, stage in zip(tuple(graph.states), program.stages, strict=True):
        state.actions = [action_of(graph, command) for command in stage.commands]
    _refuse_cycles(graph.states)
    return graph, target, _resolve(graph, target)


def global_env(
    program: Program, request: Request, lexer: Lexer, *, defaults_only: bool = False
) -> dict[str, str]:
    """The predefined arguments, and the ARGs before the first FROM.

    Args:
        program: The file.
        request: What is to be built.
        lexer: Reads their values.
        defaults_only: Leave out what is given for the file's own ARGs.
    """
    env = _predefined(program, request)
    env = {name: _arg(request.build_args, name, value) for name, value in env.items()}
    for command in program.global_args:
        for text in command.instruction.args:
            name, equals, default = text.partition("=")
            given = None if defaults_only else request.build_args.get(from_raw(name))
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
    ranges = instruction.source_ranges([(start, start + len(written))])
    site = Site("FROM", instruction.line, tuple(ranges))
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


def _target(graph: Graph) -> State:
    target = graph.request.target
    if target is None or not target:
        return graph.states[-1]
    if found := graph.by_name.get(lower(target)):
        return found
    names = [state.name for state in graph.states if state.name]
    raise DockerfileError(
        f"there is no stage {target!r}",
        cause="no FROM gives a stage that name",
        remedy=f"build one of: {', '.join(names[:50])}" if names else "name one: FROM … AS NAME",
    )


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
        added = [add_triggers(graph, state) for state in ordered]
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
