"""Heredocs: ``<<NAME``, ``<<-NAME``, ``<<"NAME"``, several in one instruction.

The rules are those of ``heredocsFromLine`` and ``ParseHeredoc`` in BuildKit's parser.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from bailing_tasks.dockerfile.shell import Lexer
from bailing_tasks.dockerfile.text import Refused

_HEREDOC = re.compile(r"[0-9]*<<(?P<chomp>-?)[\t\n\f\r ]*(?P<word>[^<]*)")
_LINE = Lexer(raw_quotes=True, raw_escapes=True, keep_unset=True)
_UNQUOTED = Lexer(keep_unset=True)
_QUOTED = Lexer(keep_unset=True, raw_quotes=True)


class Heredoc(NamedTuple):
    """One heredoc.

    Attributes:
        name: What ends it, alone on a line.
        expand: Whether variables in its body are expanded: its name was not quoted.
        chomp: Whether tabs before the lines of its body are dropped.
        body: Its lines, as raw text.
    """

    name: str
    expand: bool
    chomp: bool
    body: str = ""

    def with_body(self, body: str) -> Heredoc:
        """The same heredoc with its lines."""
        return self._replace(body=body)


def heredocs_in(line: str) -> list[Heredoc]:
    """The heredocs that an instruction opens, in order.

    Raises:
        Refused: The name of one cannot be read.
    """
    try:
        words = _LINE.split(line, {})
    except Refused:
        return []
    found = (heredoc(word) for word in words)
    return [each for each in found if each is not None]


def heredoc(word: str) -> Heredoc | None:
    """The heredoc that a word opens, if it opens one.

    Raises:
        Refused: Its name cannot be read.
    """
    match = _HEREDOC.fullmatch(word)
    if match is None or not match["word"]:
        return None
    words = _UNQUOTED.split(match["word"], {})
    if len(words) != 1:
        return None
    raw = "".join(_QUOTED.split(match["word"], {}))
    expand = _quotes(words[0]) == _quotes(raw)
    return Heredoc(words[0], expand, bool(match["chomp"]))


def opens_heredoc(word: str) -> bool:
    """Whether a word opens a heredoc; one that cannot be read does not."""
    try:
        return heredoc(word) is not None
    except Refused:
        return False


def _quotes(word: str) -> int:
    return word.count("'") + word.count('"')
