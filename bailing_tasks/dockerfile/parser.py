"""Text to instructions: continuations, comments, heredocs.

The rules are those of ``parser.go`` in BuildKit's Dockerfile parser.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bailing_tasks.dockerfile.directives import Directives
from bailing_tasks.dockerfile.heredocs import Heredoc, heredocs_in
from bailing_tasks.dockerfile.text import BOM, WHITESPACE, Refused, from_raw, lower, trim, trim_left
from bailing_tasks.dockerfile.words import (
    FlagWord,
    json_strings,
    split_flags,
    split_list,
    split_pairs,
    split_words,
)
from bailing_tasks.errors import DockerfileError

#: A longer line overflows the buffer that BuildKit reads lines into.
MAX_LINE_LENGTH = 65_535
_WITH_HEREDOC = frozenset({"add", "copy", "run"})
#: Sorts behind every offset.
_AFTER_ALL = float("inf")
_BLANKS = " \t"


class Instruction(NamedTuple):
    """One instruction, its comments and continuations gone; all its text is raw.

    Attributes:
        keyword: In lower case, as in ``from``.
        word: The keyword as the file has it.
        text: The whole instruction on one line.
        args: Its arguments: words, names and values by turns, or one text; by the keyword.
        is_json: Whether the arguments were a JSON array.
        flags: Its words that start with ``--``.
        heredocs: With their bodies.
        line: Where it begins, from 1.
        arguments_at: Where its arguments begin in its text, after the flags.
        pieces: Pairs of an offset in the text and the offset in the file that it comes from.
        trigger: For ONBUILD, what it holds back.
        has_gap: Whether an empty line stands among its lines.
        comments: The comments above it, without the ``#``; an empty one parts them.
    """

    keyword: str
    word: str
    text: str
    args: tuple[str, ...]
    is_json: bool
    flags: tuple[FlagWord, ...]
    heredocs: tuple[Heredoc, ...]
    line: int
    arguments_at: int
    pieces: tuple[tuple[int, int], ...] = ()
    trigger: Instruction | None = None
    has_gap: bool = False
    comments: tuple[str, ...] = ()

    def source_ranges(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where in the file parts of the text stand; one over several lines is several."""
        found: list[tuple[int, int]] = []
        for start, end in ranges:
            index = bisect_right(self.pieces, (start, _AFTER_ALL)) - 1
            while start < end:
                at, source = self.pieces[index]
                index += 1
                stop = min(end, self.pieces[index][0]) if index < len(self.pieces) else end
                found.append((source + start - at, source + stop - at))
                start = stop
        return found


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's instructions, and its escape character."""

    escape: str
    instructions: tuple[Instruction, ...]


@dataclass(slots=True)
class _Lines:
    """The lines of a file, one after the other."""

    raw: str
    offset: int = 0
    number: int = 0
    start: int = 0

    def next(self) -> str | None:
        """The next line with its end, or None; ``start`` is where it begins."""
        if self.offset >= len(self.raw):
            return None
        self.start = self.offset
        end = self.raw.find("\n", self.start) + 1 or len(self.raw)
        self.offset = end
        self.number += 1
        line = self.raw[self.start : end]
        if len(line) - line.endswith("\n") > MAX_LINE_LENGTH:
            raise Refused(
                f"a line is longer than {MAX_LINE_LENGTH} bytes",
                "break it with continuations, or copy a file instead",
            ).at(self.number)
        return line


def parse(raw: str) -> Parsed:
    """Read a Dockerfile.

    Raises:
        DockerfileError: BuildKit's parser refuses it.
    """
    lines, directives = _Lines(raw), Directives()
    found: list[Instruction] = []
    comments: list[str] = []
    while (line := lines.next()) is not None:
        number, content = lines.number, line.rstrip("\r\n")
        if number == 1:
            content = content.removeprefix(BOM)
        indented, content = content, trim_left(content)
        try:
            is_directive = directives.read(content)
            if not content or content.startswith("#"):
                if content and not is_directive:
                    comment = trim(indented[1:])
                    comments = [*comments, comment] if comment else []
                continue
            text, pieces, has_gap = _logical_line(lines, line, content, directives.escape)
            instruction = _instruction(text, number, directives.escape)
            complete = _complete(instruction, lines, pieces, has_gap=has_gap)
            found.append(complete._replace(comments=tuple(comments)))
            comments = []
        except Refused as refused:
            raise refused.at(number) from None
    if not found:
        raise DockerfileError(
            "the Dockerfile holds no instruction",
            cause="it is empty, or holds comments only",
            remedy="begin it with FROM and an image",
        )
    return Parsed(directives.escape, tuple(found))


