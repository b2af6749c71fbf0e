"""``.dockerignore``, and the patterns of COPY sources: which files a build may read.

The rules are those of ``moby/patternmatcher``, which BuildKit filters a context with, and of Go's
``filepath.Match``, which COPY sources follow. Paths in, answers out; nothing here walks.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bailing_tasks.errors import UsageError

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    excludes: bool


@dataclass(frozen=True, slots=True)
class DockerIgnore:
    """The rules of a ``.dockerignore`` file, in order: the last that matches decides."""

    rules: tuple[_Rule, ...] = ()

    @classmethod
    def parse(cls, text: str) -> DockerIgnore:
        """Read the file's text.

        Raises:
            UsageError: A pattern is malformed.
        """
        patterns = (_clean(line) for line in text.removeprefix(_BOM).split("\n"))
        return cls(tuple(_rule(pattern) for pattern in patterns if pattern))

    def ignores(self, path: str) -> bool:
        """Whether a path, relative to the context's root, is kept out of the build.

        A rule that matches a folder holds for all that is in it.
        """
        parents = _with_parents(path)
        ignored = False
        for rule in self.rules:
            if rule.excludes == ignored and any(map(rule.pattern.fullmatch, parents)):
                ignored = not ignored
        return ignored


def matches_source(pattern: str, path: str) -> bool:
    """Whether COPY with this source reads a path: the path itself, or a folder it is in.

    Args:
        pattern: As in ``ContextInput.pattern``; ``.`` is the whole context.
        path: A file's path, relative to the context's root.
    """
    if pattern == ".":
        return True
    compiled = _source_pattern(pattern)
    return compiled is None or any(map(compiled.fullmatch, _with_parents(path)))


def context_files(
    paths: Iterable[str], ignore: DockerIgnore, patterns: Iterable[str]
) -> tuple[str, ...]:
    """The files among ``paths`` that sources of COPY, ADD or a mount read, sorted."""
    sources = tuple(dict.fromkeys(patterns))
    return tuple(
        sorted(
            path
            for path in paths
            if any(matches_source(source, path) for source in sources) and not ignore.ignores(path)
        )
    )


def _with_parents(path: str) -> list[str]:
    """A path after the folders it is in, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _clean(line: str) -> str:
    """A line as BuildKit keeps it: trimmed, normalised, without a leading slash; or nothing."""
    if line.startswith("#"):
        return ""
    pattern = line.strip(_TRIMMED)
    invert = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip(_TRIMMED) if invert else pattern
    if pattern:
        pattern = _normalised(pattern)
        if len(pattern) > 1:
            pattern = pattern.removeprefix("/")
    return f"!{pattern}" if invert else pattern


def _normalised(path: str) -> str:
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean


def _rule(pattern: str) -> _Rule:
    excludes = pattern.startswith("!")
    body = pattern[1:] if excludes else pattern
    if not body:
        raise UsageError(
            "a line of .dockerignore holds ! alone",
            cause="an exception needs a pattern",
            remedy="remove the line, or name what is to be kept",
        )
    try:
        return _Rule(re.compile(_translate(body), re.DOTALL), excludes)
    except (ValueError, re.error):
        raise UsageError(
            f"{pattern!r} in .dockerignore is malformed",
            cause="a [ is not closed, or a \\ ends it",
            remedy="escape the [ with \\, or close it",
        ) from None


@functools.cache
def _source_pattern(pattern: str) -> re.Pattern[str] | None:
    """A COPY source compiled; None where it is malformed, and so matches what it may."""
    try:
        return re.compile(_translate(pattern), re.DOTALL)
    except (ValueError, re.error):
        return None


def _translate(pattern: str) -> str:
    """A regular expression for a pattern of stars, question marks, ranges and escapes."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern.startswith("*", position):
            position += 1
            if pattern.startswith("/", position):
                position += 1
            out.append(".*" if position >= len(pattern) else "(?:.*/)?")
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "\\":
            if position == len(pattern):
                raise ValueError(pattern)
            out.append(re.escape(pattern[position]))
            position += 1
        elif char == "[":
            end = pattern.index("]", position + 1)
            out.append(f"[{pattern[position:end]}]")
            position = end + 1
        else:
            out.append(re.escape(char))
    return "".join(out)


_TRIMMED = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
