"""BuildKit's lint rules, which refuse a file that says ``# check=error=true``.

Here are the rules that BuildKit applies to every instruction and to every FROM; those that it
applies while it carries out the stages that are reached are in ``lint_stages``. The names are
those of ``linter/ruleset.go`` in BuildKit.

Two of its rules are missing, because a file's text does not decide them: ``CopyIgnoredFile``
(needs the context) and ``InvalidBaseImagePlatform`` (needs the image).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bailing_tasks.dockerfile.directives import LintOptions, comment_options
from bailing_tasks.dockerfile.graph import global_env
from bailing_tasks.dockerfile.lint_stages import LintWarning, stage_warnings
from bailing_tasks.dockerfile.parser import Instruction
from bailing_tasks.dockerfile.shell import Budget, Lexer
from bailing_tasks.dockerfile.states import Graph, State
from bailing_tasks.dockerfile.syntax import Program, Stage
from bailing_tasks.dockerfile.text import Refused, from_raw, lower
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.references import Reference

_ON_TRIAL = frozenset({"InvalidDefinitionDescription"})
_RESERVED = frozenset({"context", "scratch"})
_TARGET = "TARGETPLATFORM"


def check_rules(graph: Graph, reached: list[State], options: LintOptions) -> None:
    """Refuse a file of which a rule warns that is not skipped (``Linter.Error``).

    Args:
        graph: Its stages, worked through.
        reached: Those that the target reaches.
        options: Which rules are skipped.

    Raises:
        DockerfileError: A rule warns; it names the first place, and all rules.
    """
    lexer = Lexer(graph.program.escape, budget=Budget())
    graph = dataclasses.replace(graph, lexer=lexer)
    warnings = [
        warning
        for source in (
            _instruction_warnings(graph.program),
            _name_warnings(graph.program),
            _casing_warnings(graph.program),
            _default_warnings(graph),
            _from_warnings(graph),
            stage_warnings(graph, reached),
        )
        for warning in source
        if _counts(warning, options)
    ]
    if warnings:
        first = min(warnings, key=lambda warning: warning.line)
        raise Refused(
            f"its check directive turns warnings into errors, and {first.rule} warns: "
            f"{first.reason}",
            _remedy({warning.rule for warning in warnings}),
        ).at(first.line)


def _remedy(rules: set[str]) -> str:
    """What to write so that these rules do not warn; one on trial cannot be skipped."""
    ways = []
    if skipped := sorted(rules - _ON_TRIAL):
        ways.append(f"# check=skip={','.join(skipped)};error=true")
    ways += [f"ask for no experimental={rule}" for rule in sorted(rules & _ON_TRIAL)]
    return f"correct it, or do without the check: {'; '.join(ways)}"


def _counts(warning: LintWarning, options: LintOptions) -> bool:
    """Whether a rule may warn (``Linter.Run``); one on trial is not skipped, but asked for."""
    rules, above = {warning.rule, "all"}, comment_options(warning.comments)
    if warning.rule in _ON_TRIAL:
        return bool((options.experimental | above.experimental) & rules)
    return not (options.skipped | above.skipped) & rules


def _instruction_warnings(program: Program) -> Iterator[LintWarning]:
    """Rules of ``parser.Parse`` and ``ParseInstructionWithLinter``, for the whole file."""
    for instruction, keys in _with_keys(program):
        if instruction.has_gap:
            reason = "an empty line continues it"
            yield LintWarning("NoEmptyContinuation", instruction.line, reason)
        for warning in _own_warnings(instruction, keys):
            yield warning.under(instruction)


def _own_warnings(instruction: Instruction, keys: list[str]) -> Iterator[LintWarning]:
    line = instruction.line
    if instruction.keyword == "maintainer":
        yield LintWarning("MaintainerDeprecated", line, "a LABEL should name the author")
    if instruction.keyword == "from" and len(instruction.args) == 3:
        yield from _as_warnings(instruction)
    # ``validateDefinitionDescription``
    if keys and instruction.comments and instruction.comments[-1].split(" ")[0] not in keys:
        yield LintWarning(
            "InvalidDefinitionDescription",
            line,
            f"the comment above it does not begin with {' or '.join(map(from_raw, keys))}",
        )


def _with_keys(program: Program) -> Iterator[tuple[Instruction, list[str]]]:
    """Every instruction, with the names that it defines and that a comment may describe."""
    commands = [*program.global_args]
    for stage in program.stages:
        yield stage.origin.instruction, [stage.name] if stage.name else []
        commands += stage.commands
    for command in commands:
        is_arg = command.keyword == "arg"
        args = command.instruction.args if is_arg else ()
        yield command.instruction, [arg.partition("=")[0] for arg in args]


def _as_warnings(instruction: Instruction) -> Iterator[LintWarning]:
    """``isLowerCaseStageName`` and ``doesFromCaseMatchAsCase`` in ``instructions/parse.go``."""
    word, (_, keyword, name) = instruction.word, instruction.args
    if name != lower(name):
        yield LintWarning("StageNameCasing", instruction.line, f"{name} should be in lower case")
    for same in (str.lower, str.upper):
        if word == same(word) and keyword != same(keyword):
            reason = f"{from_raw(keyword)} is not in the case of {word}"
            yield LintWarning("FromAsCasing", instruction.line, reason)


def _name_warnings(program: Program) -> Iterator[LintWarning]:
    """``validateStageNames`` in ``convert.go``."""
    seen = {""}
    for stage in program.stages:
        if stage.name in _RESERVED:
            yield LintWarning("ReservedStageName", stage.origin.line, f"{stage.name} is reserved")
        if stage.name and stage.name in seen:
            reason = f"an earlier stage is named {stage.name} too"
            yield LintWarning("DuplicateStageName", stage.origin.line, reason)
        seen.add(stage.name)


def _casing_warnings(program: Program) -> Iterator[LintWarning]:
    """``validateCommandCasing`` in ``convert.go``; ARGs before the first FROM do not count."""
    commands = [each for stage in program.stages for each in (stage.origin, *stage.commands)]
    words = [command.instruction.word for command in commands]
    in_lower = sum(word == word.lower() for word in words)
    in_upper = sum(word == word.upper() for word in words)
    wanted = str.lower if in_lower > in_upper else str.upper
    for command in commands:
        word = command.instruction.word
        if word != wanted(word):
            reason = f"{from_raw(word)} is not in the case of most instructions"
            yield LintWarning("ConsistentInstructionCasing", command.line, reason)


def _default_warnings(graph: Graph) -> Iterator[LintWarning]:
    """``validateBaseImagesWithDefaultArgs`` in ``convert.go``: it gives up at the first error."""
    try:
        env = global_env(graph.program, graph.request, graph.lexer, defaults_only=True)
        for stage in graph.program.stages:
            written = stage.origin.instruction.args[0]
            name = graph.lexer.expand(written, env).text
            if not _is_reference(name):
                reason = f"{from_raw(written)} is no image without build arguments"
                yield LintWarning("InvalidDefaultArgInFrom", stage.origin.line, reason)
    except (DockerfileError, Refused):
        return


def _is_reference(raw: str) -> bool:
    try:
        Reference.parse(from_raw(raw))
    except UsageError:
        return False
    return True


def _from_warnings(graph: Graph) -> Iterator[LintWarning]:
    """``reportUnusedFromArgs`` and the rules on ``--platform``, in ``convert.go``."""
    program = graph.program
    declared = {
        arg.partition("=")[0] for command in program.global_args for arg in command.instruction.args
    }
    for stage, state in zip(program.stages, graph.states, strict=False):
        for warning in _stage_warnings(graph, stage, state, declared):
            yield warning.under(stage.origin.instruction)


def _stage_warnings(
    graph: Graph, stage: Stage, state: State, declared: set[str]
) -> Iterator[LintWarning]:
    env, line, written = graph.global_env, stage.origin.line, stage.origin.flags.get("platform", "")
    names = graph.lexer.expand(stage.origin.instruction.args[0], env).names
    result, platform_names = graph.lexer.expand(written, env)
    for name in sorted((names | platform_names) - declared - env.keys()):
        reason = f"no ARG before the first FROM declares {from_raw(name)}"
        yield LintWarning("UndefinedArgInFrom", line, reason)
    if platform_names == {_TARGET} and result == env[_TARGET]:
        reason = "the target's platform is the default"
        yield LintWarning("RedundantTargetPlatform", line, reason)
    if state.platform is not None and not platform_names:
        parts = (state.platform.os, state.platform.architecture)
        if not any(part in stage.name for part in parts):
            reason = f"the platform is always {state.platform}"
            yield LintWarning("FromPlatformFlagConstDisallowed", line, reason)
