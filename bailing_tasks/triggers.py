"""GitHub's filters of branches, tags and paths: what a pattern takes, what a list of them decides.

The source is GitHub's workflow syntax: its filter pattern cheat sheet, and what it says of the
comparisons that path filters make. Pure.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bailing_tasks.errors import UsageError
from bailing_tasks.units import in_one_line

WORKFLOWS = ".github/workflows/"
"""Where GitHub reads workflows, from the repository's root."""

MOST_FILES = 300
"""So many changed files are compared with path filters, in Git's order; no others are."""

MOST_COMMITS = 1000
"""So many commits are compared with path filters; past that a workflow runs anyway."""

EXCLUDES = "!"

_Accepts = Callable[[str], bool]
_RANGE = re.compile("[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[a-zA-Z0-9]")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What path filters decide about a list of changed files.

    Attributes:
        runs: Whether the workflow runs.
        reason: Why, for people.
        file: The file that decided; empty where none did.
        pattern: The pattern that decided; empty where none did.
    """

    runs: bool
    reason: str
    file: str = ""
    pattern: str = ""


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern takes a whole path, branch or tag; case counts, as on GitHub.

    A leading `!` says what becomes of the text, not whether it is taken: `!README.md` matches
    `README.md`.

    Raises:
        UsageError: The pattern is malformed.
    """
    return _compiled(pattern).takes(text)


def deciding(patterns: Iterable[str], text: str) -> str | None:
    """Return the pattern that decides about a text: the last one that matches; None for none.

    Raises:
        UsageError: A pattern is malformed.
    """
    last = None
    for pattern in patterns:
        if matches(pattern, text):
            last = pattern
    return last


def includes(patterns: Iterable[str], text: str) -> bool:
    """Whether a list of patterns includes a text: the last that matches is no `!` pattern.

    Raises:
        UsageError: A pattern is malformed.
    """
    last = deciding(patterns, text)
    return last is not None and not last.startswith(EXCLUDES)


def check(patterns: Iterable[str]) -> None:
    """Refuse a list of patterns that GitHub would refuse.

    Raises:
        UsageError: One is malformed, or excludes something before anything is included.
    """
    included = False
    for pattern in patterns:
        _compiled(pattern)
        if pattern.startswith(EXCLUDES) and not included:
            raise UsageError(
                f"{pattern!r} excludes something, and no pattern before it includes anything",
                cause="the last pattern that matches decides; with none before it, it never counts",
                remedy="put what is to be included before it, such as '**'",
            )
        included = included or not pattern.startswith(EXCLUDES)


def decide(
    files: Sequence[str],
    *,
    paths: Sequence[str] = (),
    paths_ignore: Sequence[str] = (),
    commits: int = 0,
) -> Verdict:
    """Decide as `paths` or `paths-ignore` of a workflow would, for any number of files.

    Args:
        files: The changed files, from the repository's root.
        paths: The workflow runs if one of the files is included by these.
        paths_ignore: It is skipped if all of the files are included by these.
        commits: How many commits brought the files.

    Raises:
        UsageError: A pattern is malformed, or both lists are given.
    """
    if paths and paths_ignore:
        raise UsageError(
            "paths and paths-ignore exclude each other",
            remedy="keep paths, and exclude files there by patterns with a leading !",
        )
    if not paths and not paths_ignore:
        return Verdict(runs=True, reason="no pattern limits the files")
    if verdict := by_numbers(files, commits):
        return verdict
    return _included(files, paths) if paths else _not_ignored(files, paths_ignore)


def by_numbers(files: Sequence[str], commits: int) -> Verdict | None:
    """Decide where it does not matter which files have changed; None where it does.

    Args:
        files: The changed files.
        commits: How many commits brought them.
    """
    if not files:
        return Verdict(runs=False, reason="no file has changed")
    if commits > MOST_COMMITS:
        return Verdict(runs=True, reason=f"more than {MOST_COMMITS} commits ({commits})")
    return None


def _included(files: Sequence[str], patterns: Sequence[str]) -> Verdict:
    excluded = Verdict(runs=False, reason="no pattern takes a file that has changed")
    for file in files:
        pattern = deciding(patterns, file)
        if pattern is None:
            continue
        if not pattern.startswith(EXCLUDES):
            return Verdict(
                runs=True, reason=f"{in_one_line(file)} has changed", file=file, pattern=pattern
            )
        if not excluded.file:
            reason = f"{in_one_line(file)} is excluded, and no pattern takes another changed file"
            excluded = Verdict(runs=False, reason=reason, file=file, pattern=pattern)
    return excluded


def _not_ignored(files: Sequence[str], patterns: Sequence[str]) -> Verdict:
    for file in files:
        if not includes(patterns, file):
            return Verdict(
                runs=True,
                reason=f"{in_one_line(file)} has changed, and is not ignored",
                file=file,
                pattern=deciding(patterns, file) or "",
            )
    return Verdict(
        runs=False,
        reason="every file that has changed is ignored",
        file=files[0],
        pattern=deciding(patterns, files[0]) or "",
    )


