"""Files of variables, `.env`: what they hold, and how one follows its example. Pure.

The rules are those of Docker Compose (Syntax for environment files), measured on Compose 2.26, so
that a template says the same as a container is told. Three things that Compose takes in silence are
errors here: a variable without a value, text behind a closing quote, and a line without a name; and
a tab may stand before an inline comment, or the comment alone after the sign, as in a shell.

python-dotenv reads another dialect: it leaves `$NAME` as it stands, of the forms of `${…}` it knows
only `:-`, and it passes over malformed lines.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bailing_tasks.errors import UsageError
from bailing_tasks.interpolation import UnresolvedError, interpolate

NAME = ".env"
EXAMPLE = ".env.example"

_BLANK = r"[^\S\n]*"
_REST = rf"{_BLANK}(?P<comment>#[^\n]*)?(?:\n|\Z)"
_NO_STATEMENT = re.compile(_REST)
_BEGINNING = re.compile(
    rf"{_BLANK}(?:export[^\S\n]+)?(?P<name>[\w.\[\]-]+){_BLANK}(?:(?P<sign>[=:])|(?:\n|\Z))"
)
_QUOTED = re.compile(
    rf"{_BLANK}(?:'(?P<single>(?:\\.|[^'\\])*)'|\"(?P<double>(?:\\.|[^\"\\])*)\")(?P<rest>{_REST})?",
    re.DOTALL,
)
_OPENED = re.compile(rf"{_BLANK}['\"]")
_PLAIN = re.compile(r"(?P<value>[^\n]*?)(?:[ \t]#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\0(?P<octal>[0-3][0-7]{2}|[0-7]{1,2})|\\(?P<letter>[abfnrtv$\"\\])")
_LETTERS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)) | {"$": "$$"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A statement of such a file.

    Attributes:
        name: The name.
        value: Its value; None where it is that of the environment.
        expands: Whether variables in the value stand for something.
        line: The 1-based line that it begins in.
        text: All of it, with its line's end and the comment lines right above.
    """

    name: str
    value: str | None
    expands: bool
    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What `follow` returns.

    Attributes:
        text: The file as it is to be.
        added: The names that it had not.
        removed: The names that its example does not have, in the order they stand in it.
    """

    text: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


def read(text: str, environment: Mapping[str, str], *, path: str = NAME) -> dict[str, str]:
    """Return the value of each name of a file; the environment's goes before the file's own.

    Args:
        text: The file's text.
        environment: The variables of the process.
        path: The file, as people know it.

    Raises:
        UsageError: A line is malformed, or a value names a variable that is not defined; no value
            is shown.
    """
    values: dict[str, str] = {}
    refused: list[tuple[Entry, UnresolvedError]] = []
    for entry in entries(text, path=path):
        if entry.name in environment:
            values[entry.name] = environment[entry.name]
        elif entry.value is not None:
            known = ChainMap(dict(environment), values)
            try:
                value = interpolate(entry.value, known) if entry.expands else entry.value
            except UnresolvedError as error:
                refused.append((entry, error))
                value = ""  # what names this one is no error of its own
            values[entry.name] = value
    if refused:
        raise UsageError(
            f"{len(refused)} values in {path} cannot be made",
            cause="; ".join(
                f"{path}:{entry.line}: {entry.name}: {error.cause}" for entry, error in refused
            ),
            remedy="\n  ".join(dict.fromkeys(error.remedy for _, error in refused))
            + "\n  in single quotes every $ stands for itself",
        )
    return values


def follow(text: str, example: str, *, path: str = NAME, example_path: str = EXAMPLE) -> Followed:
    """Return what a file becomes that is to have all names of its example.

    What stands in it stays, byte for byte. Names that are new come at its end, as they stand in the
    example, with the comment lines right above them.

    Raises:
        UsageError: A line of either is malformed.
    """
    here = {entry.name: entry for entry in entries(text, path=path)}
    wanted = {entry.name: entry for entry in entries(example, path=example_path)}
    added = tuple(name for name in wanted if name not in here)
    pieces = [text, *(wanted[name].text for name in added)]
    ended = [piece if piece.endswith("\n") or not piece else f"{piece}\n" for piece in pieces]
    return Followed(
        text="".join(ended) if added else text,
        added=added,
        removed=tuple(name for name in here if name not in wanted),
    )


def entries(text: str, *, path: str) -> Iterator[Entry]:
    """Yield the statements of a file.

    Raises:
        UsageError: A line is malformed.
    """
    position = len(text) - len(text.removeprefix("\ufeff"))
    line, above = 1, position
    while position < len(text):
        start = position
        if blank := _NO_STATEMENT.match(text, position):
            position = blank.end()
            if not blank["comment"]:
                above = position
        else:
            name, value, expands, position = _statement(text, position, f"{path}:{line}")
            yield Entry(
                name=name, value=value, expands=expands, line=line, text=text[above:position]
            )
            above = position
        line += text.count("\n", start, position)


def _statement(text: str, position: int, place: str) -> tuple[str, str | None, bool, int]:
    """Return name, value, whether that expands, and where the next line begins."""
    beginning = _BEGINNING.match(text, position)
    if beginning is None:
        raise UsageError(
            f"{place}: this is no NAME=value",
            remedy="a name is letters, digits and _ . - and has no space in it; a value of several "
            "lines stands in quotes, a comment begins with #",
        )
    name, position = beginning["name"], beginning.end()
    if not beginning["sign"]:
        return name, None, False, position
    if quoted := _QUOTED.match(text, position):
        if quoted["rest"] is None:
            raise UsageError(
                f"{place}: something stands behind the closing quote of {name}",
                remedy="a quote inside the value is written \\' or \\\"; a comment begins with #",
            )
        if quoted["single"] is not None:
            return name, quoted["single"].replace("\\'", "'"), False, quoted.end()
        return name, _ESCAPE.sub(_unescaped, quoted["double"]), True, quoted.end()
    if _OPENED.match(text, position):
        raise UsageError(
            f"{place}: the quote that opens the value of {name} is not closed",
            remedy="close it, or put the value in quotes of the other kind",
        )
    plain = _PLAIN.match(text, position)
    assert plain is not None
    return name, plain["value"].strip(), True, plain.end()


def _unescaped(escape: re.Match[str]) -> str:
    if escape["octal"]:
        return chr(int(escape["octal"], 8))
    return _LETTERS.get(escape["letter"], escape["letter"])
