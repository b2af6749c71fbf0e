"""Runs the commands that a workspace names to be run before its images are built."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.console import Console
from bailing_tasks.errors import BuildError, EngineError

LAST_LINES = 10
"""How many of a failed command's last lines its error repeats."""


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """A command that ended well.

    Attributes:
        command: The program and its arguments.
        seconds: How long it took.
    """

    command: tuple[str, ...]
    seconds: float


def run_commands(
    root: Path,
    commands: Sequence[tuple[str, ...]],
    variables: Mapping[str, str],
    console: Console,
) -> list[CommandResult]:
    """Run commands in a workspace's root, one after the other, and show what they print.

    Args:
        root: The workspace's folder.
        commands: Programs with their arguments; no shell reads them.
        variables: The whole environment that they get.
        console: Where people are told.

    Raises:
        BuildError: One failed, or could not be started; those after it are not run.
    """
    return [_run(root, command, variables, console) for command in commands]


def _run(
    root: Path, command: tuple[str, ...], variables: Mapping[str, str], console: Console
) -> CommandResult:
    shown = process.quote(command)
    last: deque[str] = deque(maxlen=LAST_LINES)

    def show(line: str) -> None:
        console.say(line)
        if line.strip():
            last.append(line)

    with console.group(shown):
        try:
            done = process.stream(command, show, env=variables, cwd=root)
        except (EngineError, OSError, ValueError) as error:  # ValueError: it holds a NUL
            raise BuildError(
                f"{shown} could not be started",
                cause=f"{error.message}: {error.cause}"
                if isinstance(error, EngineError)
                else str(error),
                remedy="correct `before-build` in [tool.bailing-tasks], or install the program; "
                "what needs a shell is written as ['sh', '-c', '…']",
            ) from error
    if not done.ok:
        raise BuildError(
            f"{shown} failed",
            cause="\n    ".join([f"{_ending(done.returncode)}; its last lines:", *last])
            if last
            else f"{_ending(done.returncode)}, and said nothing",
            remedy="run it yourself to see why; `before-build` in [tool.bailing-tasks] names it",
        )
    return CommandResult(command=command, seconds=done.seconds)


def _ending(code: int) -> str:
    return f"it ended with exit code {code}" if code >= 0 else f"signal {-code} ended it"
