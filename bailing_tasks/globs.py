"""Files that patterns of the settings find: globs from the workspace's root.

`*` and `**` enter no hidden folder; `**` is any number of folders, follows no link to one and
leaves `node_modules` out. All of these are found by their name. At the end, `**` is all that is
below.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from bailing_tasks.errors import SettingsError, UsageError

EXAMPLES = {"templates": '"src/**/*.tpl"', "services": '"src/*/Dockerfile"'}
_WILD = re.compile(r"[*?\[]")
_SKIPPED = "node_modules"
"""A folder of other people's files, by the thousand, in which no `**` looks."""


def files(root: Path, pattern: str, setting: str) -> Iterator[str]:
    """Yield the files that a pattern finds, by their paths from the root.

    Args:
        root: The workspace's folder.
        pattern: The pattern.
        setting: Whose it is, for messages.

    Raises:
        SettingsError: It leaves the workspace.
        UsageError: A folder cannot be read.
    """
    yield from dict.fromkeys(_walk(root, "", _parts(pattern, setting)))


def matches(pattern: str, path: str, setting: str) -> bool:
    """Whether a pattern would find a file that is not there yet.

    Raises:
        SettingsError: It leaves the workspace.
    """
    return _matches(_parts(pattern, setting), PurePosixPath(path).parts)


def nothing(root: Path, pattern: str, setting: str) -> SettingsError:
    """Return the error for a pattern that finds nothing."""
    return SettingsError(
        f"[tool.bailing-tasks] {setting}: no file is called {pattern!r}",
        cause=f"it is looked for in {root}",
        remedy=f"write a pattern from the workspace's root: {EXAMPLES[setting]}",
    )


def _parts(pattern: str, setting: str) -> tuple[str, ...]:
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise SettingsError(
            f"[tool.bailing-tasks] {setting}: {pattern!r} is not below the workspace",
            remedy=f"write a pattern from the workspace's root: {EXAMPLES[setting]}",
        )
    return (*path.parts, "*") if path.parts[-1] == "**" else path.parts


def _matches(parts: Sequence[str], names: Sequence[str]) -> bool:
    if not parts or not names:
        return not parts and not names
    if parts[0] == "**":
        return _matches(parts[1:], names) or _matches(parts, names[1:])
    return fnmatch.fnmatchcase(names[0], parts[0]) and _matches(parts[1:], names[1:])


def _walk(root: Path, folder: str, parts: Sequence[str]) -> Iterator[str]:
    """Yield the files below a folder that the parts of a pattern take."""
    part, rest = parts[0], parts[1:]
    if part == "**" and rest:
        yield from _walk(root, folder, rest)
        for entry in _listed(root / folder):
            if _is_entered(entry) and not entry.is_symlink() and entry.name != _SKIPPED:
                yield from _walk(root, f"{folder}{entry.name}/", parts)
        return
    for name in _named(root / folder, part, folders=bool(rest)):
        if rest:
            yield from _walk(root, f"{folder}{name}/", rest)
        else:
            yield f"{folder}{name}"


def _named(folder: Path, part: str, *, folders: bool) -> list[str]:
    """Return the files, or the folders, that a part of a pattern takes in a folder."""
    if not _WILD.search(part):
        return [part] if folders or (folder / part).is_file() else []
    taken = (entry for entry in _listed(folder) if fnmatch.fnmatchcase(entry.name, part))
    return [e.name for e in taken if (_is_entered(e) if folders else _is(e.is_file))]


def _is_entered(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and _is(entry.is_dir)


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind; a link to itself is of none."""
    try:
        return kind()
    except OSError:
        return False


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UsageError(f"{folder} cannot be read", cause=str(error)) from error
