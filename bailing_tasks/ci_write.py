"""Writes the workflows of a workspace into its repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bailing_tasks import installed, needs
from bailing_tasks.errors import UsageError
from bailing_tasks.recipes import OnBuildLookup, unknown
from bailing_tasks.refusals import check
from bailing_tasks.settings import Settings
from bailing_tasks.state import write_in_one_step
from bailing_tasks.trigger_reader import TriggerReader
from bailing_tasks.workflows import writing


@dataclass(frozen=True, kw_only=True)
class WorkflowFile:
    """A workflow as it is to be.

    Attributes:
        path: Where it stands.
        name: The same from the repository's root, as people know it.
        text: What it is to hold.
        status: `new`, `changed` or `unchanged`, compared with what stands there.
        notes: What makes its target be built more often than it need be, and what has to be done
            before it works.
    """

    path: Path
    name: str
    text: str
    status: str
    notes: tuple[str, ...]


def planned(
    settings: Settings, *, overwrite: bool = False, onbuild: OnBuildLookup = unknown
) -> tuple[WorkflowFile, ...]:
    """Return the workflows of all targets; nothing is written.

    Args:
        settings: The workspace's settings.
        overwrite: Whether files that were not written from here, or edited since, may be replaced.
        onbuild: Returns what an external image adds to the stages that are built on it.

    Raises:
        UsageError: The workspace is in no Git repository, or what was written or edited by hand
            would be replaced.
        SettingsError: How CI is to install the tasks is not known.
        BailingError: A target cannot be built because of its files; all of them are named.
    """
    check(needs.refused(settings, onbuild=onbuild))
    root = _repository(settings.root)
    relative = settings.root.resolve().relative_to(root).as_posix()
    folder = "" if relative == "." else relative
    install = installed.install(settings)
    settings = replace(settings, ci=replace(settings.ci, install=install.command))
    reader = TriggerReader(settings, folder, onbuild=onbuild)
    files = []
    for target in needs.targets(settings, needs.machine()):
        name = writing.path(target)
        text = writing.workflow(settings, target, reader.of(target).paths, folder=folder)
        files.append(
            WorkflowFile(
                path=root / name,
                name=name,
                text=text,
                status=_status(root / name, text),
                notes=(*reader.notes(target), *install.notes),
            )
        )
    if not overwrite:
        _check_edited(files)
    return tuple(files)


def write(file: WorkflowFile) -> None:
    """Write a workflow in one step, unless it stands there already.

    Raises:
        UsageError: It cannot be written.
    """
    if file.status == "unchanged":
        return
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        write_in_one_step(file.path, file.text.encode(), mode=0o644)
    except OSError as error:
        raise UsageError(f"{file.path} cannot be written", cause=str(error)) from error


def _repository(root: Path) -> Path:
    """Return the root of the Git repository: GitHub reads workflows nowhere else."""
    for folder in (root.resolve(), *root.resolve().parents):
        if (folder / ".git").exists():
            return folder
    raise UsageError(
        f"{root} is in no Git repository",
        cause="GitHub reads workflows at a repository's root",
        remedy="run `git init` at the root, or run this in a clone",
    )


def _status(path: Path, text: str) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "new"
    except OSError as error:
        raise UsageError(f"{path} cannot be read", cause=str(error)) from error
    return "unchanged" if content == text.encode() else "changed"


def _check_edited(files: Sequence[WorkflowFile]) -> None:
    """Make sure that nothing is replaced that was written or edited by hand.

    Raises:
        UsageError: Some files would be; all of them are named.
    """
    changed = [file for file in files if file.status == "changed"]
    reasons = {file.path: writing.edited(file.path.read_bytes()) for file in changed}
    found = [f"{path} {reason}" for path, reason in reasons.items() if reason]
    if found:
        raise UsageError(
            ", ".join(found),
            cause="changes made by hand would be lost, so nothing was written",
            remedy="move the changes to the settings; `--overwrite` replaces such files (look at "
            "them before, with `--dry-run --overwrite`)",
        )
