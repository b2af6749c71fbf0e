"""The lint rules that BuildKit applies while it carries out the stages a target reaches.

They are those of ``dispatch`` in BuildKit's ``convert.go`` and ``convert_expose.go``. Where it
depends on what only an image knows (its variables, its shell) whether a rule warns, it does not
warn here: ``UndefinedVar`` and ``JSONArgsRecommended`` are decided on top of scratch, and where
the file itself says enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bailing_tasks.dockerfile.environment import Environment
from bailing_tasks.dockerfile.evaluation import StageRun, carry_out
from bailing_tasks.dockerfile.parser import Instruction
from bailing_tasks.dockerfile.shell import Expansion, Lexer
from bailing_tasks.dockerfile.states import Action, Graph, State
from bailing_tasks.dockerfile.syntax import Command
from bailing_tasks.dockerfile.text import decode, from_raw

#: ``nonEnvArgs`` in ``convert.go``.
_NEVER_UNDEFINED = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})
_SECRET = re.compile(
    r"(?:_|\A)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|\Z)",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"(?:_|\A)(?:public|file|version)(?:_|\Z)", re.IGNORECASE)
_ONCE = frozenset({"cmd", "entrypoint", "healthcheck"})
_DRIVE = re.compile(r"\A[A-Za-z]:")


class LintWarning(NamedTuple):
    """A rule that warns, where, and why; and the comments that may skip it there."""

    rule: str
    line: int
    reason: str
    comments: tuple[str, ...] = ()

    def under(self, instruction: Instruction) -> LintWarning:
        """The same warning, for which the comments above an instruction count."""
        return self._replace(comments=instruction.comments)


@dataclass(slots=True)
class _LintRun(StageRun):
    """A stage while its commands are carried out once more, for the rules.

    Attributes:
        undefined: Variables that the command at hand uses, and that nothing defines.
        declared: The ARGs so far, those without a value as well.
        has_workdir: Whether there was a WORKDIR.
        has_shell: Whether there was a SHELL; an image is taken to have none, as nearly all.
        lines: Where instructions stand of which the last one counts.
    """

    undefined: set[str] = field(default_factory=set)
    declared: Environment = field(default_factory=lambda: Environment(image=False))
    has_workdir: bool = False
    has_shell: bool = False
    lines: dict[str, int] = field(default_factory=dict)

    def inherit(self, base: _LintRun | None) -> None:
        """Take over what lasts from the stage this one is built on (``dispatchState.init``)."""
        if base is not None:
            self.declared = base.declared.child()
            self.has_workdir, self.has_shell = base.has_workdir, base.has_shell

    def expansion(self, raw: str, lexer: Lexer | None = None) -> Expansion:
        """As in any run; what is undefined is kept (``reportUnmatchedVariables``)."""
        expansion = StageRun.expansion(self, raw, lexer)
        for name in expansion.names - _NEVER_UNDEFINED:
            is_set = self.env.get(name) is not None or self.declared.get(name) is not None
            if not is_set and self.env.knows(name):
                self.undefined.add(name)
        return expansion


def stage_warnings(graph: Graph, reached: list[State]) -> Iterator[LintWarning]:
    """What the rules say of the commands of the stages that are reached.

    Args:
        graph: All stages; BuildKit has carried them out without an error.
        reached: Those that the target reaches.
    """
    stages: dict[State, _LintRun] = {}
    for state in reached:
        if state.stage is None:
            continue
        stage = stages[state] = _LintRun.begin(graph, state, stages)
        stage.inherit(stages[state.base] if state.base else None)
        for action in state.actions:
            for warning in _action_warnings(stage, action):
                yield warning.under(action.command.instruction)


def _action_warnings(stage: _LintRun, action: Action) -> Iterator[LintWarning]:
    """What the rules say of a command, while it is carried out."""
    yield from _before(stage, action)
    for part in _parts(action):
        carry_out(stage, part)
        if part.command.keyword == "arg":
            stage.declared.set(part.command.instruction.args[0].partition("=")[0], "")
    for name in sorted(stage.undefined):
        yield LintWarning("UndefinedVar", action.line, f"nothing defines {from_raw(name)}")
    stage.undefined.clear()


def _parts(action: Action) -> list[Action]:
    """A command; an ARG one by one, since each declares a variable for the next."""
    instruction = action.command.instruction
    if instruction.keyword != "arg":
        return [action]
    return [
        Action(Command(instruction._replace(args=(arg,))), (), action.onbuild)
        for arg in instruction.args
    ]


def _before(stage: _LintRun, action: Action) -> Iterator[LintWarning]:
    """The rules that look at a command and at what came before it."""
    instruction, line = action.command.instruction, action.line
    if instruction.keyword in ("env", "label") and _is_legacy(instruction):
        reason = f"{instruction.keyword.upper()} should have a = between name and value"
        yield LintWarning("LegacyKeyValueFormat", line, reason)
    for name in _secrets(stage, instruction):
        reason = f"{from_raw(name)} is the name of a secret"
        yield LintWarning("SecretsUsedInArgOrEnv", line, reason)
    if instruction.keyword in _ONCE:
        yield from _repetition(stage, instruction.keyword, line)
    if instruction.keyword in ("cmd", "entrypoint", "shell"):
        yield from _shell_form(stage, instruction, line)
    if instruction.keyword == "workdir":
        if not stage.has_workdir and _is_relative(stage, instruction.args[0]):
            yield LintWarning("WorkdirRelativePath", line, "no absolute WORKDIR stands before it")
        stage.has_workdir = True
    if instruction.keyword == "expose":
        for rule, port in _port_findings(stage, instruction):
            yield LintWarning(rule, line, f"{from_raw(port)} should be a port, as in 80/tcp")


def _repetition(stage: _LintRun, keyword: str, line: int) -> Iterator[LintWarning]:
    """``validateUsedOnce``: it blames the earlier one, which does not count."""
    if keyword in stage.lines:
        reason = f"a later {keyword.upper()} takes its place"
        yield LintWarning("MultipleInstructionsDisallowed", stage.lines[keyword], reason)
    stage.lines[keyword] = line


def _shell_form(stage: _LintRun, instruction: Instruction, line: int) -> Iterator[LintWarning]:
    """``dispatchCmd`` and ``dispatchEntrypoint``: a SHELL of one's own is asked for."""
    if instruction.keyword == "shell":
        stage.has_shell = True
    elif not instruction.is_json and not stage.has_shell:
        reason = f"{instruction.keyword.upper()} should be a JSON array"
        yield LintWarning("JSONArgsRecommended", line, reason)


