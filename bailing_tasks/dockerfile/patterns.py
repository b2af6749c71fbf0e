"""Patterns in ``${V#p}``, ``${V%p}`` and ``${V/p/r}``: ``*`` is any run, ``?`` any character.

BuildKit turns them into regular expressions that take time linear in the text; Python's would
not. A pattern here is what stands between its stars, and each part is looked for once.
"""

from __future__ import annotations

import re

from bailing_tasks.dockerfile.text import Refused

#: The parts between the stars; each is characters, and None for any one character.
_Parts = list[list[str | None]]
_TEMPLATE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def trim_prefix(pattern: str, value: str, *, longest: bool) -> str:
    """What ``${V#pattern}`` leaves of the value, or ``${V##pattern}``."""
    return _trim(_parse(pattern), value, longest=longest)


def trim_suffix(pattern: str, value: str, *, longest: bool) -> str:
    """What ``${V%pattern}`` leaves of the value, or ``${V%%pattern}``."""
    return _trim(_reversed(_parse(pattern)), value[::-1], longest=longest)[::-1]


def replace_pattern(pattern: str, replacement: str, value: str, *, every: bool) -> str:
    """What ``${V/pattern/replacement}`` makes of the value, or ``${V//pattern/replacement}``.

    Where every match is replaced, ``$0`` and other group names mean something in the replacement,
    as in Go's ``ReplaceAllString``.
    """
    parts = _parse(pattern)
    if not every:
        match = _search(parts, value, 0)
        return value if match is None else value[: match[0]] + replacement + value[match[1] :]
    out: list[str] = []
    position = end = 0
    while position <= len(value) and (match := _search(parts, value, position)):
        out.append(value[end : match[0]])
        if match[1] > end or match[0] == 0:
            out.append(_fill(replacement, value[match[0] : match[1]]))
        end = match[1]
        position = max(position + 1, end)
    return "".join(out) + value[end:]


def _parse(pattern: str) -> _Parts:
    parts: _Parts = [[]]
    chars = iter(pattern.removeprefix("\ufeff"))
    for char in chars:
        if char == "*":
            parts.append([])
        elif char == "?":
            parts[-1].append(None)
        elif char == "\\":
            escaped = next(chars, "")
            if escaped not in tuple("*?\\}/"):
                raise Refused(
                    f"invalid escape \\{escaped} in the pattern of a substitution",
                    "only * ? \\ } and / can be escaped there",
                )
            parts[-1].append(escaped)
        else:
            parts[-1].append(char)
    return parts


def _reversed(parts: _Parts) -> _Parts:
    return [part[::-1] for part in parts[::-1]]


def _compiled(part: list[str | None]) -> re.Pattern[str]:
    return re.compile("".join("." if char is None else re.escape(char) for char in part))


def _trim(parts: _Parts, value: str, *, longest: bool) -> str:
    line = value.partition("\n")[0]
    head = _compiled(parts[0]).match(line)
    if head is None:
        return value
    if longest:
        end = _last_end(parts[1:], line, head.end())
    else:
        end = _first_end(parts[1:], line, head.end())
    return value if end is None else value[end:]


def _first_end(parts: _Parts, line: str, start: int) -> int | None:
    """Where the parts end, each at the first place it is found."""
    for part in parts:
        match = _compiled(part).search(line, start)
        if match is None:
            return None
        start = match.end()
    return start


def _last_end(parts: _Parts, line: str, start: int) -> int | None:
    """Where the parts end, each at the last place that leaves room for those before it."""
    if not parts:
        return start
    backwards = line[start:][::-1]
    *before, last = parts
    match = _compiled(last[::-1]).search(backwards)
    if match is None or _first_end(_reversed(before), backwards, match.end()) is None:
        return None
    return len(line) - match.start()


def _search(parts: _Parts, value: str, start: int) -> tuple[int, int] | None:
    """The leftmost match at or after a position; a match never crosses a line's end."""
    head = _compiled(parts[0])
    while start <= len(value):
        newline = value.find("\n", start)
        line_end = len(value) if newline < 0 else newline
        match = head.search(value, start, line_end)
        if match is not None:
            end = _last_end(parts[1:], value[:line_end], match.end())
            if end is not None:
                return match.start(), end
        start = line_end + 1
    return None


def _fill(template: str, whole: str) -> str:
    """A replacement with Go's group names filled in; there is no group but the whole."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1] or match[2]
        return whole if name.isdecimal() and int(name[:9]) == 0 else ""

    return _TEMPLATE.sub(value, template)
