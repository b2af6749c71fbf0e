"""How Invoke was started: where it found the tasks, and its own options.

Invoke offers no public way to ask. Its configuration holds the folder of the collection that it has
loaded, and keeps the options of the command line apart from its files and variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invoke.context import Context

_REFUSED = {
    "pty": ("--pty (-p)", "its commands run without a terminal, since their output is read"),
    "hide": ("--hide", "the output of its commands is shown as progress and in errors only"),
    "warn": ("--warn-only (-w)", "a failed command ends it: what follows needs the result"),
}
"""Options for the commands that a task gives to a shell: their names, and why not here."""


@dataclass(frozen=True, kw_only=True)
class Invoked:
    """How a task was started.

    Attributes:
        root: The folder of the workspace.
        dry_run: Whether nothing may be changed (`--dry`, `run.dry`).
        seconds: How long the run may take (`--command-timeout`); None for as long as it takes.
        echo: Whether commands are printed as they are started (`--echo`).
        refused: The options that were given and do not apply here.
    """

    root: Path
    dry_run: bool
    seconds: float | None
    echo: bool
    refused: tuple[str, ...]

    def check(self) -> None:
        """Make sure that no option was given that does not apply here.

        Raises:
            UsageError: One was.
        """
        from bailing_tasks.errors import UsageError

        for key in self.refused:
            option, cause = _REFUSED[key]
            raise UsageError(
                f"Invoke's {option} does not apply to this task",
                cause=cause,
                remedy="leave it out; `invoke --help TASK` lists the task's own options",
            )


def read(context: Context) -> Invoked:
    """Return how a task was started.

    Of Invoke's files and variables only `run.dry` counts: the rest is meant for other tasks.
    """
    config = context.config
    given: Mapping[str, Any] = getattr(config, "_overrides", {})
    run = given.get("run", {})
    found = getattr(config, "_project_prefix", None)
    return Invoked(
        root=Path(found).resolve() if found else workspace(Path.cwd()),
        dry_run=bool(config.run.dry),
        seconds=given.get("timeouts", {}).get("command"),
        echo=bool(run.get("echo")),
        refused=tuple(key for key in _REFUSED if run.get(key)),
    )


def workspace(start: Path) -> Path:
    """Return the folder of a workspace whose tasks are called without Invoke's program.

    The nearest one with tasks, where Invoke would find them, else the repository's root.
    """
    for markers in (("tasks.py", "tasks/__init__.py"), (".git",)):
        for folder in (start, *start.parents):
            if any((folder / marker).exists() for marker in markers):
                return folder
    return start