def _is_legacy(instruction: Instruction) -> bool:
    """Whether white space stands between name and value (``NoDelim``)."""
    rest = decode(instruction.text[instruction.arguments_at :])
    return not rest[len(decode(instruction.args[0])) :].startswith("=")


def _secrets(stage: _LintRun, instruction: Instruction) -> Iterator[str]:
    """``validateNoSecretKey``: names of ENV with variables expanded, of ARG as they stand."""
    names: list[str] = []
    if instruction.keyword == "env":
        found = [StageRun.expansion(stage, name) for name in instruction.args[::2]]
        names = [each.text for each in found if stage.known(each)]
    elif instruction.keyword == "arg":
        names = [arg.partition("=")[0] for arg in instruction.args]
    for name in names:
        if _SECRET.search(decode(name)) and not _PUBLIC.search(decode(name)):
            yield name


def _is_relative(stage: _LintRun, written: str) -> bool:
    """Whether a path is not absolute (``system.IsAbs``), as far as that is known."""
    expansion = StageRun.expansion(stage, written)
    path = expansion.text
    if stage.platform.os == "windows":
        path = _DRIVE.sub("", path.replace("\\", "/"), count=1)
    return stage.known(expansion) and not path.startswith("/")


def _port_findings(stage: _LintRun, instruction: Instruction) -> Iterator[tuple[str, str]]:
    """``parsePort`` in ``convert_expose.go``."""
    lexer = stage.graph.lexer
    for arg in instruction.args:
        if not stage.known(lexer.expand(arg, stage.env)):
            continue
        for port in lexer.split(arg, stage.env):
            *outer, inner = port.split(":")
            protocol = inner.partition("/")[2]
            if protocol != protocol.lower():
                yield "ExposeProtoCasing", port
            if any(outer):
                yield "ExposeInvalidFormat", port
