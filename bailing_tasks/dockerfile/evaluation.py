"""Carrying out a stage's commands, as far as the file alone decides.

The rules are those of ``dispatch`` in BuildKit's ``convert.go``. An image's own environment and
working directory are not known here: its variables count as unset.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bailing_tasks.dockerfile.environment import Environment
from bailing_tasks.dockerfile.heredocs import opens_heredoc
from bailing_tasks.dockerfile.mounts import Mount, parse_mount
from bailing_tasks.dockerfile.parser import Instruction
from bailing_tasks.dockerfile.remotes import remotes
from bailing_tasks.dockerfile.shell import Expansion, Lexer
from bailing_tasks.dockerfile.states import SCRATCH, Action, Graph, State
from bailing_tasks.dockerfile.text import Refused, from_raw, is_utf8, to_raw
from bailing_tasks.dockerfile.values import check_mode, check_port, check_signal
from bailing_tasks.platforms import Platform

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WHOLE_CONTEXT = "."
REMOTE = "remote"
_Run = TypeVar("_Run", bound="StageRun")


@dataclass(frozen=True, slots=True)
class ContextInput:
    """A path of the build context that a stage reads.

    Attributes:
        pattern: Relative to the context; ``.`` is all of it.
        line: Where the file asks for it.
        kind: ``COPY``, ``ADD`` or ``mount``; ``remote`` for a URL or a Git repository that ADD
            takes without a checksum.
    """

    pattern: str
    line: int
    kind: str


@dataclass(slots=True)
class StageRun:
    """A stage while its commands are carried out.

    Attributes:
        graph: All stages.
        env: Its variables.
        platform: What it is built for.
        directory: Its working directory; None where only the image knows it.
        inputs: What it reads of the build context.
    """

    graph: Graph
    env: Environment
    platform: Platform
    directory: str | None
    inputs: list[ContextInput] = field(default_factory=list)

    @classmethod
    def begin(cls: type[_Run], graph: Graph, state: State, stages: dict[State, _Run]) -> _Run:
        """What a stage starts with: its base's, or what every image has."""
        if state.base is not None:
            base = stages[state.base]
            return cls(graph, base.env.child(), base.platform, base.directory)
        if state.base_name == SCRATCH:
            env, platform, directory = Environment(image=False), graph.request.platform, "/"
        else:
            env, platform = Environment(image=True), state.platform or graph.request.platform
            directory = None
        if platform.os != "windows":
            env.set("PATH", _DEFAULT_PATH, decided_by_image=env.image)
        return cls(graph, env, platform, directory)

    def expand(self, raw: str) -> str:
        """A word with its variables expanded."""
        return self.expansion(raw).text

    def expansion(self, raw: str, lexer: Lexer | None = None) -> Expansion:
        """A word with its variables expanded, and their names."""
        return (lexer or self.graph.lexer).expand(raw, self.env)

    def known(self, expansion: Expansion) -> bool:
        """Whether an expansion is the same whatever the image holds."""
        return all(self.env.knows(name) for name in expansion.names)

    def check_path(self, path: str) -> None:
        """Refuse what cannot be a path on Windows, if that is what is built for."""
        if self.platform.os != "windows":
            return
        drive, colon, rest = path.partition(":")
        if path[:2].replace("\\", "/") == "//":
            raise Refused("a path begins with two slashes", "name a path on drive C:")
        if colon and (drive.lower() != "c" or not rest):
            raise Refused(f"{from_raw(path)!r} is no path on drive C:", "name a path on drive C:")


def evaluate(graph: Graph, reached: list[State]) -> list[ContextInput]:
    """Carry out the commands of the stages that are reached; what they read of the context.

    Raises:
        DockerfileError: BuildKit refuses a command.
    """
    stages: dict[State, StageRun] = {}
    for state in reached:
        if state.stage is None:
            continue
        stage = stages[state] = StageRun.begin(graph, state, stages)
        state.ready = True  # an ONBUILD may copy from the very stage that it is carried out in
        for action in state.actions:
            carry_out(stage, action)
    return [each for stage in stages.values() for each in stage.inputs]


def carry_out(stage: StageRun, action: Action) -> None:
    """Carry out one command.

    Raises:
        DockerfileError: BuildKit refuses it.
    """
    keyword = action.command.keyword
    handler = _HANDLERS.get(keyword)
    if handler is None:
        return
    try:
        handler(stage, action)
    except Refused as refused:
        raise refused.at(action.line, keyword.upper()) from None


def _env(stage: StageRun, action: Action) -> None:
    args = action.command.instruction.args
    pairs = [
        (stage.expand(name), stage.expansion(value))
        for name, value in zip(args[::2], args[1::2], strict=True)
    ]
    known = [stage.known(value) for _, value in pairs]
    for (name, value), is_known in zip(pairs, known, strict=True):
        stage.env.set(name, value.text, decided_by_image=not is_known)


def _label(stage: StageRun, action: Action) -> None:
    for arg in action.command.instruction.args:
        stage.expand(arg)


def _arg(stage: StageRun, action: Action) -> None:
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


def _workdir(stage: StageRun, action: Action) -> None:
    expansion = stage.expansion(action.command.instruction.args[0])
    path = expansion.text
    stage.check_path(path)
    if not stage.known(expansion):
        stage.directory = None
    elif path.startswith("/") or stage.directory is not None:
        stage.directory = posixpath.join(stage.directory or "/", path)


