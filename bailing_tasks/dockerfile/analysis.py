"""What a caller may ask of a Dockerfile."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bailing_tasks.dockerfile.dialect import other_frontend
from bailing_tasks.dockerfile.directives import CHECK_ARG, SYNTAX_ARG, find_directive, lint_options
from bailing_tasks.dockerfile.evaluation import REMOTE, ContextInput, evaluate
from bailing_tasks.dockerfile.graph import build_graph
from bailing_tasks.dockerfile.parser import Instruction, parse
from bailing_tasks.dockerfile.sources import held_back, onbuilds_of
from bailing_tasks.dockerfile.states import Action, Graph, Kind, OnBuild, Request, Site, State
from bailing_tasks.dockerfile.syntax import Program, read_program
from bailing_tasks.dockerfile.text import BOM, decode, from_raw, to_raw
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

DEFAULT_PLATFORM = "linux/amd64"
ANALYSES = 1024
"""How many of the last ones are kept, of about 20 kB each: a run comes back to every target's."""
_NO_ARGS: Mapping[str, str] = {}
_NO_ONBUILD: OnBuild = {}


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a Dockerfile names an image.

    Attributes:
        line: The instruction's line, from 1.
        kind: By what instruction.
    """

    line: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class ExternalImage:
    """An image that a build takes from a registry.

    Attributes:
        reference: Its name.
        platform: What it is taken for.
        mentions: Where the file names it, in the file's order.
    """

    reference: Reference
    platform: Platform
    mentions: tuple[Mention, ...]


class StageInfo(NamedTuple):
    """A stage of a Dockerfile: its number from 0, its name in lower case, its FROM's line."""

    number: int
    name: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """A Dockerfile and a request, worked through."""

    graph: Graph
    target: State
    reached: list[State]
    inputs: list[ContextInput]


def analyse(
    text: str | bytes,
    target: str | None,
    platform: str | Platform,
    build_platform: str | Platform,
    build_args: Mapping[str, str],
    all_stages: bool,
    onbuild: OnBuild = _NO_ONBUILD,
) -> Analysis:
    """Work a Dockerfile through; a run asks for the same more than once, and gets the same.

    Raises:
        DockerfileError: BuildKit refuses it.
        UsageError: A platform is malformed.
    """
    return _analyse(
        to_raw(text),
        target,
        platform if isinstance(platform, Platform) else Platform.parse(platform),
        build_platform if isinstance(build_platform, Platform) else Platform.parse(build_platform),
        tuple(build_args.items()),
        all_stages,
        tuple(onbuild.items()),
    )


@functools.lru_cache(maxsize=ANALYSES)
def _analyse(
    raw: str,
    target: str | None,
    platform: Platform,
    build_platform: Platform,
    build_args: tuple[tuple[str, str], ...],
    all_stages: bool,
    onbuild: tuple[tuple[tuple[str, str], tuple[str, ...]], ...],
) -> Analysis:
    arguments = dict(build_args)
    request = Request(target, platform, build_platform, arguments, all_stages, dict(onbuild))
    program = _program(raw, arguments)
    graph, wanted, reached = build_graph(program, request)
    options = lint_options(raw, graph.dialect, arguments.get(CHECK_ARG))
    inputs = evaluate(graph, reached)
    if options.is_error:
        # Few files ask for it, and the rules are long.
        from bailing_tasks.dockerfile.lint import check_rules

        check_rules(graph, reached, options)
    return Analysis(graph, wanted, reached, inputs)


