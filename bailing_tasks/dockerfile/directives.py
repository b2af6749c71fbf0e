"""Directives: ``# escape=``, ``# syntax=`` and ``# check=`` at the top of a file.

The rules are those of ``directives.go`` in BuildKit's parser, and of its linter's options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bailing_tasks.dockerfile.text import BOM, Refused, from_raw, trim, trim_left
from bailing_tasks.dockerfile.values import check_bool

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+)")
_SPACE = "\t\n\f\r "
_NAMES = frozenset({"syntax", "escape", "check"})
_CHECK_REMEDY = "write it as in # check=skip=RuleName;error=true, without spaces"


@dataclass(slots=True)
class Directives:
    """The state of the search at the top of a file, while it is read."""

    escape: str = "\\"
    done: bool = False
    seen: set[str] = field(default_factory=set)

    def read(self, line: str) -> None:
        """Take a line that has no leading white space and no end.

        Raises:
            Refused: A directive stands there twice, or the escape character is none.
        """
        directive = None if self.done else directive_in(line, "#")
        if directive is None:
            self.done = True
            return
        name, value = directive
        if name in self.seen:
            raise Refused(f"the directive {name} stands there twice", f"leave one # {name}= line")
        self.seen.add(name)
        if name == "escape":
            if value not in ("\\", "`"):
                raise Refused(f"{from_raw(value)!r} cannot be the escape character", "use \\ or `")
            self.escape = value


def directive_in(line: str, mark: str) -> tuple[str, str] | None:
    """Name and value of the directive that a line is, if it is one."""
    if not line.startswith(mark):
        return None
    match = _DIRECTIVE.fullmatch(trim_left(line[len(mark) :]))
    if match is None or match[1].lower() not in _NAMES:
        return None
    return match[1].lower(), match[2].rstrip(_SPACE)


def find_directive(raw: str, name: str, mark: str = "#") -> tuple[int, str] | None:
    """Line and value of a directive, without reading the file; a first line ``#!`` is skipped."""
    raw = raw.removeprefix(BOM)
    number, start = 0, 0
    if raw.startswith("#!"):
        number, start = 1, raw.find("\n") + 1 or len(raw)
    while start < len(raw):
        end = raw.find("\n", start)
        end = len(raw) if end < 0 else end
        directive = directive_in(raw[start:end].removesuffix("\r"), mark)
        if directive is None:
            break
        number, start = number + 1, end + 1
        if directive[0] == name:
            return number, directive[1]
    return None


def check_lint_options(raw: str) -> None:
    """Refuse malformed options of ``# check=``.

    Raises:
        DockerfileError: An option is unknown, or has no value.
    """
    found = find_directive(raw, "check")
    if found is None:
        return
    line, value = found
    try:
        for option in value.partition(" ")[0].split(";", 1):
            name, equals, setting = option.partition("=")
            if not equals or trim(name) not in ("skip", "error"):
                raise Refused(
                    f"the check directive has no option {from_raw(name)!r}", _CHECK_REMEDY
                )
            if trim(name) == "error":
                check_bool("error of the check directive", trim(setting))
    except Refused as refused:
        raise refused.at(line) from None
