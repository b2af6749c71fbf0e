"""Carrying out a stage's commands, as far as the file alone decides.

The rules are those of ``dispatch`` in BuildKit's ``convert.go``; an image's own environment is
not known here, so its variables count as unset.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from bailing_tasks.dockerfile.environment import Environment
from bailing_tasks.dockerfile.graph import SCRATCH, Action, Graph, State
from bailing_tasks.dockerfile.heredocs import opens_heredoc
from bailing_tasks.dockerfile.mounts import parse_mount
from bailing_tasks.dockerfile.shell import Expansion, Lexer
from bailing_tasks.dockerfile.text import Refused, from_raw, to_raw

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WHOLE_CONTEXT = "."


@dataclass(frozen=True, slots=True)
class ContextInput:
    """A path of the build context that a stage reads.

    Attributes:
        pattern: Relative to the context; ``.`` is all of it.
        line: Where the file asks for it.
        kind: ``COPY``, ``ADD`` or ``mount``.
    """

    pattern: str
    line: int
    kind: str


@dataclass(slots=True)
class _Stage:
    """A stage while its commands are carried out."""

    graph: Graph
    state: State
    env: Environment
    inputs: list[ContextInput] = field(default_factory=list)

    def expand(self, raw: str, lexer: Lexer | None = None) -> str:
        return self.expansion(raw, lexer).text

    def expansion(self, raw: str, lexer: Lexer | None = None) -> Expansion:
        return (lexer or self.graph.lexer).expand(raw, self.env)

    def known(self, expansion: Expansion) -> bool:
        """Whether an expansion is the same whatever the image holds."""
        return all(self.env.knows(name) for name in expansion.names)


def evaluate(graph: Graph, reached: list[State]) -> list[ContextInput]:
    """Carry out the commands of the stages that are reached; what they read of the context.

    Raises:
        DockerfileError: BuildKit refuses a command.
    """
    environments: dict[State, Environment] = {}
    inputs: list[ContextInput] = []
    for state in reached:
        if state.stage is None:
            continue
        if state.base is None:
            env = Environment(state.base_name != SCRATCH)
            env.set("PATH", _DEFAULT_PATH, decided_by_image=env.image)
        else:
            env = environments[state.base].child()
        stage = _Stage(graph, state, env)
        for action in state.actions:
            _carry_out(stage, action)
        state.ready = True
        environments[state] = env
        inputs += stage.inputs
    return inputs


def _carry_out(stage: _Stage, action: Action) -> None:
    keyword = action.command.keyword
    handler = _HANDLERS.get(keyword)
    if handler is None:
        return
    try:
        handler(stage, action)
    except Refused as refused:
        raise refused.at(action.line, keyword.upper()) from None


def _env(stage: _Stage, action: Action) -> None:
    args = action.command.instruction.args
    names = [stage.expand(name) for name in args[::2]]
    values = [stage.expansion(value) for value in args[1::2]]
    known = [stage.known(value) for value in values]
    for name, value, is_known in zip(names, values, known, strict=True):
        stage.env.set(name, value.text, decided_by_image=not is_known)


def _arg(stage: _Stage, action: Action) -> None:
    request = stage.graph.request
    for text in action.command.instruction.args:
        name, equals, default = text.partition("=")
        given = request.build_args.get(from_raw(name))
        if given is not None:
            stage.env.set(name, to_raw(given))
        elif equals:
            value = stage.expansion(default)
            stage.env.set(name, value.text, decided_by_image=not stage.known(value))
        elif name in stage.graph.global_env:
            stage.env.set(name, stage.graph.global_env[name])


def _expand_all(stage: _Stage, action: Action) -> None:
    for arg in action.command.instruction.args:
        stage.expand(arg)


def _copy(stage: _Stage, action: Action) -> None:
    command = action.command
    kind = command.keyword.upper()
    for flag in ("chown", "chmod", "checksum"):
        stage.expand(command.flags.get(flag, ""))
    *sources, destination = command.instruction.args
    paths = [source for source in sources if not opens_heredoc(source)]
    expansions = [stage.expansion(path) for path in paths]
    stage.expand(destination)
    body = Lexer(quotes=False, budget=stage.graph.lexer.budget)
    for heredoc in command.instruction.heredocs:
        if heredoc.expand:
            stage.expand(heredoc.body, body)
    if any(source is not None and not source.ready for source in action.sources):
        raise Refused("it copies from a stage that stands later", "move that stage up")
    if action.sources:
        return
    for expansion in expansions:
        pattern = WHOLE_CONTEXT
        if stage.known(expansion):
            if _is_remote(expansion.text):
                continue
            pattern = _pattern(expansion.text)
        stage.inputs.append(ContextInput(pattern, action.line, kind))


def _run(stage: _Stage, action: Action) -> None:
    expanded: list[Expansion] = []

    def expand(raw: str) -> str:
        expanded.append(stage.expansion(raw))
        return expanded[-1].text

    for word in action.command.many.get("mount", ()):
        expanded.clear()
        mount = parse_mount(word.text.partition("=")[2], expand)
        if mount.type == "bind" and not mount.origin:
            known = all(stage.known(each) for each in expanded)
            pattern = _pattern(mount.source) if known else WHOLE_CONTEXT
            stage.inputs.append(ContextInput(pattern, action.line, "mount"))


def _pattern(source: str) -> str:
    """A source path relative to the context's root, which nothing leads out of."""
    return from_raw(posixpath.normpath("/" + source).lstrip("/")) or WHOLE_CONTEXT


def _is_remote(source: str) -> bool:
    return source.startswith(("http://", "https://", "git@", "git://", "ssh://"))


_HANDLERS: dict[str, Callable[[_Stage, Action], None]] = {
    "env": _env,
    "label": _expand_all,
    "arg": _arg,
    "copy": _copy,
    "add": _copy,
    "run": _run,
    "expose": _expand_all,
    "user": _expand_all,
    "volume": _expand_all,
    "workdir": _expand_all,
    "stopsignal": _expand_all,
}
