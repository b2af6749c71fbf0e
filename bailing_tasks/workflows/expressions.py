"""GitHub's expressions, evaluated as far as a file alone decides. Pure.

The language is that of GitHub's "Evaluate expressions in workflows and actions". A text may be
known in part: each unknown piece of it is the character `UNKNOWN`. A truth is True, False, or None
where it is not known.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

UNKNOWN = "\0"

STAND_IN = "owner-not-known/repository-not-known"
"""What `github.repository` is where nobody knows: good in names, but equal to nothing for sure."""

Truth = bool | None

_HOLE = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}")
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>[+-]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))"
    r"|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<mark>==|!=|<=|>=|&&|\|\||[!<>()\[\].,*]))"
)
_LITERALS = {"true": True, "false": False, "null": None}


class Open(dict[str, Any]):
    """A context of which only a part is known: what is not in it is unknown, not empty."""


def both(left: Truth, right: Truth) -> Truth:
    """Return whether both hold."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def negate(value: Truth) -> Truth:
    """Return whether it does not hold."""
    return None if value is None else not value


def either(left: Truth, right: Truth) -> Truth:
    """Return whether one of them holds."""
    return negate(both(negate(left), negate(right)))


def truth(value: object) -> Truth:
    """Return whether a value counts as true."""
    if value == UNKNOWN:
        return None
    if isinstance(value, float) and math.isnan(value):
        return False
    return value not in (None, "", 0, False)


def evaluate(text: str, contexts: Mapping[str, Any]) -> Any:
    """Return the value of an expression; `UNKNOWN` where it cannot be known or read.

    Args:
        text: What stands between `${{` and `}}`.
        contexts: `github`, `env` and so on, each a mapping; those not given are unknown.
    """
    tokens: list[tuple[str, str]] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            return UNKNOWN
        tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    try:
        parser = _Parser(tokens, contexts)
        value = parser.any_of()
    except (ValueError, IndexError):
        return UNKNOWN
    return UNKNOWN if parser.rest else value


def interpolate(text: str, contexts: Mapping[str, Any]) -> str:
    """Return a text with the values of its expressions."""
    return _HOLE.sub(lambda hole: to_text(evaluate(hole[1], contexts)), text)


def resolve(text: str, contexts: Mapping[str, Any]) -> Any:
    """Return the value of a text that is one expression; else the text, interpolated."""
    whole = _HOLE.fullmatch(text.strip())
    return evaluate(whole[1], contexts) if whole else interpolate(text, contexts)


def condition(text: str, contexts: Mapping[str, Any]) -> Truth:
    """Return whether an `if` holds, which may be written without `${{ }}`; an empty one does."""
    if not text.strip():
        return True
    if "${{" in text:
        return truth(resolve(text, contexts))
    return truth(evaluate(text, contexts))


def has_expression(text: str) -> bool:
    """Whether a text has an expression in it."""
    return "${{" in text


def to_text(value: object) -> str:
    """Return a value as GitHub writes it into a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else UNKNOWN


class _Parser:
    """Evaluates while it reads, as nothing here has an effect."""

    def __init__(self, tokens: Sequence[tuple[str, str]], contexts: Mapping[str, Any]) -> None:
        self.rest = list(tokens)
        self._contexts = contexts

    def any_of(self) -> Any:
        value = self._all_of()
        while self._takes("||"):
            right = self._all_of()
            known = truth(value)
            value = (
                (True if truth(right) else UNKNOWN) if known is None else value if known else right
            )
        return value

    def _all_of(self) -> Any:
        value = self._comparison()
        while self._takes("&&"):
            right = self._comparison()
            known = truth(value)
            if known is None:
                value = False if truth(right) is False else UNKNOWN
            elif known:
                value = right
        return value

    def _comparison(self) -> Any:
        value = self._unary()
        while self.rest and self.rest[0][1] in ("==", "!=", "<", "<=", ">", ">="):
            mark = self.rest.pop(0)[1]
            value = _compare(mark, value, self._unary())
        return value

    def _unary(self) -> Any:
        if self._takes("!"):
            known = truth(self._unary())
            return UNKNOWN if known is None else not known
        return self._postfix()

    def _postfix(self) -> Any:
        value = self._primary()
        while True:
            if self._takes("."):
                value = _member(value, self.rest.pop(0)[1])
            elif self._takes("["):
                value = _member(value, to_text(self.any_of()))
                self._expect("]")
            else:
                return value

    def _primary(self) -> Any:
        kind, text = self.rest.pop(0)
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(int(text, 16)) if "x" in text else float(text)
        if text == "(":
            value = self.any_of()
            self._expect(")")
            return value
        if kind != "name":
            raise ValueError(text)
        if self._takes("("):
            return _call(text, self._arguments())
        if text.lower() in _LITERALS:
            return _LITERALS[text.lower()]
        return self._contexts.get(text.lower(), UNKNOWN)

    def _arguments(self) -> list[Any]:
        found: list[Any] = []
        while not self._takes(")"):
            found.append(self.any_of())
            if not self._takes(","):
                self._expect(")")
                break
        return found

    def _takes(self, mark: str) -> bool:
        if self.rest and self.rest[0] == ("mark", mark):
            self.rest.pop(0)
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError(f"expected {mark}")


def _member(value: Any, name: str) -> Any:
    if value == UNKNOWN or name in ("*", UNKNOWN):
        return UNKNOWN
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key.lower() == name.lower():
                return item
        return UNKNOWN if isinstance(value, Open) else None
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return None


def is_known(value: Any) -> bool:
    """Whether a value can be compared."""
    marks = (UNKNOWN, *STAND_IN.split("/"))
    return not (isinstance(value, str) and any(mark in value for mark in marks))


def _compare(mark: str, left: Any, right: Any) -> Any:
    if not (is_known(left) and is_known(right)):
        return UNKNOWN
    if isinstance(left, str) and isinstance(right, str):
        first: Any = left.lower()
        second: Any = right.lower()
    else:
        first, second = _number(left), _number(right)
    return {
        "==": first == second,
        "!=": first != second,
        "<": first < second,
        "<=": first <= second,
        ">": first > second,
        ">=": first >= second,
    }[mark]


def _number(value: Any) -> float:
    if value is None or isinstance(value, bool | float | int):
        return float(value or 0)
    try:
        return float(value.strip() or 0) if isinstance(value, str) else math.nan
    except ValueError:
        return math.nan


def _call(name: str, arguments: list[Any]) -> Any:
    """Return what a function gives; a job that nobody stopped and that has not failed is meant."""
    constant = {"success": True, "always": True, "failure": False, "cancelled": False}
    if name.lower() in constant:
        return constant[name.lower()]
    function = _FUNCTIONS.get(name.lower())
    if function is None or not all(map(is_known, arguments)):
        return UNKNOWN
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError):
        return UNKNOWN


def _contains(place: Any, item: Any) -> bool:
    if isinstance(place, list):
        return any(_compare("==", each, item) is True for each in place)
    return to_text(item).lower() in to_text(place).lower()


def _format(template: str, *values: Any) -> str:
    def fill(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else to_text(values[int(match[1])])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}", fill, template)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "contains": _contains,
    "startswith": lambda text, start: to_text(text).lower().startswith(to_text(start).lower()),
    "endswith": lambda text, end: to_text(text).lower().endswith(to_text(end).lower()),
    "format": _format,
    "join": lambda values, mark=",": mark.join(map(to_text, values)),
    "fromjson": json.loads,
    "tojson": lambda value: json.dumps(value),
}