def external_images(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> tuple[ExternalImage, ...]:
    """The images that BuildKit takes from registries to build a Dockerfile.

    Args:
        text: The Dockerfile.
        target: The stage to build, by name; the last one by default.
        platform: What is built for.
        build_platform: What is built on.
        build_args: Values for its ARGs.
        all_stages: Count stages as well that the target does not reach.
        onbuild: The ONBUILD instructions of base images, which BuildKit carries out in the stages
            that are built on them, by reference and platform.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    sites: dict[tuple[Reference, Platform], list[Site]] = {}
    for reference, image_platform, site in image_sites(analysis):
        sites.setdefault((reference, image_platform), []).append(site)
    images = []
    for (reference, image_platform), places in sites.items():
        mentions = sorted({(site.line, site.kind) for site in places})
        images.append(
            ExternalImage(reference, image_platform, tuple(Mention(*each) for each in mentions))
        )
    return tuple(sorted(images, key=lambda image: image.mentions[0].line))


def image_sites(analysis: Analysis) -> list[tuple[Reference, Platform, Site]]:
    """Every place that names an external image, with the platform it is taken for."""
    target_platform = analysis.graph.request.platform
    return [
        (state.reference, state.platform or target_platform, state.site)
        for state in analysis.reached
        if state.reference is not None
    ]


def stages(text: str | bytes) -> tuple[StageInfo, ...]:
    """The stages of a Dockerfile, in order.

    Raises:
        DockerfileError: BuildKit cannot read the file.
    """
    return tuple(
        StageInfo(number, stage.name or None, stage.origin.line)
        for number, stage in enumerate(_program(to_raw(text), _NO_ARGS).stages)
    )


def declared_args(text: str | bytes, build_args: Mapping[str, str] = _NO_ARGS) -> frozenset[str]:
    """The names that any ARG of a Dockerfile declares.

    Raises:
        DockerfileError: BuildKit cannot read the file.
    """
    program = _program(to_raw(text), build_args)
    commands = [*program.global_args]
    for stage in program.stages:
        commands += [command for command in stage.commands if command.keyword == "arg"]
    return frozenset(
        from_raw(arg.partition("=")[0]) for command in commands for arg in command.instruction.args
    )


def instructions(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> tuple[str, ...]:
    """The instructions that decide a target: global ARGs, then the stages it reaches.

    Comments and continuations are gone; a heredoc follows its instruction. What the ONBUILD of an
    image adds to a stage follows its FROM. Arguments are those of ``external_images``.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    commands = [*analysis.graph.program.global_args]
    for state in analysis.reached:
        if state.stage is not None:
            added = [action.command for action in state.actions if _is_outside(action)]
            commands += [state.stage.origin, *added, *state.stage.commands]
    return tuple(_normal_text(command.instruction) for command in commands)


def _is_outside(action: Action) -> bool:
    """Whether a command is in no file: an image's ONBUILD."""
    return action.onbuild is not None and not action.onbuild.pieces


def onbuild_instructions(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> tuple[str, ...]:
    """What the ONBUILD instructions of a target hold back for what is built on it.

    Arguments are those of ``external_images``.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    return tuple(from_raw(held_back(each)) for each in onbuilds_of(analysis.target))


def labels(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> frozenset[str]:
    """The names of the labels that a file gives a target, in its stage or those it is built on.

    Arguments are those of ``external_images``.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    state: State | None = analyse(
        text, target, platform, build_platform, build_args, all_stages, onbuild
    ).target
    found: set[str] = set()
    while state is not None and state.stage is not None:
        for command in state.stage.commands:
            if command.keyword == "label":
                found.update(name.strip("\"'") for name in command.instruction.args[::2])
        state = state.base
    return frozenset(map(from_raw, found))


def context_inputs(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> tuple[ContextInput, ...]:
    """The paths of the build context that a target reads.

    Where a path depends on a variable that only an image knows, it is the whole context.
    Arguments are those of ``external_images``.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    return tuple(dict.fromkeys(each for each in analysis.inputs if each.kind != REMOTE))


def remote_inputs(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> tuple[ContextInput, ...]:
    """The URLs and Git repositories that a target adds without a checksum: they may change.

    Arguments are those of ``external_images``.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    return tuple(dict.fromkeys(each for each in analysis.inputs if each.kind == REMOTE))


def unknown_syntax(
    text: str | bytes,
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> tuple[DockerfileError, ...]:
    """What only another frontend may know of a file for it; of other files, that is refused.

    Arguments are those of ``external_images``.

    Raises:
        DockerfileError: BuildKit refuses the file.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    found = analysis.graph.dialect.unknown
    return tuple({(each.line, each.message): each for each in found}.values())


def syntax_frontend(
    text: str | bytes, build_args: Mapping[str, str] = _NO_ARGS
) -> Reference | None:
    """The image that BuildKit takes to read the file with.

    The build argument ``BUILDKIT_SYNTAX`` names it, else a ``# syntax=`` line.

    Raises:
        DockerfileError: What it names is no image.
    """
    return _frontend(to_raw(text), build_args)


def _frontend(raw: str, build_args: Mapping[str, str]) -> Reference | None:
    line, value, name = 0, build_args.get(SYNTAX_ARG), f"the build argument {SYNTAX_ARG}"
    if value is None:
        found = (
            find_directive(raw, "syntax")
            or find_directive(raw, "syntax", "//")
            or _json_syntax(raw)
        )
        if found is None:
            return None
        line, value, name = found[0], from_raw(found[1]), "the syntax directive"
    try:
        return Reference.parse(value.strip().partition(" ")[0])
    except UsageError as error:
        raise DockerfileError(
            f"{name} names no image",
            line=line,
            cause=f"{error.message}: {error.cause}",
            remedy="write docker/dockerfile:1, for example",
        ) from None


def _json_syntax(raw: str) -> tuple[int, str] | None:
    """The frontend that a file in JSON names; such a file is for that frontend only."""
    if not raw.removeprefix(BOM).lstrip().startswith("{"):
        return None
    try:
        value = json.loads(decode(raw.removeprefix(BOM))).get("syntax")
    except (ValueError, RecursionError):
        return None
    return (1, value) if isinstance(value, str) else None


def _program(raw: str, build_args: Mapping[str, str]) -> Program:
    return _read_program(raw, other_frontend(_frontend(raw, build_args)))


@functools.lru_cache(maxsize=ANALYSES)
def _read_program(raw: str, frontend: str) -> Program:
    return read_program(parse(raw), frontend)


def _normal_text(instruction: Instruction) -> str:
    words = instruction.text.strip().split(None, 1)
    text = " ".join([words[0].upper(), *words[1:]])
    text += "".join(f"\n{each.body}{each.name}" for each in instruction.heredocs)
    return from_raw(text)
