"""How an instruction's arguments are told apart: flags, words, name and value, JSON arrays.

The rules are those of ``split_command.go`` and ``line_parsers.go`` in BuildKit's parser.
"""

from __future__ import annotations

import functools
import json
import math
import re
from typing import NamedTuple

from bailing_tasks.dockerfile.text import (
    REPLACEMENT,
    SPACES,
    WHITESPACE,
    Refused,
    decode,
    encode,
    from_raw,
    trim_left,
)

#: The white space of Latin-1: flags are read byte by byte, each byte a character of its own.
_BYTE_SPACE = frozenset("\t\n\v\f\r \x85\xa0")
_SIMPLE_FLAG = re.compile(r"[!#-&(-\[\]^_a-~]+(?=[\t\n\v\f\r ])")
_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
_JSON_SPACE = r"[ \t\r\n]*"
_STRING_ARRAY = re.compile(
    rf"\[{_JSON_SPACE}(?:{_STRING}{_JSON_SPACE}(?:,{_JSON_SPACE}{_STRING}{_JSON_SPACE})*)?\]"
    rf"{_JSON_SPACE}"
)
_JSON_TOKEN = re.compile(
    rf"{_JSON_SPACE}(?:(?P<value>{_STRING}|true|false|null"
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))|(?P<mark>[\[\]{}:,]))"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_MAX_DEPTH = 10_000


class FlagWord(NamedTuple):
    """A word that starts with ``--``, without its quotes and escapes.

    Attributes:
        text: The word; its bytes beyond ASCII are read as characters of their own.
        start: Where it begins in the instruction.
        spans: Where each of its characters stands; None where they simply follow one another.
    """

    text: str
    start: int
    spans: tuple[tuple[int, int], ...] | None = None

    def ranges(self, start: int, end: int) -> list[tuple[int, int]]:
        """Where a part of the word stands in the instruction, quotes and escapes left out."""
        if self.spans is None:
            return [(self.start + start, self.start + end)]
        ranges: list[tuple[int, int]] = []
        for begin, stop in dict.fromkeys(self.spans[start:end]):
            if ranges and ranges[-1][1] == begin:
                ranges[-1] = (ranges[-1][0], stop)
            else:
                ranges.append((begin, stop))
        return ranges


def split_flags(line: str, start: int, escape: str) -> tuple[tuple[FlagWord, ...], int]:
    """The flags at the head of an instruction's arguments, and where the rest begins."""
    flags: list[FlagWord] = []
    position = start
    while True:
        while position < len(line) and line[position] in _BYTE_SPACE:
            position += 1
        if not line.startswith("--", position):
            return tuple(flags), position
        simple = _SIMPLE_FLAG.match(line, position)
        if simple:
            word, position = FlagWord(simple[0], position), simple.end()
        else:
            word, position = _flag_word(line, position, escape)
        if word.text == "--":
            return tuple(flags), position
        flags.append(word)


def _flag_word(line: str, start: int, escape: str) -> tuple[FlagWord, int]:
    """The word that begins here, and where it ends."""
    chars: list[str] = []
    spans: list[tuple[int, int]] = []
    quote, position = "", start
    while position < len(line):
        begin, char = position, line[position]
        position += 1
        if not quote and char in _BYTE_SPACE:
            break
        if char == quote:
            quote = ""
            continue
        if not quote and char in "'\"":
            quote = char
            continue
        if char == escape:
            if position == len(line):
                break
            char = line[position]
            position += 1
        chars.append(encode(char))
        spans.extend([(begin, position)] * len(chars[-1]))
    return FlagWord("".join(chars), start, tuple(spans)), position


def split_words(rest: str, escape: str) -> list[str]:
    """Words parted by white space, with their quotes and escapes (``parseWords``)."""
    words = []
    for match in _word_pattern(escape).finditer(decode(rest)):
        lone = match["lone"] or match["lone_in_quotes"]
        words.append(match[0][:-1] if lone else match[0])
    return [encode(word) for word in words if word]


@functools.cache
def _word_pattern(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    quoted = rf"'[^']*(?:'|\Z)|\"(?:[^\"{mark}]+|{mark}.)*(?:\"|(?P<lone_in_quotes>{mark})?\Z)"
    return re.compile(
        rf"(?=[^{SPACES}])(?:[^{SPACES}'\"{mark}]+|{mark}.|{quoted})*(?P<lone>{mark}\Z)?",
        re.DOTALL,
    )


def split_pairs(rest: str, escape: str, keyword: str) -> list[str]:
    """Names and values by turns, of ENV and LABEL (``parseNameVal``).

    Raises:
        Refused: A name has no value.
    """
    words = split_words(rest, escape)
    if not words:
        return []
    remedy = f"write {keyword} name=value, with quotes around a value that holds spaces"
    if "=" not in words[0]:
        pair = WHITESPACE.split(rest, 1)
        if len(pair) < 2:
            raise Refused(f"{keyword} must have two arguments", remedy)
        return pair
    pairs: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"{keyword} has {from_raw(word)!r}, with no = in it", remedy)
        pairs += [name, value]
    return pairs


def split_list(rest: str) -> list[str]:
    """Words parted by white space, quotes meaning nothing (``parseStringsWhitespaceDelimited``)."""
    return WHITESPACE.split(rest) if rest else []


def json_strings(rest: str) -> list[str] | None:
    """The strings of a JSON array; None where the text is no JSON array.

    Raises:
        Refused: It is a JSON array, but not of strings.
    """
    text = decode(trim_left(rest))
    if not text.startswith("["):
        return None
    if _STRING_ARRAY.fullmatch(text):
        return [encode(_SURROGATE.sub(REPLACEMENT, item)) for item in json.loads(text)]
    if _is_json(text):
        raise Refused(
            "its JSON array holds something else than strings", "put each item in double quotes"
        )
    return None


def _is_json(text: str) -> bool:
    """Whether text is one JSON value, however deep; Python's own reader recurses."""
    opened: list[str] = []
    state, position = "value", 0
    while match := _JSON_TOKEN.match(text, position):
        position = match.end()
        if match["number"] and math.isinf(float(match["number"])):
            return False
        state = _json_state(state, match["value"] or "", match["mark"] or "", opened)
        if not state or len(opened) > _JSON_MAX_DEPTH:
            return False
    return state == "next" and not opened and not text[position:].strip(" \t\r\n")


def _json_state(state: str, value: str, mark: str, opened: list[str]) -> str:
    """What may follow a token; empty where the token may not stand here."""
    if state.startswith("value"):
        if value:
            return "next"
        if mark in ("[", "{"):
            opened.append(mark)
            return "value or ]" if mark == "[" else "key or }"
    elif state.startswith("key") and value.startswith('"'):
        return ":"
    elif state == ":" and mark == ":":
        return "value"
    elif state == "next" and opened and mark == ",":
        return "value" if opened[-1] == "[" else "key"
    closes = {"value or ]": "]", "key or }": "}", "next": "]" if opened[-1:] == ["["] else "}"}
    if opened and mark and closes.get(state) == mark:
        opened.pop()
        return "next"
    return ""
