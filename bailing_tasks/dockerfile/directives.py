"""Directives: ``# escape=``, ``# syntax=`` and ``# check=`` at the top of a file.

The rules are those of ``directives.go`` in BuildKit's parser, and of its linter's options.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bailing_tasks.dockerfile.dialect import Dialect, Unknown
from bailing_tasks.dockerfile.text import BOM, Refused, from_raw, to_raw, trim, trim_left
from bailing_tasks.dockerfile.values import check_bool, is_true

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+)")
_SPACE = "\t\n\f\r "
_NAMES = frozenset({"syntax", "escape", "check"})
_CHECK_REMEDY = "write it as in # check=skip=RuleName;error=true, without spaces"

#: The build argument whose value stands in for the directive `# check=`.
CHECK_ARG = "BUILDKIT_DOCKERFILE_CHECK"
#: The build argument that names the frontend before `# syntax=` does.
SYNTAX_ARG = "BUILDKIT_SYNTAX"


@dataclass(slots=True)
class Directives:
    """The state of the search at the top of a file, while it is read."""

    escape: str = "\\"
    done: bool = False
    seen: set[str] = field(default_factory=set)

    def read(self, line: str) -> bool:
        """Take a line that has no leading white space and no end; whether it is a directive.

        Raises:
            Refused: A directive stands there twice, or the escape character is none.
        """
        directive = None if self.done else directive_in(line, "#")
        if directive is None:
            self.done = True
            return False
        name, value = directive
        if name in self.seen:
            raise Refused(f"the directive {name} stands there twice", f"leave one # {name}= line")
        self.seen.add(name)
        if name == "escape":
            if value not in ("\\", "`"):
                raise Refused(f"{from_raw(value)!r} cannot be the escape character", "use \\ or `")
            self.escape = value
        return True


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


@dataclass(frozen=True, slots=True)
class LintOptions:
    """What ``# check=`` asks for.

    Attributes:
        is_error: Whether a rule that warns fails the build.
        skipped: Rules that are not to warn; ``all`` among them means every one.
        experimental: Rules on trial that are to warn; ``all`` as well.
    """

    is_error: bool = False
    skipped: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()


def lint_options(raw: str, dialect: Dialect, given: str | None = None) -> LintOptions:
    """The options of ``# check=``, or of the build argument that replaces it.

    Args:
        raw: The file.
        dialect: Whose syntax it is in.
        given: The value of the build argument ``BUILDKIT_DOCKERFILE_CHECK``; None for none.

    Raises:
        DockerfileError: An option is unknown, or has no value.
    """
    line, value = (0, to_raw(given)) if given is not None else (0, "")
    if given is None and (found := find_directive(raw, "check")):
        line, value = found[0], found[1].partition(" ")[0]
    try:
        return _read_lint_options(trim(value), functools.partial(dialect.report, line=line))
    except Refused as refused:
        raise refused.at(line) from None


def comment_options(comments: Iterable[str]) -> LintOptions:
    """The options of the first ``# check=`` comment above an instruction; ``error`` has no effect.

    As ``WithMergedConfigFromComments`` in BuildKit's linter, which drops a malformed one.
    """
    found = (directive_in(comment, "") for comment in comments)
    value = next((each[1].partition(" ")[0] for each in found if each and each[0] == "check"), "")
    try:
        return _read_lint_options(trim(value), functools.partial(Dialect().report, line=0))
    except Refused:
        return LintOptions()


def _read_lint_options(value: str, unknown: Unknown) -> LintOptions:
    """As ``ParseLintOptions`` in BuildKit's linter; ``all`` stays when the option is repeated."""
    is_error = False
    rules: dict[str, frozenset[str]] = {"skip": frozenset(), "experimental": frozenset()}
    for option in value.split(";", 2) if value else ():
        name, equals, setting = option.partition("=")
        name, setting = trim(name), trim(setting)
        if not equals or name not in ("skip", "error", "experimental"):
            refused = Refused(
                f"the check directive has no option {from_raw(name)!r}", _CHECK_REMEDY
            )
            unknown(refused)
        elif name == "error":
            check_bool("error of the check directive", setting)
            is_error = is_true(setting)
        elif setting == "all":
            rules[name] |= {"all"}
        else:
            listed = {trim(rule) for rule in setting.split(",")} - {"all"}
            rules[name] = (rules[name] & {"all"}) | listed
    return LintOptions(is_error, rules["skip"], rules["experimental"])
