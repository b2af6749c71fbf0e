"""Digests of context files, kept from run to run for as long as the files stay as they are."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from bailing_tasks import context
from bailing_tasks.errors import UsageError
from bailing_tasks.fingerprint import VERSION
from bailing_tasks.names import file_name
from bailing_tasks.state import State

SETTLED = 2_000_000_000
"""Nanoseconds after which a change shows in a file's times, on every file system in use: one that
is younger may change again within the same tick, and is read anew the next time."""


class Digests:
    """The digests of one target's context files.

    A file is read again if its inode, kind, permissions, size, or either of its times have changed.
    The time of its last change (`st_ctime`) moves with every write and whatever is done to make it
    look the same; only a program that goes on writing through a memory map can escape it.

    Args:
        state: Where they are kept.
        name: Whose they are.
    """

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = f"digests/{file_name(name)}.json"

    def of(self, folder: Path, paths: Iterable[str]) -> dict[str, str]:
        """Return the digest of each path of a context, as `context.digest` makes it.

        Raises:
            DockerfileError: A file cannot be read, or is not there any more.
        """
        known = self._read(folder)
        found: dict[str, str] = {}
        kept: dict[str, list[str]] = {}
        now = time.time_ns()
        root = os.fspath(folder)
        for path in paths:
            looks, changed_at = _looks(f"{root}/{path}")
            entry = known.get(path)
            if entry is None or entry[0] != looks:
                entry = [looks, context.digest(folder, path)]
            if changed_at < now - SETTLED:
                kept[path] = entry
            found[path] = entry[1]
        if kept != known:
            self._write(folder, kept)
        return found

    def _read(self, folder: Path) -> Mapping[str, list[str]]:
        """Return what is kept; nothing where it is of another folder, or not to be understood."""
        try:
            document = json.loads((self._state.folder / self._name).read_bytes())
            files: dict[str, list[str]] = document["files"]
            return files if document["of"] == _of(folder) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _write(self, folder: Path, files: Mapping[str, list[str]]) -> None:
        if not self._state.folder.exists():
            return  # it is made by a run that changes something
        document = {"of": _of(folder), "files": files}
        with contextlib.suppress(UsageError):  # it only saves time
            self._state.write(
                self._name, json.dumps(document, separators=(",", ":")), durable=False
            )


def _of(folder: Path) -> list[object]:
    """Return what the digests are good for: one folder, and one way to make them."""
    return [VERSION, str(folder)]


def _looks(path: str) -> tuple[str, int]:
    """Return what tells a changed file from an unchanged one, and when it last changed."""
    try:
        found = os.lstat(path)
    except OSError:
        return "", 0  # reading it says what is wrong
    looks = (
        f"{found.st_dev}:{found.st_ino}:{found.st_mode:o}:{found.st_size}"
        f":{found.st_mtime_ns}:{found.st_ctime_ns}"
    )
    return looks, max(found.st_mtime_ns, found.st_ctime_ns)
