"""The files of a build context that a stage reads, and a digest of each."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bailing_tasks.dockerfile.dockerignore import DockerIgnore, matches_source
from bailing_tasks.errors import DockerfileError


def ignore_file(dockerfile: Path, context: Path) -> Path | None:
    """Return the ignore file BuildKit takes: `<Dockerfile>.dockerignore`, else the context's."""
    beside = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    return next((path for path in (beside, context / ".dockerignore") if path.is_file()), None)


def files(context: Path, ignore: DockerIgnore, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the files below a context that one of the patterns takes, sorted, as `a/b`."""
    found = {
        path
        for folder in {_fixed_part(pattern) for pattern in patterns}
        for path in _walk(context, folder)
        if not ignore.ignores(path) and any(matches_source(p, path) for p in patterns)
    }
    return tuple(sorted(found))


def _fixed_part(pattern: str) -> str:
    """Return the leading folders of a pattern that hold no wildcard: where a walk can start."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    fixed = list(itertools.takewhile(lambda part: not set(part) & set("*?[\\"), parts))
    return "" if ".." in fixed else "/".join(fixed)


def _walk(context: Path, path: str) -> Iterator[str]:
    full = context / path
    if full.is_symlink() or not full.is_dir():
        if path and os.path.lexists(full):
            yield path
        return
    try:
        names = sorted(entry.name for entry in full.iterdir())
    except OSError as error:
        raise DockerfileError(
            f"the build context {full} cannot be read", cause=str(error)
        ) from error
    for name in names:
        yield from _walk(context, f"{path}/{name}" if path else name)


def digest(context: Path, path: str) -> str:
    """Return a digest of what BuildKit takes of a file: kind, permissions, content or target."""
    full = context / path
    hasher = hashlib.sha256()
    if full.is_symlink():
        hasher.update(b"link\0" + os.fsencode(full.readlink()))
    else:
        hasher.update(f"file\0{full.stat().st_mode & 0o7777:o}\0".encode())
        if full.is_file():
            with full.open("rb") as file:
                for chunk in iter(lambda: file.read(1 << 20), b""):
                    hasher.update(chunk)
    return hasher.hexdigest()
