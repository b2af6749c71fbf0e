"""GitHub's `paths` for what a build reads of its context: never less, in rare cases more. Pure.

BuildKit's wildcards are those of Go. GitHub has no pattern for any one character, and none for a
character that is not in a class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bailing_tasks import triggers

EVERYTHING = "**"
BELOW = "/**"
_CLASS = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]", re.DOTALL)
_KNOWN_CLASS = re.compile(r"\[(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[a-zA-Z0-9])+\]")
_WILD = frozenset("*?+[")


def of_source(context: str, source: str, is_folder: Callable[[str], bool | None]) -> list[str]:
    """Return the patterns for what a COPY source takes, from the repository's root.

    Args:
        context: The build context; `.` for the root itself.
        source: The source, as in `ContextInput.pattern`.
        is_folder: Says whether a path of the context is a folder; None where it is not there.
    """
    above = "" if context == "." else f"{triggers.literal(context)}/"
    if source == ".":
        return [above + EVERYTHING]
    words = list(_words(source))
    if "" in words:
        return []
    text = above + "".join(words)
    if not any(word[0] in _WILD for word in words):
        folder = is_folder("".join(word[-1] for word in words))
        return [text, text + BELOW] if folder is None else [text + BELOW if folder else text]
    *head, last = text.split("/")
    if last in ("*", EVERYTHING):
        return ["/".join([*head, EVERYTHING])]
    return [text, text + BELOW]


def _words(source: str) -> Iterable[str]:
    """Yield GitHub's word for each character, wildcard and class; an empty one for a fault."""
    at = 0
    while at < len(source):
        char = source[at]
        if char == "\\":
            yield triggers.literal(source[at + 1 : at + 2])
            at += 2
        elif char == "[":
            found = _CLASS.match(source, at)
            yield _of_class(found[0]) if found else ""
            at = found.end() if found else len(source)
        elif char in "*?":
            stars = re.compile(r"[*?]+").match(source, at)
            assert stars
            yield EVERYTHING if EVERYTHING in stars[0] else "*"
            at = stars.end()
        else:
            yield triggers.literal(char)
            at += 1


def _of_class(text: str) -> str:
    if not _KNOWN_CLASS.fullmatch(text):
        return "*"
    return text[1] if len(text) == len("[x]") else text


def without_covered(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return patterns, none of which excludes, without what a whole folder among them has."""
    found = dict.fromkeys(patterns)
    folders = [
        each
        for each in found
        if each == EVERYTHING or (each.endswith(BELOW) and not _WILD & set(each[: -len(BELOW)]))
    ]
    return tuple(
        pattern
        for pattern in found
        if not any(each != pattern and triggers.matches(each, pattern) for each in folders)
    )
