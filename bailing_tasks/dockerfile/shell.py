"""Shell words as BuildKit's lexer takes them: quotes, escapes and the forms of ``${…}``.

The rules are those of ``frontend/dockerfile/shell/lex.go`` in BuildKit. Nothing here recurses, so
that text nested a hundred thousand levels deep is read in the time its length takes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from bailing_tasks.dockerfile.patterns import replace_pattern, trim_prefix, trim_suffix
from bailing_tasks.dockerfile.text import SPACES, Refused, decode, encode

_SPACE_RUN = re.compile(f"[{SPACES}]+")
_PARAMETER = re.compile(r"[0-9]+|[@*#?$!-]")
_NAME = re.compile(r"[A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
#: A quote, an escape, or a $ that no plain name follows.
_COMPLEX = re.compile(r"['\"\\`]|\$(?![A-Za-z_]|\{[A-Za-z_][A-Za-z0-9_]*\})")
_HEREDOC_MARK = re.compile("<[\\t\\r ]*")
_NO_SUBSTITUTION = frozenset("{}:")
_MODIFIERS = frozenset(":+-?#%")
_BRACE_REMEDY = "close the ${ with a }, or escape the $"
_NO_NAMES: frozenset[str] = frozenset()
#: More text than this from one file is a bomb; BuildKit could not send it to itself (16 MiB).
MAX_EXPANDED = 1 << 26


class Variables(Protocol):
    """What a word is expanded with."""

    def get(self, name: str, /) -> str | None:
        """The value of a name, if it has one."""


class Expansion(NamedTuple):
    """A word after expansion, and the variables it asked for."""

    text: str
    names: frozenset[str]


@dataclass(slots=True)
class Budget:
    """How much text expansion may still make."""

    left: int = MAX_EXPANDED

    def spend(self, length: int) -> None:
        """Count text that was made.

        Raises:
            Refused: It is more than any build could use.
        """
        self.left -= length
        if self.left < 0:
            raise Refused(
                "its variables expand to more text than BuildKit can hand on",
                "do not repeat a variable inside variables that are repeated themselves",
            )


@dataclass(frozen=True, slots=True)
class Lexer:
    """How words are read.

    Attributes:
        escape: The file's escape character.
        raw_quotes: Keep quotes in the result.
        raw_escapes: Keep escape characters in the result.
        quotes: Whether quotes mean anything; in a heredoc's body they do not.
        keep_unset: Leave ``$NAME`` as it stands where NAME has no value.
        budget: Shared by all words of a file; none where nothing is expanded.
    """

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    quotes: bool = True
    keep_unset: bool = False
    budget: Budget | None = None

    def expand(self, raw: str, env: Variables) -> Expansion:
        """Expand raw text.

        Raises:
            Refused: A quote or a brace is left open, or a substitution is malformed.
        """
        if raw.isascii() and not self.keep_unset and _COMPLEX.search(raw) is None:
            return self._simple(raw, env)
        scan = _Scan(self, decode(raw).removeprefix("\ufeff"), env)
        text = scan.join(_run(scan.until("", self.raw_escapes)))
        return Expansion(encode(text), frozenset(scan.names))

    def split(self, raw: str, env: Variables) -> tuple[str, ...]:
        """Expand raw text, and split the result at white space that is not quoted.

        Raises:
            Refused: As with ``expand``.
        """
        scan = _Scan(self, decode(raw).removeprefix("\ufeff"), env, splits=True)
        _run(scan.until("", self.raw_escapes))
        return tuple(encode(word) for word in scan.finish_words())

    def _simple(self, raw: str, env: Variables) -> Expansion:
        """Expand text that holds nothing but ``$NAME`` and ``${NAME}``, as most does."""
        if "$" not in raw:
            return Expansion(raw, _NO_NAMES)
        names: list[str] = []

        def value(match: re.Match[str]) -> str:
            names.append(match[1] or match[2])
            return env.get(names[-1]) or ""

        text = _VARIABLE.sub(value, raw)
        if self.budget is not None:
            self.budget.spend(len(text))
        return Expansion(text, frozenset(names))


@functools.cache
def _any_of(chars: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(chars)}]")


_Step = Generator[Any, Any, Any]


def _run(step: _Step) -> Any:
    """Run steps that wait for one another, on a stack of our own."""
    stack, answer = [step], None
    while stack:
        try:
            stack.append(stack[-1].send(answer))
            answer = None
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
    return answer


def _flat(parts: Any) -> Iterator[str]:
    """The strings of nested lists of strings, in order."""
    stack = [iter([parts])]
    while stack:
        for part in stack[-1]:
            if isinstance(part, str):
                yield part
            else:
                stack.append(iter(part))
                break
        else:
            stack.pop()


@dataclass(slots=True)
class _Scan:
    """One pass over one decoded text; steps give strings, or nested lists of strings."""

    lexer: Lexer
    text: str
    env: Variables
    splits: bool = False
    position: int = 0
    words: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    word: list[str] = field(default_factory=list)

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def take(self) -> str:
        char = self.peek()
        self.position += 1
        return char

    def plain(self, stops: str) -> str:
        """Text up to the next character that means something."""
        start, stop = self.position, _any_of(stops).search(self.text, self.position)
        self.position = stop.start() if stop else len(self.text)
        return self.text[start : self.position]

    def join(self, parts: Any) -> str:
        """One string of nested parts."""
        out = []
        for part in _flat(parts):
            if self.lexer.budget is not None:
                self.lexer.budget.spend(len(part))
            out.append(part)
        return "".join(out)

    def split(self, text: str) -> None:
        """Add unquoted text to the words: white space ends one."""
        first, *others = _SPACE_RUN.split(text)
        self.word.append(first)
        for other in others:
            self.finish_words()
            self.word.append(other)

    def finish_words(self) -> list[str]:
        if word := "".join(self.word):
            self.words.append(word)
        self.word = []
        return self.words

    def until(self, stop: str, raw_escapes: bool) -> _Step:
        """Text up to a stop character, or to the end where the stop is empty."""
        escape, parts, splits = self.lexer.escape, [], self.splits and not stop
        if stop:
            self.word = []  # BuildKit has one buffer: a nested word drops what is before it.
        quotes = "'\"" if self.lexer.quotes else ""
        while self.position < len(self.text):
            plain = self.plain(f"${escape}{stop}{quotes}{'<' if splits else ''}")
            parts.append(plain)
            char = self.take()
            if splits:
                self.split(plain)
            if not char or char == stop:
                break
            if char == "$":
                value = yield self.dollar()
                parts.append(value)
                if splits:
                    self.split(self.join(value))
                continue
            literal = yield self.literal(char, raw_escapes)
            parts.append(literal)
            if splits:
                self.word.append(literal)
        else:
            char = ""
        if stop and char != stop:
            raise Refused(f"a substitution is not closed: no {stop} follows", _BRACE_REMEDY)
        return parts

    def literal(self, char: str, raw_escapes: bool) -> _Step:
        """What an escape, a quote or a ``<`` begins: white space in it ends no word."""
        if char == "'":
            return self.single_quoted()
        if char == '"':
            return self.join((yield self.double_quoted(raw_escapes)))
        if char == "<":
            return self.heredoc_mark()
        return (self.lexer.escape if raw_escapes else "") + self.take()

    def heredoc_mark(self) -> str:
        """A ``<``, or ``<<`` with the blanks that belong to the word of a heredoc."""
        match = _HEREDOC_MARK.match(self.text, self.position)
        self.position = match.end() if match else self.position
        return f"<{match[0]}" if match else "<"

    def single_quoted(self) -> str:
        end = self.text.find("'", self.position)
        if end < 0:
            raise Refused("a single quote is not closed", "close it, or escape it")
        inside, self.position = self.text[self.position : end], end + 1
        return f"'{inside}'" if self.lexer.raw_quotes else inside

    def double_quoted(self, raw_escapes: bool) -> _Step:
        escape, parts = self.lexer.escape, []
        while True:
            parts.append(self.plain(f'"${escape}'))
            char = self.take()
            if not char:
                raise Refused("a double quote is not closed", "close it, or escape it")
            if char == '"':
                return ['"', parts, '"'] if self.lexer.raw_quotes else parts
            if char == "$":
                parts.append((yield self.dollar()))
                continue
            if raw_escapes:
                parts.append(escape)
            if (following := self.peek()) and following in f'"${escape}':
                char = self.take()
            parts.append(char)

    def name(self) -> str:
        """A variable's name, or a special parameter's; empty where neither stands here."""
        parameter = _PARAMETER.match(self.text, self.position)
        if parameter:
            self.position = parameter.end()
            return parameter[0]
        start = self.position
        match = _NAME.match(self.text, start)
        self.position = match.end() if match else start
        while (char := self.peek()) == "_" or char.isalpha() or char.isdecimal():
            self.position += 1
        return self.text[start : self.position]

    def value(self, name: str) -> str | None:
        key = encode(name)
        self.names.add(key)
        value = self.env.get(key)
        return None if value is None else decode(value)

    def dollar(self) -> _Step:
        """What follows a ``$``."""
        if self.peek() != "{":
            name = self.name()
            value = self.value(name) if name else "$"
            return f"${name}" if value is None and self.lexer.keep_unset else value or ""
        self.take()
        if not self.peek():
            raise Refused("a substitution is not closed: no } follows", _BRACE_REMEDY)
        if self.peek() in _NO_SUBSTITUTION:
            raise Refused("${ is not followed by a name", "write ${NAME}, or escape the $")
        name = self.name()
        modifier = self.take()
        if modifier == "}":
            value = self.value(name)
            return f"${{{name}}}" if value is None and self.lexer.keep_unset else value or ""
        if modifier == "/":
            return (yield self.replaced(name))
        if not modifier:
            raise Refused("a substitution is not closed: no } follows", _BRACE_REMEDY)
        if modifier not in _MODIFIERS:
            raise Refused(
                f"${{{name} is followed by {modifier!r}, which is no form of expansion",
                "use one of :- - :+ + :? ? # ## % %% / //",
            )
        return (yield self.modified(name, modifier))

    def modified(self, name: str, modifier: str) -> _Step:
        """``${NAME:-word}`` and its relatives."""
        colon = modifier == ":"
        kind = self.take() if colon else modifier
        if colon and kind in ("#", "%"):
            raise self.unsupported(name, kind)
        parts = yield self.until("}", kind in ("#", "%"))
        value = self.value(name)
        if value is None and self.lexer.keep_unset:
            return [f"${{{name}", ":" if colon else "", kind, parts, "}"]
        missing = value is None or (colon and not value)
        if kind == "-":
            return parts if missing else value
        if kind == "+":
            return "" if missing else parts
        if kind == "?":
            if missing:
                reason = self.join(parts) or f"is not allowed to be {'empty' if colon else 'unset'}"
                raise Refused(f"{name}: {reason}", f"give {name} a value")
            return value
        if colon:
            raise self.unsupported(name, kind)
        pattern = self.join(parts)
        trim = trim_suffix if kind == "%" else trim_prefix
        return trim(pattern.removeprefix(kind), value or "", longest=pattern.startswith(kind))

    def unsupported(self, name: str, kind: str) -> Refused:
        return Refused(
            f"${{{name}:{kind} is not a form of expansion", "use one of :- :+ :? after the name"
        )

    def replaced(self, name: str) -> _Step:
        """``${NAME/pattern/replacement}``."""
        every = self.peek() == "/"
        if every:
            self.take()
        pattern = yield self.until("/", True)
        replacement = yield self.until("}", True)
        value = self.value(name)
        if value is None and self.lexer.keep_unset:
            return [f"${{{name}/", pattern, "/", replacement, "}"]
        return replace_pattern(self.join(pattern), self.join(replacement), value or "", every=every)
