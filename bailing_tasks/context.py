"""The files of a build context that a stage reads, and a digest of each."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from bailing_tasks.dockerfile.dockerignore import DockerIgnore, matches_source
from bailing_tasks.errors import DockerfileError

ABSENT, IGNORED = "absent", "ignored"
LINKS = 255
"""How many links BuildKit follows for one path."""
_WILD = re.compile(r"[*?\[\\]")


def ignore_file(dockerfile: Path, context: Path) -> Path | None:
    """Return the ignore file that BuildKit takes: `<Dockerfile>.dockerignore`, else the context's.

    None where there is no such file.
    """
    beside = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    return next((path for path in (beside, context / ".dockerignore") if path.is_file()), None)


def ignore_text(dockerfile: Path, context: Path) -> str:
    """Return the text of `ignore_file`; empty where there is none.

    Bytes that are no UTF-8 come as surrogates.

    Raises:
        DockerfileError: It cannot be read.
    """
    path = ignore_file(dockerfile, context)
    try:
        return os.fsdecode(path.read_bytes()) if path else ""
    except OSError as error:
        raise DockerfileError(f"{path} cannot be read", cause=str(error)) from error


def files(context: Path, ignore: DockerIgnore, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return what one of the patterns takes below a context, sorted, as `a/b`.

    Folders are among it, as they have permissions, and may be empty. A link that a pattern names is
    followed, as BuildKit does; what it leads to is among it too.
    """
    return _followed(context, ignore, patterns)[0]


def sources(context: Path, ignore: DockerIgnore, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return patterns, those for what links lead to, and the links that lead the way there."""
    return _followed(context, ignore, patterns)[1]


def _followed(
    context: Path, ignore: DockerIgnore, patterns: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what patterns take, and the patterns for all of it."""
    found: set[str] = set()
    ways: dict[str, None] = {}
    todo = list(dict.fromkeys(patterns))
    known = set(todo)
    for pattern in todo:
        start, led = _start(context, pattern)
        walk = _Walk(context, ignore, pattern)
        found.update(walk.from_path(start))
        ways |= dict.fromkeys(led)
        for path in (*led, *walk.links):
            target = _link_target(context, path)
            if target is not None and target not in known:
                known.add(target)
                todo.append(target)
    return tuple(sorted(found)), tuple(dict.fromkeys((*todo, *ways)))


def _start(context: Path, pattern: str) -> tuple[str, list[str]]:
    """Return where a walk for a pattern can start, and the links on the way there.

    It is what stands before the first wildcard; behind a link, its target is another pattern.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    fixed = list(itertools.takewhile(lambda part: not set(part) & set("*?[\\"), parts))
    if ".." in fixed:
        return "", []
    for number in range(1, len(fixed)):
        path = "/".join(fixed[:number])
        if (context / path).is_symlink():
            return path, [path]
    return "/".join(fixed), []


def lacks(context: Path, ignore: DockerIgnore, path: str) -> str:
    """Return why a build finds nothing at a path of its context; empty where it finds something.

    It is `ABSENT` or `IGNORED`. A link counts as what it leads to.
    """
    target = resolved(context, path)
    if target is None or not os.path.lexists(context / target):
        return ABSENT
    if (context / path).is_symlink() and ignore.ignores(path):
        return IGNORED
    found = _Walk(context, ignore, ".").from_path(target)
    return "" if not target or next(found, None) is not None else IGNORED


def resolved(context: Path, path: str) -> str | None:
    """Return where a path of a context leads to, links followed as BuildKit does.

    Nothing leads out of the context: its folder is the root of absolute links. None for a cycle of
    links.
    """
    left, done, links = path.split("/"), list[str](), 0
    while left:
        part = left.pop(0)
        if part == "..":
            done[-1:] = []
        elif part not in ("", "."):
            full = context / "/".join([*done, part])
            if not full.is_symlink():
                done.append(part)
                continue
            links += 1
            if links > LINKS:
                return None
            to = os.fspath(full.readlink())
            done = [] if to.startswith("/") else done
            left = [*to.split("/"), *left]
    return "/".join(done)


def _link_target(context: Path, path: str) -> str | None:
    """Return the pattern of what a link leads to; None for no link, or a cycle."""
    target = resolved(context, path) if (context / path).is_symlink() else None
    return None if target is None else _WILD.sub(r"\\\g<0>", target) or "."


class _Walk:
    """Goes through a context for one pattern, into no folder that can hold nothing of it.

    It is written for speed, with strings for paths: contexts have tens of thousands of files.

    Args:
        context: The context's folder.
        ignore: What is kept out.
        pattern: What is looked for.

    Attributes:
        links: The symbolic links among what was found.
    """

    def __init__(self, context: Path, ignore: DockerIgnore, pattern: str) -> None:
        self._root = os.fspath(context)
        self._ignore = ignore
        self._pattern = pattern
        self._parts = [part for part in pattern.split("/") if part not in ("", ".")]
        self.links: list[str] = []

    def from_path(self, path: str) -> Iterator[str]:
        """Yield what is looked for at a path, if that is there, and below it."""
        try:
            mode = os.lstat(f"{self._root}/{path}").st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # no file can have a NUL
            return
        looked_for = bool(path) and matches_source(self._pattern, path)
        if looked_for and not self._ignore.ignores(path):
            yield path
            if stat.S_ISLNK(mode):
                self.links.append(path)
        if stat.S_ISDIR(mode) and self._enters(path, looked_for):
            yield from self._below(path, looked_for)

    def _below(self, folder: str, looked_for: bool) -> Iterator[str]:
        """Yield what is looked for in a folder: all of it if the folder itself is."""
        full = f"{self._root}/{folder}"
        try:
            with os.scandir(full) as entries:
                found = list(entries)
        except OSError as error:
            raise DockerfileError(
                f"the build context {full} cannot be read",
                cause=str(error),
                remedy="make it readable, or name it in the .dockerignore file",
            ) from error
        for entry in found:
            path = f"{folder}/{entry.name}" if folder else entry.name
            taken = looked_for or matches_source(self._pattern, path)
            if taken and not self._ignore.ignores(path):
                yield path
                if entry.is_symlink():
                    self.links.append(path)
            if entry.is_dir(follow_symlinks=False) and self._enters(path, taken):
                yield from self._below(path, taken)

    def _enters(self, folder: str, looked_for: bool) -> bool:
        """Whether a folder may hold something: it is not kept out as a whole, and on the way."""
        if not folder or ".." in self._parts:
            return True
        if self._ignore.ignores(folder) and not self._ignore.has_exceptions:
            return False
        depth = folder.count("/") + 1
        above = "/".join(self._parts[:depth])
        return looked_for or depth > len(self._parts) or matches_source(above, folder)


def digest(context: Path, path: str) -> str:
    """Return a digest of what BuildKit takes of a file: kind, permissions, content or target.

    Raises:
        DockerfileError: It cannot be read, or is not there any more.
    """
    full = context / path
    hasher = hashlib.sha256()
    try:
        mode = full.lstat().st_mode
        hasher.update(f"{stat.S_IFMT(mode):o} {mode & 0o7777:o}\0".encode())
        if stat.S_ISLNK(mode):
            hasher.update(os.fsencode(full.readlink()))
        elif stat.S_ISREG(mode):
            with full.open("rb") as file:
                for chunk in iter(lambda: file.read(1 << 20), b""):
                    hasher.update(chunk)
    except OSError as error:
        raise DockerfileError(
            f"{path} in the build context cannot be read",
            cause=str(error),
            remedy="make it readable, or name it in the .dockerignore file",
        ) from error
    return hasher.hexdigest()
