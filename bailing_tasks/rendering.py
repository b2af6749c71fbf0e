"""Renders a workspace's templates, and leaves alone what somebody has edited since."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import dotenv, templates
from bailing_tasks.errors import UsageError
from bailing_tasks.state import State, write_in_one_step

RECORD = "rendered.json"
"""By path, the digest of what was rendered there last, and of what that replaces.

It is written before the files are: whenever a run dies, what stands there is known for ours.
"""

NEW, CHANGED, UNCHANGED, KEPT = "new", "changed", "unchanged", "kept"
_EXECUTABLE = 0o111


@dataclass(frozen=True, kw_only=True)
class RenderedFile:
    """A file as it is to be.

    Attributes:
        path: Its path from the workspace's root.
        template: That of its template.
        content: What it is to hold.
        mode: Its permissions: its template's, and executable where it is so already.
        status: `new`, `changed` or `unchanged`, compared with what is there; `kept` where that was
            edited by hand, or was never rendered from here.
        replaces: The digest of what is there, if it was rendered from here; else empty.
    """

    path: str
    template: str
    content: bytes
    mode: int
    status: str
    replaces: str


def planned(
    root: Path,
    patterns: Iterable[str],
    values: Mapping[str, str],
    *,
    overwrite: bool = False,
    only: Collection[str] | None = None,
) -> tuple[RenderedFile, ...]:
    """Return what all templates become; nothing is written.

    Args:
        root: The workspace's folder.
        patterns: What the templates are found by; see `templates.find`.
        values: What names stand for.
        overwrite: Whether files that were edited by hand are replaced.
        only: The files that it is about; all by default.

    Raises:
        SettingsError: A pattern makes no sense.
        UsageError: A name is not defined, or a file cannot be read.
    """
    found = templates.find(root, patterns)
    outputs = {path: found[path] for path in found if only is None or path in only}
    texts = {path: _read(root / path) for path in outputs.values()}
    rendered = templates.render(texts, values)
    record = _record(root)
    return tuple(
        _compared(root, output, path, rendered[path], record.get(output, ()), overwrite=overwrite)
        for output, path in outputs.items()
    )


def in_memory(
    root: Path,
    patterns: Sequence[str],
    environment: Mapping[str, str],
    only: Collection[str] | None,
    *,
    overwrite: bool = False,
) -> dict[str, bytes | UsageError]:
    """Return what rendered files will hold when images are built, by path; nothing is written.

    For one that cannot be rendered, it is the reason.

    Args:
        root: The workspace's folder.
        patterns: What the templates are found by.
        environment: The variables of the process; beneath them is `.env`, as it is to be.
        only: The files that it is about; None for all.
        overwrite: Whether files that were edited by hand are replaced before that.

    Raises:
        SettingsError: A pattern makes no sense.
        UsageError: `.env` cannot be read.
    """
    if not patterns:
        return {}
    values = dotenv.variables(dotenv.planned(root), environment)

    def content(paths: Collection[str] | None) -> dict[str, bytes | UsageError]:
        files = planned(root, patterns, values, overwrite=overwrite, only=paths)
        return {file.path: file.content for file in files}

    try:
        return content(only)
    except UsageError:
        found: dict[str, bytes | UsageError] = {}
        for path in templates.find(root, patterns):
            if only is None or path in only:
                try:
                    found |= content([path])
                except UsageError as error:
                    found[path] = error
        return found


def write(root: Path, files: Iterable[RenderedFile]) -> None:
    """Write rendered files, each in one step; those that stand there already, or are kept, are not.

    Raises:
        UsageError: One cannot be written.
    """
    known = _record(root)
    ours = {
        file.path: list(dict.fromkeys(filter(None, (_digest(file.content), file.replaces))))
        for file in files
        if file.status != KEPT
    }
    if known | ours != known:
        State(root).write(RECORD, json.dumps(known | ours, indent=2) + "\n")
    for file in files:
        if file.status in (NEW, CHANGED):
            path = root / file.path
            try:
                write_in_one_step(path, file.content, mode=file.mode)
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be written",
                    cause=str(error),
                    remedy="free disk space, or make its folder writable",
                ) from error


def _compared(
    root: Path,
    path: str,
    template: str,
    content: bytes,
    known: Sequence[str],
    *,
    overwrite: bool,
) -> RenderedFile:
    """Compare what a template became with what is there."""
    mode = _mode(root / template)
    status, replaces = NEW, ""
    if (root / path).exists():
        here = _read(root / path)
        digest, executable = _digest(here), _mode(root / path) & _EXECUTABLE
        mode |= executable
        replaces = digest if digest in known else ""
        if here == content:
            status = UNCHANGED if mode & _EXECUTABLE == executable else CHANGED
        else:
            status = CHANGED if replaces or overwrite else KEPT
        content = here if status == KEPT else content
    return RenderedFile(
        path=path, template=template, content=content, mode=mode, status=status, replaces=replaces
    )


def _record(root: Path) -> dict[str, list[str]]:
    path = State(root).folder / RECORD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not all(
            isinstance(each, list) for each in found.values()
        ):
            raise TypeError("it has no list of digests for each file")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be read",
            cause=str(error),
            remedy=f"remove {path}; rendered files that are not as they would be rendered now then "
            "count as edited by hand",
        ) from error
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read",
            cause=str(error),
            remedy="make it a file that can be read, or remove it",
        ) from error


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) & 0o777


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
