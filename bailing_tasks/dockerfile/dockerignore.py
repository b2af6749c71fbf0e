"""``.dockerignore``, and the patterns of COPY sources: which files a build may read.

The rules are those of ``moby/patternmatcher``, by which BuildKit filters a context as it walks
it, and of Go's ``filepath.Match``, which COPY sources follow. Paths in, answers out; nothing here
walks.
"""

from __future__ import annotations

import functools
import posixpath
import re
from dataclasses import dataclass, field

from bailing_tasks.dockerfile.text import trim_decoded
from bailing_tasks.errors import UsageError

_BOM = "\ufeff"
_STAR = "[^/]*"
_ANY = "[^/]"
_FOLDERS = "(?:.*/)?"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line: what it matches, and whether it is an exception (``!``)."""

    pattern: re.Pattern[str]
    keeps: bool


@dataclass(frozen=True, slots=True)
class DockerIgnore:
    """The rules of a ``.dockerignore`` file, in order: the last that matches decides."""

    rules: tuple[_Rule, ...] = ()
    _folders: dict[str, tuple[bool, ...]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> DockerIgnore:
        """Read the file's text.

        Raises:
            UsageError: A pattern is malformed.
        """
        patterns = (_clean(line) for line in text.removeprefix(_BOM).split("\n"))
        return cls(tuple(_rule(pattern) for pattern in patterns if pattern))

    @property
    def has_exceptions(self) -> bool:
        """Whether a rule lets something back in."""
        return any(rule.keeps for rule in self.rules)

    def ignores(self, path: str) -> bool:
        """Whether a path, relative to the context's root, is kept out of the build.

        A rule that holds for a folder holds for all that is in it, unless a later one does not.
        """
        ignored = False
        for rule, matched in zip(self.rules, self._matches(path), strict=True):
            if matched:
                ignored = not rule.keeps
        return ignored

    def _matches(self, path: str) -> tuple[bool, ...]:
        """Which rules hold for a path: its folder's, and those tried on the path itself.

        As in the walk, a rule that could change nothing is not tried, and then does not hold for
        what is inside either.
        """
        folder = posixpath.dirname(path)
        above: tuple[bool, ...] = (False,) * len(self.rules)
        if folder:
            if folder not in self._folders:
                self._folders[folder] = self._matches(folder)
            above = self._folders[folder]
        ignored, matches = False, []
        for rule, inherited in zip(self.rules, above, strict=True):
            tried = inherited or (rule.keeps == ignored and bool(rule.pattern.fullmatch(path)))
            if tried:
                ignored = not rule.keeps
            matches.append(tried)
        return tuple(matches)


def matches_source(pattern: str, path: str) -> bool:
    """Whether COPY with this source reads a file: the file itself, or a folder it is in.

    Args:
        pattern: As in ``ContextInput.pattern``; ``.`` is the whole context.
        path: A file's path, relative to the context's root.
    """
    if pattern == ".":
        return True
    compiled = _source_pattern(pattern)
    if compiled is None:
        return False
    return any(compiled.fullmatch(path, 0, end) for end in _ends(path))


def _ends(path: str) -> list[int]:
    """Where the folders of a path end, and the path itself."""
    return [match.start() for match in re.finditer("/", path)] + [len(path)]


def _clean(line: str) -> str:
    """A line as BuildKit keeps it: trimmed, normalised, without a leading slash; or nothing."""
    if line.startswith("#"):
        return ""
    pattern = trim_decoded(line)
    keeps = pattern.startswith("!")
    if keeps:
        pattern = trim_decoded(pattern[1:])
    if pattern:
        pattern = posixpath.normpath(pattern)
        pattern = pattern.lstrip("/") or "/"
    return f"!{pattern}" if keeps else pattern


def _rule(pattern: str) -> _Rule:
    keeps = pattern.startswith("!")
    body = pattern.removeprefix("!") if keeps else pattern
    if not body or pattern == "!/":
        raise UsageError(
            "a line of .dockerignore holds ! alone",
            cause="an exception needs a pattern",
            remedy="remove the line, or name what is to be kept",
        )
    try:
        return _Rule(re.compile(_ignore_pattern(body)), keeps)
    except ValueError as error:
        raise UsageError(
            f"{pattern!r} in .dockerignore is malformed",
            cause=str(error),
            remedy="escape the [ or the \\ with a \\",
        ) from None


def _ignore_pattern(pattern: str) -> str:
    """A regular expression for a rule; ``**`` crosses folders, in four ways."""
    inner = pattern[2:]
    if pattern.startswith("**") and not re.search(r"[*?\\\[\]]", inner):
        # At the start, before plain text: whatever ends in that text.
        whole = f"|{re.escape(inner[1:])}" if inner.startswith("/") else ""
        return f"(?s:.*){re.escape(inner)}{whole}"
    if pattern.endswith("**") and not re.search(r"[*?\\\[\]]", pattern[:-2]):
        # At the end, after plain text: whatever begins with that text.
        return f"{re.escape(pattern[:-2])}(?s:.*)"
    return _translate(pattern)


@functools.cache
def _source_pattern(pattern: str) -> re.Pattern[str] | None:
    """A COPY source compiled; None where it is malformed, and so matches nothing."""
    try:
        return re.compile(_translate(pattern))
    except ValueError:
        return None


def _translate(pattern: str) -> str:
    """A regular expression for stars, question marks, ranges and escapes."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern.startswith("*", position):
            position += 2 if pattern.startswith("/", position + 1) else 1
            out.append(".*" if position >= len(pattern) else _FOLDERS)
        elif char == "*":
            out.append(_STAR)
        elif char == "?":
            out.append(_ANY)
        elif char == "[":
            text, position = _range(pattern, position)
            out.append(text)
        else:
            if char == "\\":
                char, position = _escaped(pattern, position)
            out.append(re.escape(char))
    return "".join(out)


def _range(pattern: str, position: int) -> tuple[str, int]:
    """What stands between ``[`` and ``]``, and where it ends."""
    negated = pattern.startswith("^", position)
    position += negated
    items: list[str] = []
    while not pattern.startswith("]", position) or not items:
        low, position = _range_end(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _range_end(pattern, position + 1)
        if low > high:
            raise ValueError("a range runs backwards")
        items.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"[{'^' if negated else ''}{''.join(items)}]", position + 1


def _range_end(pattern: str, position: int) -> tuple[str, int]:
    char = pattern[position : position + 1]
    if char == "\\":
        return _escaped(pattern, position + 1)
    if char in ("", "-", "]"):
        raise ValueError("a [ is not closed, or what it holds is malformed")
    return char, position + 1


def _escaped(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern):
        raise ValueError("a \\ ends it")
    return pattern[position], position + 1
