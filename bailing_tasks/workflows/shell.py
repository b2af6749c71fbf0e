"""Shell scripts as a tree of commands: quotes, comments, continuations, conditions. Pure.

The grammar is POSIX's "Shell Command Language", with what Bash adds and workflows use (`[[ ]]`,
arrays). Words keep their quotes: what a word stands for is known when its command is run.
"""

from __future__ import annotations

from dataclasses import dataclass

_OPERATORS = (
    *("<<<", "<<-", "&>>", "&&", "||", ";;", "|&", "<<", ">>", ">&", "<&", "&>"),
    *(";", "|", "&", "(", ")", ">", "<", "\n"),
)
_REDIRECTIONS = ("<<<", "<<-", "&>>", "<<", ">>", ">&", "<&", "&>", ">", "<")
_ENDS = ("then", "elif", "else", "fi", "do", "done", "esac", "}")
LINK = ";"


@dataclass(frozen=True)
class Token:
    """A word with its quotes, or an operator."""

    text: str
    line: int
    word: bool = True


@dataclass(frozen=True)
class Simple:
    """A command: its words, and the words that its output goes to."""

    words: tuple[Token, ...]
    outputs: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Item:
    """A part of a body, and how it is joined to the one before: `;`, `&&`, `||` or `|`."""

    link: str
    node: Simple | Branch | Loop | Function


Body = tuple[Item, ...]


@dataclass(frozen=True)
class Branch:
    """`if`, and `case`, whose conditions are empty: pairs of condition and body, and the rest."""

    cases: tuple[tuple[Body, Body], ...]
    otherwise: Body = ()


@dataclass(frozen=True)
class Loop:
    """`for` over words; `while` has no name, and its words are not known; a group has one round."""

    body: Body
    name: str = ""
    words: tuple[Token, ...] = ()
    group: bool = False


@dataclass(frozen=True)
class Function:
    """What a name is for."""

    name: str
    body: Body


def parse(script: str, line: int = 1) -> Body:
    """Read a script; what cannot be read ends it.

    Args:
        script: Its text.
        line: The line its first one stands on.
    """
    parser = _Parser(tokens(script, line))
    found: list[Item] = []
    while parser.rest:
        found += parser.body(())
        parser.rest = parser.rest[1:]  # a word that nothing opened
    return tuple(found)


def tokens(script: str, line: int = 1) -> list[Token]:
    """Return the words and operators of a script, without comments and heredocs."""
    found: list[Token] = []
    heredocs: list[str] = []
    position = 0
    while position < len(script):
        letter = script[position]
        if script.startswith("\\\n", position):
            position, line = position + 2, line + 1
            continue
        if letter in " \t\r":
            position += 1
            continue
        if letter == "#":
            position = _find(script, "\n", position)
            continue
        operator = next((each for each in _OPERATORS if script.startswith(each, position)), "")
        end = position + len(operator) if operator else _word_end(script, position)
        text = script[position:end]
        if found and found[-1].text in ("<<", "<<-") and not operator:
            heredocs.append(text.strip("'\"\\"))
        found.append(Token(text.replace("\\\n", ""), line, word=not operator))
        line += text.count("\n")
        position = end
        if operator == "\n" and heredocs:
            position, line = _after(script, position, line, heredocs)
            heredocs = []
    return found


def _after(script: str, position: int, line: int, heredocs: list[str]) -> tuple[int, int]:
    """Return where a script goes on behind the bodies of heredocs, and that line."""
    for name in heredocs:
        while position < len(script):
            end = _find(script, "\n", position)
            text, position, line = script[position:end], end + 1, line + 1
            if text.strip() == name:
                break
    return position, line


