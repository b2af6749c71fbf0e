"""What each instruction may hold: its flags, and how many arguments.

The rules are those of ``parse.go`` and ``bflag.go`` in BuildKit's instructions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bailing_tasks.dockerfile.dialect import Dialect
from bailing_tasks.dockerfile.heredocs import opens_heredoc
from bailing_tasks.dockerfile.mounts import check_device, declared_origin
from bailing_tasks.dockerfile.parser import Instruction, Parsed
from bailing_tasks.dockerfile.text import Refused, from_raw, lower, trim
from bailing_tasks.dockerfile.values import check_duration, check_integer
from bailing_tasks.dockerfile.words import FlagWord

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_TEXT, _SWITCH, _MANY = "text", "switch", "many"
_HEALTH = dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), _TEXT)
_FLAGS: Mapping[str, Mapping[str, str]] = {
    "from": {"platform": _TEXT},
    "copy": {
        "from": _TEXT,
        "chown": _TEXT,
        "chmod": _TEXT,
        "link": _SWITCH,
        "parents": _SWITCH,
        "exclude": _MANY,
    },
    "add": {
        "chown": _TEXT,
        "chmod": _TEXT,
        "link": _SWITCH,
        "keep-git-dir": _SWITCH,
        "checksum": _TEXT,
        "unpack": _SWITCH,
        "exclude": _MANY,
    },
    "run": {"mount": _MANY, "network": _TEXT, "security": _TEXT, "device": _MANY},
    "healthcheck": _HEALTH,
}
_RUN_MODES = {"network": ("default", "none", "host"), "security": ("sandbox", "insecure")}
#: BuildKit never looks at what flags these have.
_FLAGS_IGNORED = frozenset({"arg", "stopsignal"})
_AT_LEAST = {
    "env": 1,
    "label": 1,
    "add": 2,
    "copy": 2,
    "onbuild": 1,
    "healthcheck": 1,
    "expose": 1,
    "volume": 1,
    "arg": 1,
    "shell": 1,
    "maintainer": 1,
    "workdir": 1,
    "user": 1,
    "stopsignal": 1,
    "run": 0,
    "cmd": 0,
    "entrypoint": 0,
    "from": 1,
}


#: For the many instructions that have no flags.
_NO_FLAGS: Mapping[str, str] = {}
_NO_WORDS: Mapping[str, list[FlagWord]] = {}


class Command(NamedTuple):
    """An instruction that was found right, with its flags read.

    Attributes:
        instruction: What the file says.
        flags: Values of flags that stand once.
        many: Words of flags that may stand several times.
    """

    instruction: Instruction
    flags: Mapping[str, str] = _NO_FLAGS
    many: Mapping[str, list[FlagWord]] = _NO_WORDS

    @property
    def keyword(self) -> str:
        """In lower case."""
        return self.instruction.keyword

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.instruction.line


@dataclass(slots=True)
class Stage:
    """A FROM and what follows it."""

    origin: Command
    name: str
    commands: list[Command] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole file: the ARGs before the first FROM, and the stages."""

    escape: str
    global_args: tuple[Command, ...]
    stages: tuple[Stage, ...]
    dialect: Dialect


def read_program(parsed: Parsed, frontend: str = "") -> Program:
    """Check every instruction, and sort them into stages.

    Args:
        parsed: The file.
        frontend: What it is for, as in ``Dialect.frontend``.

    Raises:
        DockerfileError: BuildKit refuses an instruction, or there is no stage.
    """
    global_args: list[Command] = []
    stages: list[Stage] = []
    dialect = Dialect(frontend)
    for instruction in parsed.instructions:
        command = _read(instruction, dialect, first=not stages)
        if command is None:
            continue
        if command.keyword == "from":
            stages.append(Stage(command, stage_name(instruction.args)))
        elif stages:
            stages[-1].commands.append(command)
        else:
            global_args.append(command)
    if not stages:
        raise Refused("it has no stage to build", "add a FROM").at(0)
    return Program(parsed.escape, tuple(global_args), tuple(stages), dialect)


def _read(instruction: Instruction, dialect: Dialect, *, first: bool) -> Command | None:
    """The command of an instruction; None for one that only another frontend may know."""
    try:
        if instruction.keyword not in _AT_LEAST:
            dialect.report(_unknown(instruction), instruction.line)
            return None
        command = read_command(instruction, dialect)
        if first and command.keyword not in ("from", "arg"):
            raise Refused(
                f"{command.keyword.upper()} stands before the first FROM",
                "put a FROM before it; only ARG may precede one",
            )
    except Refused as refused:
        raise refused.at(instruction.line, from_raw(instruction.word)[:40]) from None
    return command


def _unknown(instruction: Instruction) -> Refused:
    return Refused(
        f"there is no instruction {from_raw(instruction.word)[:40]!r}",
        "correct its name, or end the line before it with a \\ if it belongs to that",
    )