def _logical_line(
    lines: _Lines, line: str, content: str, escape: str
) -> tuple[str, list[tuple[int, int]], bool]:
    """An instruction's lines as one, where each piece comes from, and whether one is empty."""
    leading = len(line.rstrip("\r\n")) - len(content)
    content, more = _continued(content, escape)
    pieces, texts, length = [(0, lines.start + leading)], [content], len(content)
    has_gap = False
    while more and (following := lines.next()) is not None:
        following = following.rstrip("\r\n")
        visible = trim_left(following)
        if not visible or visible.startswith("#"):
            has_gap = has_gap or not visible
            continue
        content, more = _continued(following, escape)
        pieces.append((length, lines.start))
        texts.append(content)
        length += len(content)
    return "".join(texts), pieces, has_gap


def _continued(content: str, escape: str) -> tuple[str, bool]:
    """A line without the escape character that ends it, and whether there was one.

    Two of them end no line: the first escapes the second.
    """
    stripped = content.rstrip(_BLANKS)
    if stripped.endswith(escape) and not stripped.endswith(escape * 2):
        return stripped[:-1], True
    return content, False


def _complete(
    instruction: Instruction, lines: _Lines, pieces: list[tuple[int, int]], *, has_gap: bool
) -> Instruction:
    """The instruction with its heredocs, and with its place in the file."""
    inner = instruction.trigger or instruction
    heredocs: tuple[Heredoc, ...] = ()
    if "<<" in instruction.text and inner.keyword in _WITH_HEREDOC and not inner.is_json:
        opened = heredocs_in(instruction.text)
        heredocs = tuple([each.with_body(_body(each, lines)) for each in opened])
    return instruction._replace(heredocs=heredocs, pieces=tuple(pieces), has_gap=has_gap)


def _body(heredoc: Heredoc, lines: _Lines) -> str:
    """The lines up to the one that ends a heredoc."""
    start = lines.offset
    while (line := lines.next()) is not None:
        content = line.rstrip("\r\n")
        if heredoc.chomp:
            content = content.lstrip("\t")
        if content == heredoc.name:
            return lines.raw[start : lines.start]
    raise Refused(
        f"its heredoc is not closed: no line holds {from_raw(heredoc.name)} alone",
        f"end the heredoc with a line {from_raw(heredoc.name)}",
    )


def _instruction(text: str, line: int, escape: str) -> Instruction:
    """What one logical line says."""
    begin = len(text) - len(trim_left(text))
    whole = trim(text)
    gap = WHITESPACE.search(whole)
    word = whole[: gap.start()] if gap else whole
    flags: tuple[FlagWord, ...] = ()
    at = begin + len(whole)
    if gap:
        flags, at = split_flags(text[: begin + len(whole)], begin + gap.end(), escape)
    keyword = lower(word)
    rest = text[at : begin + len(whole)]
    at += len(rest) - len(trim_left(rest))
    rest = trim(rest)
    trigger = None
    if keyword == "onbuild" and rest:
        trigger = _trigger(rest, line, escape)
        args, is_json = [trigger.word], False
    else:
        args, is_json = _arguments(keyword, rest, escape)
    return Instruction(keyword, word, text, tuple(args), is_json, flags, (), line, at, (), trigger)


def _trigger(rest: str, line: int, escape: str) -> Instruction:
    word = WHITESPACE.split(rest, 1)[0]
    if lower(word) == "onbuild":
        raise Refused("an ONBUILD holds back another ONBUILD", "write one ONBUILD only")
    return _instruction(rest, line, escape)


def _arguments(keyword: str, rest: str, escape: str) -> tuple[list[str], bool]:
    """Arguments as their keyword has them read, and whether they were a JSON array."""
    if keyword in ("env", "label"):
        return split_pairs(rest, escape, keyword.upper()), False
    if keyword == "arg":
        return split_words(rest, escape), False
    if keyword in ("from", "expose"):
        return split_list(rest), False
    if keyword in ("maintainer", "stopsignal", "user", "workdir"):
        return _text(rest), False
    if keyword in ("add", "copy", "volume"):
        return _json_or(split_list, rest)
    if keyword in ("cmd", "entrypoint", "run", "shell"):
        return _json_or(_text, rest) if rest else ([], False)
    if keyword == "healthcheck":
        kind, command = _first_word(rest)
        args, is_json = _json_or(_text, command) if command else ([], False)
        return _text(kind) + args, is_json
    return [], False


def _text(rest: str) -> list[str]:
    return [rest] if rest else []


def _json_or(split: Callable[[str], list[str]], rest: str) -> tuple[list[str], bool]:
    strings = json_strings(rest)
    return (split(rest), False) if strings is None else (strings, True)


def _first_word(rest: str) -> tuple[str, str]:
    """The kind of a HEALTHCHECK, and its command; here each byte counts as a character."""
    match = re.match(r"([^\t\n\v\f\r \x85\xa0]*)[\t\n\v\f\r \x85\xa0]*", rest)
    return (match[1], rest[match.end() :]) if match else ("", rest)