def _user(stage: StageRun, action: Action) -> None:
    stage.expand(action.command.instruction.args[0])


def _volume(stage: StageRun, action: Action) -> None:
    for arg in action.command.instruction.args:
        if not stage.expand(arg):
            raise Refused("a VOLUME is an empty string", "give its variable a value")


def _stop_signal(stage: StageRun, action: Action) -> None:
    check_signal(stage.expand(action.command.instruction.args[0]))


def _expose(stage: StageRun, action: Action) -> None:
    for arg in action.command.instruction.args:
        for word in stage.graph.lexer.split(arg, stage.env):
            check_port(word)


def _copy(stage: StageRun, action: Action) -> None:
    command = action.command
    flags, is_add = command.flags, command.keyword == "add"
    _, mode, checksum = (
        stage.expand(flags.get(name, "")) for name in ("chown", "chmod", "checksum")
    )
    *sources, destination = command.instruction.args
    paths = [stage.expansion(source) for source in sources if not opens_heredoc(source)]
    stage.check_path(stage.expand(destination))
    _expand_bodies(stage, command.instruction)
    if any(source is not None and not source.ready for source in action.sources):
        raise Refused("it copies from a stage that stands later", "move that stage up")
    check_mode(mode)
    found = remotes(
        [path.text for path in paths],
        is_add=is_add,
        checksum=checksum,
        keep_git_dir=flags.get("keep-git-dir", ""),
        unknown=functools.partial(stage.graph.dialect.report, line=action.line),
    )
    for path, remote in zip(paths, found, strict=True):
        if remote is not None:
            if not checksum and not remote.checksum:
                stage.inputs.append(ContextInput(path.text, action.line, REMOTE))
            continue
        stage.check_path(path.text)
        if not action.sources:
            parents = flags.get("parents") == "true"
            pattern = _pattern(path.text, parents=parents) if stage.known(path) else WHOLE_CONTEXT
            stage.inputs.append(ContextInput(pattern, action.line, command.keyword.upper()))


def _expand_bodies(stage: StageRun, instruction: Instruction) -> None:
    """Variables in heredocs whose name is not quoted are expanded, quotes meaning nothing."""
    lexer = Lexer(quotes=False, budget=stage.graph.lexer.budget)
    for heredoc in instruction.heredocs:
        if heredoc.expand:
            stage.expansion(heredoc.body, lexer)


def _run(stage: StageRun, action: Action) -> None:
    expanded: list[Expansion] = []

    def expand(raw: str) -> str:
        expanded.append(stage.expansion(raw))
        return expanded[-1].text

    unknown = functools.partial(stage.graph.dialect.report, line=action.line)
    if action.command.many.get("device"):
        refused = Refused("RUN takes --device in the labs frontend only", "remove it")
        unknown(refused)
    words = action.command.many.get("mount", ())
    mounts = []
    for word in words:
        expanded.clear()
        mount = parse_mount(word.text.partition("=")[2], expand, unknown)
        mounts.append((mount, all(stage.known(each) for each in expanded)))
    _check_command(action.command.instruction)
    for (mount, known), source in zip(mounts, action.sources, strict=True):
        if (mount.origin or mount.type == "cache") and source is not None and not source.ready:
            raise Refused("it mounts a stage that stands later", "move that stage up")
        _check_mount(stage, mount, known=known)
        if mount.type == "bind" and not mount.origin:
            pattern = _literal(_pattern(mount.source, parents=True)) if known else WHOLE_CONTEXT
            stage.inputs.append(ContextInput(pattern, action.line, "mount"))


def _check_command(instruction: Instruction) -> None:
    """A command that is there, and that BuildKit can hand on: its messages hold UTF-8 only."""
    if instruction.is_json and not instruction.args:
        raise Refused("RUN has an empty list of arguments", "name the command")
    text = instruction.text
    if not (len(instruction.heredocs) == 1 and instruction.heredocs[0].body.startswith("#!")):
        text += "".join(heredoc.body for heredoc in instruction.heredocs)
    if not is_utf8(text):
        raise Refused("it holds bytes that are not UTF-8", "save the file as UTF-8")


def _check_mount(stage: StageRun, mount: Mount, *, known: bool) -> None:
    if mount.type == "ssh" and mount.source:
        raise Refused("a mount of type ssh has no source", "remove it")
    if mount.type in ("ssh", "secret"):
        return
    target = posixpath.normpath(posixpath.join("/", stage.directory or "", mount.target))
    where_known = mount.target.startswith("/") or stage.directory is not None
    if known and where_known and target.strip("/") == "":
        raise Refused("it mounts over the root directory", "give the mount a target")


def _pattern(source: str, *, parents: bool = False) -> str:
    """A source path relative to the context's root, which nothing leads out of."""
    path = from_raw(posixpath.normpath("/" + source).lstrip("/")) or WHOLE_CONTEXT
    if not parents:
        while "**" in path:
            path = path.replace("**", "*")
    return path


def _literal(path: str) -> str:
    """A path in which no character means more than itself."""
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in path)


_HANDLERS: dict[str, Callable[[StageRun, Action], None]] = {
    "env": _env,
    "label": _label,
    "arg": _arg,
    "copy": _copy,
    "add": _copy,
    "run": _run,
    "expose": _expose,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
    "stopsignal": _stop_signal,
}
