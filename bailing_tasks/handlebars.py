"""The part of the Handlebars language that docker/metadata-action's inputs are written in. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from bailing_tasks.errors import UsageError

_STATEMENT = re.compile(r"\{\{\{(?P<raw>[^{}]*)\}\}\}|\{\{(?P<plain>[^{}]*)\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DATE = re.compile(
    r"(?P<name>date|commit_date)\s+(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")"
    r"(?:\s+tz=(?:'[^']*'|\"[^\"]*\"))?"
)
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#x27;",
    "`": "&#x60;",
    "=": "&#x3D;",
}
_TOKEN = re.compile(r"\[(?P<text>[^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|mm|m|ss|s|X|[A-Za-z]")
_TOKENS: Mapping[str, Callable[[datetime], str]] = {
    "YYYY": lambda moment: f"{moment.year:04}",
    "YY": lambda moment: f"{moment.year % 100:02}",
    "MMMM": lambda moment: f"{moment:%B}",
    "MMM": lambda moment: f"{moment:%b}",
    "MM": lambda moment: f"{moment.month:02}",
    "M": lambda moment: str(moment.month),
    "DD": lambda moment: f"{moment.day:02}",
    "D": lambda moment: str(moment.day),
    "HH": lambda moment: f"{moment.hour:02}",
    "H": lambda moment: str(moment.hour),
    "mm": lambda moment: f"{moment.minute:02}",
    "m": lambda moment: str(moment.minute),
    "ss": lambda moment: f"{moment.second:02}",
    "s": lambda moment: str(moment.second),
    "X": lambda moment: str(int(moment.timestamp())),
}
"""The tokens of moment.js (Format) that dates in tags are made of."""


def render(text: str, values: Mapping[str, str], moment: datetime) -> str:
    """Return a text with its expressions replaced.

    Two braces escape for HTML, three do not; a name that has no value is empty. Time zones are
    read over: `date` and `commit_date` show the moment as it is handed in.

    Args:
        text: The text.
        values: What names stand for.
        moment: What `{{date 'YYYYMMDD'}}` shows.

    Raises:
        UsageError: An expression is none of those that metadata-action documents.
    """

    def replaced(match: re.Match[str]) -> str:
        inner = match["plain"] if match["raw"] is None else match["raw"]
        expression = inner.strip()
        escaped = match["raw"] is None and not expression.startswith("&")
        value = _value(expression.removeprefix("&").strip(), values, moment)
        return "".join(_ESCAPES.get(each, each) for each in value) if escaped else value

    return _STATEMENT.sub(replaced, text)


def is_only(text: str, name: str) -> bool:
    """Whether a text is nothing but the expression for a name."""
    match = _STATEMENT.fullmatch(text)
    return match is not None and (match["plain"] or match["raw"] or "").strip() == name


def _value(expression: str, values: Mapping[str, str], moment: datetime) -> str:
    if _NAME.fullmatch(expression):
        return values.get(expression, "")
    if date := _DATE.fullmatch(expression):
        return _formatted(date["single"] or date["double"] or "", moment)
    raise UsageError(
        f"the expression {{{{{expression}}}}} is not understood",
        remedy="there are {{version}}, {{branch}}, {{date 'YYYYMMDD'}} and others "
        "(docker/metadata-action, Global expressions); what GitHub evaluates is written ${{ … }}",
    )


def _formatted(form: str, moment: datetime) -> str:
    def token(match: re.Match[str]) -> str:
        if match["text"] is not None:
            return match["text"]
        if match[0] not in _TOKENS:
            raise UsageError(
                f"the date format {form!r} is not understood",
                cause=f"{match[0]} is none of {', '.join(_TOKENS)}",
            )
        return _TOKENS[match[0]](moment)

    return _TOKEN.sub(token, form)
