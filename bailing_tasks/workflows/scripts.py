"""What a shell script runs: its commands, their words expanded as far as is known. Pure."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bailing_tasks.workflows import shell
from bailing_tasks.workflows.commands import docker_command
from bailing_tasks.workflows.expressions import (
    UNKNOWN,
    Truth,
    both,
    either,
    is_known,
    negate,
)
from bailing_tasks.workflows.shell import Body, Branch, Item, Loop, Simple, Token

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<more>\+?)=(?P<value>.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(?P<name>[A-Za-z_]\w*)|\{(?P<body>[^}]*)\}|[0-9@*#?$!-])")
_PARAMETER = re.compile(
    r"(?P<name>[A-Za-z_]\w*)(?P<mark>:?[-=+]|##?|%%?|,,|)(?P<word>.*)", re.DOTALL
)
_DECLARATIONS = ("export", "local", "declare", "readonly", "typeset")
_PREFIXES = ("sudo", "time", "exec", "command", "env", "nice", "nohup")
_MAX_DEPTH = 8
"""How deep functions may call each other before nobody follows any more."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        argv: Its words; an unknown one is `UNKNOWN`.
        line: Where it stands.
        runs: Whether it is run.
    """

    argv: tuple[str, ...]
    line: int
    runs: Truth


@dataclass
class Script:
    """What a script does.

    Attributes:
        variables: The shell's variables: those given, and what it assigns.
        commands: What it runs.
        written: What it writes for later steps: by `GITHUB_ENV` or `GITHUB_OUTPUT`, then by name.
    """

    variables: dict[str, str]
    commands: list[Command] = field(default_factory=list)
    written: dict[str, dict[str, str]] = field(default_factory=dict)
    _functions: dict[str, Body] = field(default_factory=dict)
    _alive: Truth = True
    _asked: bool = False
    _depth: int = 0

    def run(self, body: Body, guard: Truth) -> Truth:
        """Follow a body; return whether its last command succeeds.

        What is no test succeeds; but what a program answers to an `if` is not known.
        """
        status: Truth = True
        for item in body:
            runs = guard
            if item.link == "&&":
                runs = both(guard, status)
            elif item.link == "||":
                runs = both(guard, negate(status))
            result = self._node(item, both(runs, self._alive))
            if item.link == "&&":
                status = both(status, result)
            elif item.link == "||":
                status = either(status, result)
            else:
                status = result
        return status

    def _node(self, item: Item, guard: Truth) -> Truth:
        node = item.node
        if isinstance(node, Simple):
            return self._simple(node, guard)
        if isinstance(node, Branch):
            return self._branch(node, guard)
        if isinstance(node, Loop):
            return self._loop(node, guard)
        self._functions[node.name] = node.body
        return True

    def _branch(self, node: Branch, guard: Truth) -> Truth:
        taken: Truth = False
        for tried, body in node.cases:
            here = both(guard, negate(taken))
            holds = self._condition(tried, here)
            self.run(body, both(here, holds))
            taken = either(taken, holds)
        self.run(node.otherwise, both(guard, negate(taken)))
        return True

    def _condition(self, tried: Body, guard: Truth) -> Truth:
        if not tried:
            # `case` has no condition that is read.
            return None
        before, self._asked = self._asked, True
        holds = self.run(tried, guard)
        self._asked = before
        return holds

    def _loop(self, node: Loop, guard: Truth) -> Truth:
        if node.group:
            return self.run(node.body, guard)
        values = [value for word in node.words for value in self.words(word)]
        if not node.name or UNKNOWN in values:
            values, guard = [UNKNOWN], both(guard, None)
        for value in values:
            self.variables[node.name] = value
            self.run(node.body, guard)
        return True

    def _simple(self, node: Simple, guard: Truth) -> Truth:
        words = list(node.words)
        negated = bool(words) and words[0].text == "!"
        if negated:
            words = words[1:]
        while words and _ASSIGNMENT.fullmatch(words[0].text):
            self._assign(words.pop(0).text, guard)
        if not words:
            return True
        if words[0].text in ("[", "[[", "test"):
            result = self._test(words)
        else:
            argv = tuple(value for word in words for value in self.words(word))
            result = self._call(argv, words, node.outputs, guard)
        return negate(result) if negated else result

    def _call(
        self, argv: tuple[str, ...], words: Sequence[Token], outputs: Sequence[Token], guard: Truth
    ) -> Truth:
        while argv and (argv[0] in _PREFIXES or _ASSIGNMENT.fullmatch(argv[0])):
            argv = argv[1:]
        name = argv[0] if argv else ""
        if words[0].text in _DECLARATIONS:
            for word in words[1:]:
                self._assign(word.text, guard)
        elif name in self._functions and self._depth < _MAX_DEPTH:
            self._depth += 1
            self.run(self._functions[name], guard)
            self._depth -= 1
        elif name == "exit":
            self._exit(argv[1:], guard)
        elif name == "echo" and outputs:
            self._write(argv[1:], outputs[-1].text, guard)
        elif name in ("true", "false"):
            return name == "true"
        elif name:
            self.commands.append(Command(argv, words[0].line, guard))
            return None if self._asked and docker_command(argv) is None else True
        return True

    def _exit(self, status: Sequence[str], guard: Truth) -> None:
        """End the script where it is known to end; that a job may fail counts for nothing."""
        fails = bool(status) and status[0] not in ("0", UNKNOWN)
        if guard is not None or not fails:
            self._alive = both(self._alive, negate(guard))

    def _write(self, words: Sequence[str], target: str, guard: Truth) -> None:
        name = target.strip("\"'").removeprefix("$").strip("{}")
        match = _ASSIGNMENT.fullmatch(" ".join(words))
        if match and guard is not False:
            value = match["value"] if guard else UNKNOWN
            self.written.setdefault(name, {})[match["name"]] = value

    def _assign(self, text: str, guard: Truth) -> None:
        match = _ASSIGNMENT.fullmatch(text)
        if match is None or guard is False:
            return
        name, value = match["name"], self.expand(match["value"])
        if match["more"]:
            value = self.variables.get(name, UNKNOWN) + value
        if guard is None and self.variables.get(name) != value:
            value = UNKNOWN
        self.variables[name] = value

    def words(self, word: Token) -> list[str]:
        """Return what a word becomes: none, one, or several where it is a variable's value."""
        value = self.expand(word.text)
        if "$" in word.text and not set(word.text) & set("'\"\\"):
            return value.split()
        return [value]

    def expand(self, text: str) -> str:
        """Return a word without its quotes, with the values of its variables."""
        found = []
        position, quoted = 0, False
        while position < len(text):
            letter = text[position]
            if letter == "'" and not quoted:
                end = text.find("'", position + 1)
                end = len(text) if end < 0 else end
                found.append(text[position + 1 : end])
                position = end + 1
            elif letter == '"':
                quoted, position = not quoted, position + 1
            elif letter == "\\":
                found.append(text[position + 1 : position + 2])
                position += 2
            elif letter == "`" or text.startswith("$(", position):
                end = shell.piece_end(text, position)
                found.append(self._substitute(text[position:end]))
                position = end
            elif match := _VARIABLE.match(text, position):
                found.append(self._variable(match))
                position = match.end()
            else:
                found.append(letter)
                position += 1
        return "".join(found)

    def _substitute(self, text: str) -> str:
        return self.variables.get("PWD", UNKNOWN) if text == "$(pwd)" else UNKNOWN

    def _variable(self, match: re.Match[str]) -> str:
        inner = _PARAMETER.fullmatch(match["name"] or match["body"] or "")
        if inner is None:
            return UNKNOWN
        value = self.variables.get(inner["name"])
        mark, word = inner["mark"], inner["word"]
        if not mark:
            return UNKNOWN if value is None or word else value
        if value is None or value == UNKNOWN:
            return UNKNOWN
        if mark.endswith(("-", "=")):
            return value or self.expand(word)
        if mark.endswith("+"):
            return self.expand(word) if value else ""
        if mark == ",,":
            return value.lower()
        return _trim(value, self.expand(word), mark)

    def _test(self, words: Sequence[Token]) -> Truth:
        """Return whether `[ … ]`, `[[ … ]]` or `test …` holds."""
        ends = ("]", "]]", "-a", "-o", "&&", "||")
        status: Truth = True
        link = "&&"
        rest = list(words[1:])
        while rest:
            part = list(itertools.takewhile(lambda word: word.text not in ends, rest))
            result = self._primary(part, double=words[0].text == "[[")
            status = both(status, result) if link in ("&&", "-a") else either(status, result)
            rest = rest[len(part) :]
            link, rest = (rest[0].text, rest[1:]) if rest else ("", rest)
            if link in ("]", "]]"):
                break
        return status

    def _primary(self, part: Sequence[Token], *, double: bool) -> Truth:
        if part and part[0].text == "!":
            return negate(self._primary(part[1:], double=double))
        if double and len(part) > 2 and part[1].text == "=~":
            return _matches(
                self.expand(part[0].text), self.expand("".join(word.text for word in part[2:]))
            )
        values = [self.expand(word.text) for word in part]
        if len(values) == 1:
            return None if values[0] == UNKNOWN else bool(values[0])
        if len(values) == 2 and values[0] in ("-n", "-z"):
            return None if values[1] == UNKNOWN else bool(values[1]) == (values[0] == "-n")
        if len(values) != 3 or not all(map(is_known, values)):
            return None
        left, mark, right = values
        if mark not in ("=", "==", "!="):
            return None
        pattern = double and not set(part[2].text) & set("'\"")
        same = fnmatch.fnmatchcase(left, right) if pattern else left == right
        return same == (mark != "!=")


def run(text: str, variables: Mapping[str, str], line: int = 1) -> Script:
    """Follow a script from its start.

    Args:
        text: The script.
        variables: The environment it starts with; what is not in it is not known.
        line: The line its first one stands on.
    """
    script = Script(dict(variables))
    script.run(shell.parse(text, line), True)
    return script


def _matches(text: str, pattern: str) -> Truth:
    if not is_known(text + pattern):
        return None
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return None


def _trim(value: str, pattern: str, mark: str) -> str:
    """Return a value without what a pattern takes at its start (`#`) or end (`%`)."""
    at_start = mark.startswith("#")
    ends = range(len(value) + 1)
    longest = len(mark) == 2
    for end in reversed(ends) if longest == at_start else ends:
        piece, rest = (value[:end], value[end:]) if at_start else (value[end:], value[:end])
        if fnmatch.fnmatchcase(piece, pattern):
            return rest
    return value