def _find(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    return len(text) if found < 0 else found


def _word_end(text: str, position: int) -> int:
    while position < len(text) and text[position] not in " \t\r\n;|&()<>":
        position = piece_end(text, position)
    return min(position, len(text))


def piece_end(text: str, start: int) -> int:
    """Return where a quoted piece, a substitution or a single letter ends."""
    letter = text[start]
    if letter == "\\":
        return start + 2
    if letter in "'`":
        return _find(text, letter, start + 1) + 1
    if letter == '"':
        position = start + 1
        while position < len(text) and text[position] != '"':
            plain = text[position] not in "\\$`"
            position = position + 1 if plain else piece_end(text, position)
        return position + 1
    for opening, closing in (("$(", ")"), ("${", "}")):
        if text.startswith(opening, start):
            return _group_end(text, start + 2, closing)
    return start + 1


def _group_end(text: str, position: int, closing: str) -> int:
    while position < len(text) and text[position] != closing:
        if text[position] == "(" and closing == ")":
            position = _group_end(text, position + 1, ")")
        else:
            position = piece_end(text, position)
    return position + 1


class _Parser:
    """Makes a tree of tokens; `rest` is what is not read yet."""

    def __init__(self, rest: list[Token]) -> None:
        self.rest = rest

    def body(self, ends: tuple[str, ...]) -> Body:
        """Read up to one of the words, or what could be no command."""
        items: list[Item] = []
        link = LINK
        while self.rest and not self._at(*ends) and not (self._at(*_ENDS) or self._at(")", ";;")):
            token = self.rest[0]
            if not token.word and token.text != "(" and token.text not in _REDIRECTIONS:
                self.rest = self.rest[1:]
                if token.text != "\n" or link == LINK:
                    link = {"&&": "&&", "||": "||", "|": "|", "|&": "|"}.get(token.text, LINK)
                continue
            items.append(Item(link, self._command()))
            link = LINK
        return tuple(items)

    def _at(self, *texts: str) -> bool:
        return bool(self.rest) and self.rest[0].text in texts

    def _take(self) -> Token:
        token, self.rest = self.rest[0], self.rest[1:]
        return token

    def _skip(self, *texts: str) -> bool:
        if self._at(*texts):
            self._take()
            return True
        return False

    def _command(self) -> Simple | Branch | Loop | Function:
        if self._skip("if"):
            return self._if()
        if self._skip("for"):
            return self._for()
        if self._skip("while", "until"):
            self.body(("do",))
            return Loop(body=self._enclosed("do", "done"))
        if self._skip("case"):
            return self._case()
        if self._at("{", "("):
            opening = self._take().text
            return Loop(body=self._close(self.body(()), "}" if opening == "{" else ")"), group=True)
        return self._simple()

    def _close(self, body: Body, end: str) -> Body:
        self._skip(end)
        return body

    def _enclosed(self, start: str, end: str) -> Body:
        while self._skip("\n", ";"):
            pass
        self._skip(start)
        return self._close(self.body((end,)), end)

    def _if(self) -> Branch:
        cases = []
        while True:
            tried = self._close(self.body(("then",)), "then")
            cases.append((tried, self.body(("elif", "else", "fi"))))
            if not self._skip("elif"):
                break
        otherwise = self.body(("fi",)) if self._skip("else") else ()
        self._skip("fi")
        return Branch(tuple(cases), otherwise)

    def _for(self) -> Loop:
        name = self._take().text if self.rest else ""
        words = []
        if self._skip("in"):
            while self.rest and self.rest[0].word:
                words.append(self._take())
        return Loop(body=self._enclosed("do", "done"), name=name, words=tuple(words))

    def _case(self) -> Branch:
        while self.rest and not self._skip("in"):
            self._take()
        cases: list[tuple[Body, Body]] = []
        while self.rest and not self._skip("esac"):
            while self.rest and not self._skip(")"):
                self._take()
            cases.append(((), self.body((";;", "esac"))))
            while self._skip(";;", "\n"):
                pass
        return Branch(tuple(cases))

    def _simple(self) -> Simple | Function:
        words: list[Token] = []
        outputs: list[Token] = []
        test = self._at("[[")
        while self.rest and (self.rest[0].word or test or self._at(*_REDIRECTIONS, "(")):
            if self._at(*_REDIRECTIONS) and not test:
                writes = self._take().text.startswith((">", "&>"))
                if writes and words and words[-1].text in ("1", "2"):
                    words.pop()
                if self.rest and self.rest[0].word:
                    target = self._take()
                    outputs += [target] if writes else []
            elif self._at("(") and not test:
                if not words:
                    self._take()
                elif not words[-1].text.endswith("="):
                    return self._function(words[-1].text)
                else:
                    self._array(words)
            else:
                words.append(self._take())
                test = test and words[-1].text != "]]"
        return Simple(tuple(words), tuple(outputs))

    def _function(self, name: str) -> Function:
        self._take()
        self._skip(")")
        while self._skip("\n"):
            pass
        return Function(name, self._enclosed("{", "}"))

    def _array(self, words: list[Token]) -> None:
        """Read an array, whose elements count as not known."""
        while self.rest and not self._skip(")"):
            self._take()
        words[-1] = Token(words[-1].text + "$()", words[-1].line)
