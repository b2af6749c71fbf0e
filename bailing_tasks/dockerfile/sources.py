"""Where COPY and RUN take files from: stages, numbers of stages, images; and ONBUILD's part in it.

The rules are those of ``toCommand``, ``detectRunMount`` and ``initOnBuildTriggers`` in BuildKit's
``dockerfile2llb``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bailing_tasks.dockerfile.mounts import declared_origin
from bailing_tasks.dockerfile.parser import Instruction, parse
from bailing_tasks.dockerfile.states import SCRATCH, Action, Graph, Kind, Site, State
from bailing_tasks.dockerfile.syntax import Command, read_command
from bailing_tasks.dockerfile.text import Refused, from_raw, lower, to_raw
from bailing_tasks.dockerfile.values import is_integer
from bailing_tasks.errors import DockerfileError

_ONBUILD = re.compile(r"[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*", re.IGNORECASE)
_COPY_FROM = "--from="
_MOUNT = "--mount="


def action_of(graph: Graph, command: Command, onbuild: Instruction | None = None) -> Action:
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
    if is_integer(origin):
        number = int(origin)
        if not 0 <= number < len(graph.states):
            raise Refused(f"there is no stage number {number}", "count the stages from 0")
        found = graph.states[number]
        if found.stage is None:
            graph.states.append(found)  # as in BuildKit, an image counts once more each time
        return found
    if named := graph.by_name.get(lower(from_raw(origin))):
        return named
    word = next(word for word in command.instruction.flags if word.text.startswith(_COPY_FROM))
    ranges = word.ranges(len(_COPY_FROM), len(word.text))
    return _image(graph, origin, _site("COPY", command.instruction, ranges, onbuild))


def _mount_sources(
    graph: Graph, command: Command, onbuild: Instruction | None
) -> tuple[State | None, ...]:
    sources: list[State | None] = []
    for word in command.many.get("mount", ()):
        mount = declared_origin(word.text[len(_MOUNT) :])
        origin = mount.origin or SCRATCH
        found = graph.by_name.get(lower(from_raw(origin)))
        if found is None:
            ranges = word.ranges(*(len(_MOUNT) + at for at in mount.origin_at))
            found = _image(graph, origin, _site("mount", command.instruction, ranges, onbuild))
        sources.append(found)
    return tuple(sources)


def _image(graph: Graph, origin: str, site: Site) -> State:
    """A state for an image that an instruction names directly."""
    return graph.add(State(origin, site, len(graph.states), ready=True))


def _site(
    kind: Kind,
    instruction: Instruction,
    ranges: Iterable[tuple[int, int]],
    onbuild: Instruction | None,
) -> Site:
    if onbuild is not None and not onbuild.pieces:
        return Site("ONBUILD", onbuild.line, ())
    places = instruction.source_ranges(ranges)
    if onbuild is not None:
        shift = _trigger_start(onbuild)
        places = onbuild.source_ranges((start + shift, end + shift) for start, end in places)
    return Site(kind, (onbuild or instruction).line, tuple(places))


def _trigger_start(onbuild: Instruction) -> int:
    match = _ONBUILD.match(onbuild.text)
    return match.end() if match else 0


def add_triggers(graph: Graph, state: State) -> bool:
    """Put the ONBUILD commands of a stage's base before its own; whether that adds states."""
    if state.stage is None or state.triggered:
        return False
    state.triggered = True
    actions = [_trigger(graph, onbuild) for onbuild in _onbuilds(graph, state)]
    state.actions = actions + state.actions
    return any(action.sources for action in actions)


def _onbuilds(graph: Graph, state: State) -> list[Instruction]:
    """The ONBUILD instructions of what a stage is built on: a stage, or an image."""
    if state.base is not None:
        return onbuilds_of(state.base)
    key = (str(state.reference), str(state.platform or graph.request.platform))
    return [_outside(text, state.site.line) for text in graph.request.onbuild.get(key, ())]


def onbuilds_of(state: State) -> list[Instruction]:
    """The ONBUILD instructions of a stage."""
    commands = [action.command for action in state.actions]
    return [each.instruction for each in commands if each.keyword == "onbuild"]


def _outside(text: str, line: int) -> Instruction:
    """An ONBUILD that is in no file: no piece of it can be edited."""
    raw = to_raw(text)
    return Instruction(
        "onbuild", "ONBUILD", f"ONBUILD {raw}", (raw,), False, (), (), line, len("ONBUILD ")
    )


def _trigger(graph: Graph, onbuild: Instruction) -> Action:
    """What an ONBUILD holds back, as BuildKit reads it: a file of its own."""
    try:
        parsed = parse(held_back(onbuild))
        if len(parsed.instructions) != 1:
            raise Refused("an ONBUILD holds back more than one instruction", "write one of each")
        command = read_command(parsed.instructions[0], graph.dialect)
    except DockerfileError as error:
        raise DockerfileError(
            error.message, line=onbuild.line, cause=error.cause, remedy=error.remedy
        ) from None
    except Refused as refused:
        raise refused.at(onbuild.line, "ONBUILD") from None
    return action_of(graph, command, onbuild)


def held_back(onbuild: Instruction) -> str:
    """The text of the instruction that an ONBUILD holds back."""
    text = onbuild.text[_trigger_start(onbuild) :]
    return text + "".join(f"\n{heredoc.body}{heredoc.name}" for heredoc in onbuild.heredocs)