def read_command(instruction: Instruction, dialect: Dialect) -> Command:
    """Check one instruction.

    Args:
        instruction: What the file says.
        dialect: Whose syntax the file is in.

    Raises:
        Refused: It is unknown, or its flags or arguments are wrong.
    """
    keyword, args = instruction.keyword, instruction.args
    if keyword not in _AT_LEAST:
        raise _unknown(instruction)
    if len(args) < _AT_LEAST[keyword]:
        raise Refused(
            f"{keyword.upper()} needs at least {_AT_LEAST[keyword]} argument(s)",
            "add what is missing",
        )
    if keyword == "from":
        stage_name(args)
    if keyword == "healthcheck" and args[0].upper() == "NONE":
        if len(args) > 1:
            raise Refused("HEALTHCHECK NONE takes no arguments", "remove what follows NONE")
        return Command(instruction)
    command = _with_flags(instruction, dialect)
    _check(command)
    return command


def stage_name(args: tuple[str, ...]) -> str:
    """The name that a FROM gives its stage, in lower case; empty for none.

    Raises:
        Refused: The name is malformed, or the arguments are not ``image [AS name]``.
    """
    if len(args) == 1:
        return ""
    if len(args) != 3 or from_raw(args[1]).casefold() != "as":
        raise Refused("FROM takes an image, or an image AS a name", "write FROM image AS name")
    name = lower(from_raw(args[2]))
    if not _STAGE_NAME.fullmatch(name):
        raise Refused(
            f"{from_raw(args[2])!r} is no name for a stage",
            "begin with a letter; then letters, digits, - _ and . are allowed",
        )
    return name


def _with_flags(instruction: Instruction, dialect: Dialect) -> Command:
    known = _FLAGS.get(instruction.keyword, {})
    if not instruction.flags or instruction.keyword in _FLAGS_IGNORED:
        return Command(instruction)
    values: dict[str, str] = {}
    many: dict[str, list[FlagWord]] = {}
    for word in instruction.flags:
        name, equals, value = word.text[2:].partition("=")
        kind = known.get(name)
        if kind is None:
            refused = Refused(
                f"{instruction.word.upper()} has no flag --{from_raw(name)}",
                "remove it, or put it after the command it belongs to",
            )
            dialect.report(refused, instruction.line)
            continue
        if name in values:
            raise Refused(f"the flag --{name} stands there twice", "leave one of them")
        if (kind != _SWITCH and not equals) or (kind == _SWITCH and equals and not value):
            raise Refused(f"the flag --{name} has no value", f"write --{name}=value")
        if kind == _MANY:
            many.setdefault(name, []).append(word)
        else:
            values[name] = _switch(name, value) if kind == _SWITCH else value
    return Command(instruction, values, many)


def _switch(name: str, value: str) -> str:
    state = lower(value) or "true"
    if state not in ("true", "false"):
        raise Refused(f"the flag --{name} is neither true nor false", f"write --{name}")
    return state


def _check(command: Command) -> None:
    """What is particular to one kind of instruction."""
    keyword, args = command.keyword, command.instruction.args
    if keyword in ("copy", "add") and opens_heredoc(args[-1]):
        raise Refused("its last argument is a heredoc", "put the destination last")
    if keyword in ("env", "label") and not all(args[::2]):
        raise Refused(f"a name of {keyword.upper()} is blank", "put a name before the =")
    if keyword == "arg" and any(arg.startswith("=") for arg in args):
        raise Refused("a name of ARG is blank", "put a name before the =")
    if keyword == "volume" and not all(map(trim, args)):
        raise Refused("a VOLUME is an empty string", "name a path")
    if keyword == "shell" and not command.instruction.is_json:
        raise Refused("SHELL takes a JSON array", 'write it as in SHELL ["/bin/sh", "-c"]')
    if keyword == "onbuild" and lower(args[0]) in ("onbuild", "maintainer", "from"):
        raise Refused(f"{args[0].upper()} cannot be held back", "remove the ONBUILD")
    if keyword == "run":
        _check_run(command)
    if keyword == "healthcheck":
        _check_healthcheck(command)


def _check_run(command: Command) -> None:
    for word in command.many.get("mount", ()):
        declared_origin(word.text.partition("=")[2])
    for word in command.many.get("device", ()):
        check_device(word.text.partition("=")[2])
    for name, allowed in _RUN_MODES.items():
        if command.flags.get(name, allowed[0]) not in allowed:
            raise Refused(
                f"--{name} is {from_raw(command.flags[name])!r}", f"use {' or '.join(allowed)}"
            )


def _check_healthcheck(command: Command) -> None:
    args = command.instruction.args
    if args[0].upper() != "CMD":
        raise Refused(f"HEALTHCHECK has no kind {from_raw(args[0])!r}", "use CMD or NONE")
    if len(args) < 2:
        raise Refused("a command is missing after HEALTHCHECK CMD", "add the command")
    for name in ("interval", "timeout", "start-period", "start-interval"):
        check_duration(f"--{name}", command.flags.get(name, ""))
    if retries := command.flags.get("retries", ""):
        check_integer("--retries", retries, 32)
