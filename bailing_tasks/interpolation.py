"""Variables in values, by the rules of the Compose specification (Interpolation). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<braced>{_NAME})(?P<form>:?[-+?])?|(?P<odd>\{{))"
)
_BRACE = re.compile(r"\$\{|\}")


class UnresolvedError(Exception):
    """A value that cannot be made: a variable is malformed, or has no value.

    It knows no file; whoever does makes an error for people of it.

    Args:
        cause: What is wrong; it holds names, and no values.
        remedy: What to write instead.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables replaced.

    There are `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:+word}`, `${NAME+word}`,
    `${NAME:?words}`, `${NAME?words}` and `$$`; any other `$` stands for itself. Compose lets a
    variable that has no value be empty, and warns; here it is an error.

    Args:
        text: The text.
        values: What names stand for.

    Raises:
        UnresolvedError: A variable has no value, or a brace is not closed.
    """
    made: list[str] = []
    position = 0
    while match := _VARIABLE.search(text, position):
        made.append(text[position : match.start()])
        position = match.end()
        if match["odd"]:
            raise UnresolvedError("no name follows a ${", "write $$ for a $ that is meant")
        if match["dollar"]:
            made.append("$")
        elif match["plain"]:
            made.append(_plain(match["plain"], values))
        else:
            end = _closing(text, position)
            made.append(_braced(match["braced"], match["form"], text[position:end], values))
            position = end + 1
    return "".join([*made, text[position:]])


def _closing(text: str, position: int) -> int:
    """Return where the brace closes that is open at a position."""
    depth = 1
    for brace in _BRACE.finditer(text, position):
        depth += 1 if brace[0] == "${" else -1
        if not depth:
            return brace.start()
    raise UnresolvedError("a ${ is not closed", "close it with }, or write $$ for the $")


def _plain(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        # Which name is not said: it may be a part of a password that happens to have a $ in it.
        raise UnresolvedError(
            "a $ names a variable that is not defined",
            "define it; write ${NAME:-} for one that may be empty, $$ for a $ that is meant",
        )
    return values[name]


def _braced(name: str, form: str | None, word: str, values: Mapping[str, str]) -> str:
    """Return what `${…}` stands for; the word is looked at only where it is needed."""
    if form is None:
        if word:
            raise UnresolvedError(
                "in a ${ the name is followed by something else than :- - :+ + :? ? or }",
                "write $$ for a $ that is meant",
            )
        return _plain(name, values)
    there = bool(values.get(name)) if form.startswith(":") else name in values
    if form.endswith("+"):
        return interpolate(word, values) if there else ""
    if there:
        return values[name]
    if form.endswith("-"):
        return interpolate(word, values)
    raise UnresolvedError(f"{name} has to be set: {interpolate(word, values)}", f"define {name}")
