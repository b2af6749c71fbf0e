"""``SOURCE_DATE_EPOCH``: a number of seconds, ``context``, or a stage that is one remote ADD.

The rules are those of ``dockerfile2llb/epoch.go`` in BuildKit. The time of a context or of a remote
source is not known here: the variable counts as unset then.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from bailing_tasks.dockerfile.dialect import Dialect
from bailing_tasks.dockerfile.heredocs import opens_heredoc
from bailing_tasks.dockerfile.remotes import remotes
from bailing_tasks.dockerfile.shell import Lexer
from bailing_tasks.dockerfile.states import SCRATCH, Request
from bailing_tasks.dockerfile.syntax import Command, Program, Stage
from bailing_tasks.dockerfile.text import Refused, from_raw, lower, to_raw
from bailing_tasks.dockerfile.values import is_integer

EPOCH = "SOURCE_DATE_EPOCH"
_CONTEXT = "context"
_STAGE_REMEDY = "let it hold FROM scratch, ARGs, and one ADD of a URL or a Git repository"


def with_epoch(
    program: Program, request: Request, env: Mapping[str, str], lexer: Lexer, dialect: Dialect
) -> tuple[Request, dict[str, str]]:
    """The request and the global variables, with the time as the number that BuildKit makes of it.

    Args:
        program: The file.
        request: What is to be built.
        env: The global variables.
        lexer: Reads words with the file's escape character.
        dialect: Whose syntax the file is in.

    Raises:
        DockerfileError: The time is malformed.
    """
    given = request.build_args.get(EPOCH)
    value = env.get(EPOCH, "") if given is None else to_raw(given)
    seconds = _seconds(value, program, request, env, lexer, dialect)
    build_args = _replaced(request.build_args, seconds)
    return dataclasses.replace(request, build_args=build_args), _replaced(env, seconds)


def _replaced(values: Mapping[str, str], seconds: str) -> dict[str, str]:
    """Values, in which the time is replaced where there is one."""
    others = {name: value for name, value in values.items() if name != EPOCH}
    return {**others, EPOCH: seconds} if seconds and EPOCH in values else others


def _seconds(
    value: str,
    program: Program,
    request: Request,
    env: Mapping[str, str],
    lexer: Lexer,
    dialect: Dialect,
) -> str:
    if is_integer(value):
        return str(int(value))
    if value in ("", _CONTEXT):
        return ""
    for stage in program.stages:
        if stage.name and stage.name == lower(from_raw(value)):
            try:
                _check_stage(stage, request, _replaced(env, ""), lexer, dialect)
            except Refused as refused:
                raise refused.at(stage.origin.line, EPOCH) from None
            return ""
    line = next((each.line for each in program.global_args if _declares(each)), 0)
    raise Refused(
        f"{EPOCH} is {from_raw(value)!r}",
        "write seconds since 1970, context, or the name of a stage",
    ).at(line, EPOCH)


def _declares(command: Command) -> bool:
    return any(arg.partition("=")[0] == EPOCH for arg in command.instruction.args)


def _check_stage(
    stage: Stage, request: Request, env: dict[str, str], lexer: Lexer, dialect: Dialect
) -> None:
    """Refuse a stage that is not one remote ADD."""
    if lexer.expand(stage.origin.instruction.args[0], env).text != SCRATCH:
        raise Refused(f"stage {stage.name} is not FROM scratch", _STAGE_REMEDY)
    adds = 0
    for command in stage.commands:
        if command.keyword == "arg":
            _declare(command, request, env, lexer)
            continue
        if command.keyword != "add":
            raise Refused(f"stage {stage.name} holds {command.keyword.upper()}", _STAGE_REMEDY)
        adds += 1
        sources = [lexer.expand(each, env).text for each in command.instruction.args[:-1]]
        found = remotes(
            [] if any(map(opens_heredoc, sources)) else sources,
            is_add=True,
            checksum=lexer.expand(command.flags.get("checksum", ""), env).text,
            keep_git_dir="",
            unknown=functools.partial(dialect.report, line=command.line),
        )
        if len(found) != 1 or found[0] is None:
            raise Refused(f"stage {stage.name} adds something else", _STAGE_REMEDY)
    if adds != 1:
        raise Refused(f"stage {stage.name} has {adds} ADD instructions", _STAGE_REMEDY)


def _declare(command: Command, request: Request, env: dict[str, str], lexer: Lexer) -> None:
    for arg in command.instruction.args:
        name, equals, default = arg.partition("=")
        given = request.build_args.get(from_raw(name))
        if given is not None:
            env[name] = to_raw(given)
        elif equals:
            env[name] = lexer.expand(default, env).text