@dataclass(frozen=True)
class _Part:
    """A character of a pattern, or what stands for several.

    Attributes:
        accepts: Whether it takes a character.
        optional: Whether it may take none.
        repeats: Whether it may take more than one.
        whole: Whether what it takes has to end with a slash: folders.
    """

    accepts: _Accepts
    optional: bool = False
    repeats: bool = False
    whole: bool = False


_STAR = _Part(lambda char: char != "/", optional=True, repeats=True)
_STARS = _Part(lambda char: True, optional=True, repeats=True)
_FOLDERS = _Part(lambda char: True, optional=True, repeats=True, whole=True)


class _Matcher:
    """Takes time linear in the text, whatever the pattern: no backtracking.

    Where it may stand in the pattern is a set of places, and a set and a character lead to the next
    set. Each such step is worked out once.
    """

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def takes(self, text: str) -> bool:
        """Whether the whole text is matched."""
        places = frozenset(self._from(0))
        for char in text:
            step = (places, char)
            if step not in self._steps:
                self._steps[step] = frozenset(self._after(*step))
            places = self._steps[step]
        return len(self._parts) in places

    def _from(self, place: int) -> set[int]:
        """Return a place, and those behind it that need no character to be reached."""
        places = {place}
        while place < len(self._parts) and self._parts[place].optional:
            place += 1
            places.add(place)
        return places

    def _after(self, places: frozenset[int], char: str) -> set[int]:
        after: set[int] = set()
        for place in places - {len(self._parts)}:
            part = self._parts[place]
            if not part.accepts(char):
                continue
            if part.repeats:
                after.add(place)
            if not part.whole or char == "/":
                after |= self._from(place + 1)
        return after


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> _Matcher:
    body = pattern.removeprefix(EXCLUDES)
    if not body:
        raise _malformed(pattern, "it is empty")
    parts: list[_Part] = []
    single = False  # whether the part before is one character, which ? and + can repeat
    position = 0
    while position < len(body):
        rest = body[position:]
        if rest[0] in "?+":
            if not single:
                raise _malformed(pattern, f"no character stands before a {rest[0]} to be repeated")
            accepts = parts.pop().accepts
            parts.append(_Part(accepts, optional=rest[0] == "?", repeats=rest[0] == "+"))
            single, length = False, 1
        elif rest[0] == "*":
            part, length = _star(rest)
            parts.append(part)
            single = False
        else:
            chars, length = _characters(pattern, rest)
            parts.append(_Part(chars.__contains__))
            single = True
        position += length
    return _Matcher(parts)


def _star(rest: str) -> tuple[_Part, int]:
    """Return what a star at the beginning stands for, and how long it is written."""
    if rest.startswith("**/"):
        return _FOLDERS, 3
    return (_STARS, 2) if rest.startswith("**") else (_STAR, 1)


def _characters(pattern: str, rest: str) -> tuple[frozenset[str], int]:
    """Return the characters that one at the beginning stands for, and how long it is written."""
    if rest[0] == "\\":
        if len(rest) == 1:
            raise _malformed(pattern, "nothing stands behind its last backslash")
        return frozenset(rest[1]), 2
    if rest[0] != "[":
        return frozenset(rest[0]), 1
    inside, closed, _ = rest[1:].partition("]")
    if not closed:
        raise _malformed(pattern, "a [ is never closed")
    if not inside:
        raise _malformed(pattern, "nothing stands between [ and ]")
    return frozenset(_listed(pattern, inside)), len(inside) + 2


def _listed(pattern: str, inside: str) -> set[str]:
    """Return the characters in brackets: letters and digits, and ranges of them."""
    found: set[str] = set()
    position = 0
    while match := _RANGE.match(inside, position):
        first, last = match[0][0], match[0][-1]
        found |= {chr(code) for code in range(ord(first), ord(last) + 1)}
        position = match.end() if first <= last else len(inside) + 1
    if position != len(inside):
        raise _malformed(pattern, f"[{inside}] lists more than letters, digits and ranges of them")
    return found


def _malformed(pattern: str, cause: str) -> UsageError:
    return UsageError(
        f"{pattern!r} is no pattern as GitHub writes them",
        cause=cause,
        remedy="put a backslash before a *, ?, +, [, ] or ! that is meant as such",
    )


def from_root(pattern: str, folder: str) -> str:
    """Return a workspace's pattern as one of GitHub's `paths`: from the repository's root.

    The workflows are not in the workspace: wherever it is, they stand at the root.

    Args:
        pattern: The pattern.
        folder: The workspace, from the repository's root; empty for the root itself.
    """
    sign, plain = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    if not folder or plain.startswith(WORKFLOWS):
        return pattern
    return f"{sign}{literal(folder)}/{plain}"


def literal(path: str) -> str:
    """Return the pattern that matches a path and no other."""
    return re.sub(r"([\\*?+\[\]!])", r"\\\1", path)
