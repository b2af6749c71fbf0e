"""The tags that docker/metadata-action makes of its `tags` and `flavor` inputs. Pure.

By its documentation (tags input, flavor input, Notes). The tags are those it emits, with what it
leaves broken: `tags.py` is this project's own policy.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bailing_tasks import handlebars, versions
from bailing_tasks.errors import UsageError
from bailing_tasks.events import PULLS, Event
from bailing_tasks.tag_names import LATEST, sanitized

MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
"""What dates show unless another moment is handed in."""
SHORT = 7
DEFAULT = ("type=schedule", "type=ref,event=branch", "type=ref,event=tag", "type=ref,event=pr")
"""What it takes where `tags` is empty."""
PRIORITIES = {
    "schedule": 1000,
    "semver": 900,
    "pep440": 900,
    "match": 800,
    "edge": 700,
    "ref": 600,
    "raw": 200,
    "sha": 100,
}
COMMON = frozenset({"enable", "priority", "prefix", "suffix"})
ATTRIBUTES = {
    "schedule": frozenset({"pattern"}),
    "semver": frozenset({"pattern", "value", "match"}),
    "pep440": frozenset({"pattern", "value", "match"}),
    "match": frozenset({"pattern", "value", "group"}),
    "edge": frozenset({"branch"}),
    "ref": frozenset({"event"}),
    "raw": frozenset({"value"}),
    "sha": frozenset({"format"}),
}
DEFAULTS = {
    "schedule": {"pattern": "nightly"},
    "semver": {"value": "", "match": ""},
    "pep440": {"value": "", "match": ""},
    "match": {"value": "", "group": "0"},
    "edge": {"branch": ""},
    "sha": {"prefix": "sha-", "format": "short"},
}
CHOICES = {"event": ("branch", "tag", "pr"), "format": ("short", "long")}
ON_DEFAULT_BRANCH = ("create", "discussion", "issues", "schedule")
"""Events that GitHub runs for the last commit of the default branch, whatever their ref."""

_GROUP = re.compile(r"\(\?<(?![=!])")
"""Where a named group of JavaScript begins."""
_FLAGS = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE}


@dataclass(frozen=True, kw_only=True)
class _Rule:
    line: str
    type: str
    attributes: Mapping[str, str]
    priority: float


@dataclass(frozen=True, kw_only=True)
class _Flavor:
    latest: str = "auto"
    prefix: str = ""
    suffix: str = ""
    prefix_latest: bool = False
    suffix_latest: bool = False


def evaluate(
    lines: Sequence[str],
    flavor: Sequence[str],
    event: Event,
    *,
    default_branch: str,
    moment: datetime = MOMENT,
) -> tuple[str, ...]:
    """Return the tags that metadata-action makes for an event, its version first, `latest` last.

    What GitHub evaluates itself (`${{ … }}`) has to be evaluated already.

    Args:
        lines: The lines of its input `tags`.
        flavor: The lines of its input `flavor`.
        event: The event.
        default_branch: The repository's default branch.
        moment: What dates show.

    Raises:
        UsageError: It would refuse a line, or take no notice of something in it.
    """
    chosen = _flavor(_written(flavor))
    rules = [_rule(line) for line in _written(lines) or DEFAULT]
    made: dict[str, bool] = {}
    for rule in sorted(rules, key=lambda rule: -rule.priority):
        try:
            for tag, latest in _Evaluation(rule, chosen, event, default_branch, moment).tags():
                made.setdefault(sanitized(tag), latest)
        except UsageError as error:
            raise UsageError(
                f"{rule.line!r}: {error.message}", cause=error.cause, remedy=error.remedy
            ) from error
    if next(iter(made.values()), False):
        prefix = chosen.prefix if chosen.prefix_latest else ""
        suffix = chosen.suffix if chosen.suffix_latest else ""
        made.setdefault(sanitized(f"{prefix}{LATEST}{suffix}"), True)
    return tuple(made)


def _written(lines: Sequence[str]) -> list[str]:
    """Return the lines that hold something beside a comment."""
    return [text for line in lines if (text := line.partition("#")[0].strip())]


def _fields(line: str) -> Iterator[tuple[str, str]]:
    """Yield the key, empty where there is none, and the value of each field of a line."""
    for field in next(csv.reader([line])):
        key, equals, value = field.partition("=")
        yield (key.strip().lower(), value.strip()) if equals and key else ("", field.strip())


def _rule(line: str) -> _Rule:
    found = {key or "value": value for key, value in _fields(line)}
    kind = found.pop("type", "raw")
    if kind not in PRIORITIES:
        raise _refused(line, f"there is no type {kind}", f"there are {', '.join(PRIORITIES)}")
    for key in found:
        if key not in ATTRIBUTES[kind] | COMMON:
            known = ", ".join(sorted(ATTRIBUTES[kind] | COMMON))
            raise _refused(line, f"type={kind} has no attribute {key}", f"it has {known}")
    attributes = {**DEFAULTS.get(kind, {}), **found}
    if kind == "ref" and found.get("event") == "pr":
        attributes.setdefault("prefix", "pr-")
    for key in sorted(ATTRIBUTES[kind]):
        if key not in attributes:
            raise _refused(line, f"type={kind} needs the attribute {key}", f"add {key}=…")
        if key in CHOICES and attributes[key] not in CHOICES[key]:
            raise _refused(line, f"{key}={attributes[key]}", f"write {' or '.join(CHOICES[key])}")
    if kind == "match" and not attributes["group"].isdecimal():
        raise _refused(line, f"group={attributes['group']} is no number", "write group=1")
    try:
        priority = float(attributes.get("priority", PRIORITIES[kind]))
    except ValueError:
        shown = f"priority={attributes['priority']} is no number"
        raise _refused(line, shown, "write priority=900") from None
    return _Rule(line=line, type=kind, attributes=attributes, priority=priority)


def _flavor(lines: Sequence[str]) -> _Flavor:
    found: dict[str, str] = {"latest": "auto"}
    for line in lines:
        last = ""
        for key, value in _fields(line):
            if key == "onlatest" and last and value in ("true", "false"):
                found[f"{last}_latest"] = value
            elif key in ("prefix", "suffix"):
                found[key], last = value, key
            elif key == "latest" and value in ("auto", "true", "false"):
                found[key] = value
            elif key != "labelprefix":
                raise _refused(
                    line, f"{key or value} is no flavor", "write latest=auto, prefix=… or suffix=…"
                )
    return _Flavor(
        latest=found["latest"],
        prefix=found.get("prefix", ""),
        suffix=found.get("suffix", ""),
        prefix_latest=found.get("prefix_latest") == "true",
        suffix_latest=found.get("suffix_latest") == "true",
    )


@dataclass(frozen=True)
class _Evaluation:
    """One line for one event."""

    rule: _Rule
    flavor: _Flavor
    event: Event
    default_branch: str
    moment: datetime

    def tags(self) -> Iterator[tuple[str, bool]]:
        """Yield the tag that it makes, if any, and whether `latest` would come along."""
        enabled = self._expanded(self.rule.attributes.get("enable", "true"))
        if enabled not in ("true", "false"):
            raise UsageError(f"enable={enabled} is neither true nor false")
        make = _MAKERS[self.rule.type]
        for value, latest in make(self) if enabled == "true" else ():
            tag = self._dressed(value)
            if tag:
                follows = latest if self.flavor.latest == "auto" else self.flavor.latest == "true"
                yield tag, follows

    def schedule(self) -> Iterator[tuple[str, bool]]:
        if "schedule" in self.event.name:
            pattern = self.rule.attributes["pattern"]
            yield handlebars.render(pattern, {}, self.moment), False

    def version(self) -> Iterator[tuple[str, bool]]:
        attributes = self.rule.attributes
        text = self._subject()
        if attributes["match"] and (match := self._match(attributes["match"], text)):
            if not match.re.groups:
                raise UsageError(f"match={attributes['match']} has no group")
            text = match[1] or ""
        text = text.replace("/", "-")
        found = versions.parse(text, self.rule.type)
        if not found:
            return
        pattern = attributes["pattern"]
        if not found.is_stable:
            pattern = "{{raw}}" if handlebars.is_only(pattern, "raw") else "{{version}}"
        values = {
            "raw": text,
            "version": found.text,
            "major": str(found.major),
            "minor": str(found.minor),
            "patch": str(found.patch),
        }
        yield handlebars.render(pattern, values, self.moment), found.is_stable

    def match(self) -> Iterator[tuple[str, bool]]:
        attributes, group = self.rule.attributes, int(self.rule.attributes["group"])
        if not attributes["value"] and not self.event.tag:
            return
        match = self._match(attributes["pattern"], self._subject())
        if match and group <= match.re.groups and match[group] is not None:
            yield match[group], True

    def edge(self) -> Iterator[tuple[str, bool]]:
        branch = self.rule.attributes["branch"] or self.default_branch
        if self.event.branch and self.event.branch == branch:
            yield "edge", False

    def ref(self) -> Iterator[tuple[str, bool]]:
        kind = self.rule.attributes["event"]
        if kind == "branch" and self.event.branch:
            yield self.event.branch, False
        if kind == "tag" and self.event.tag:
            yield self.event.tag, True
        if kind == "pr" and self.event.number:
            yield self.event.ref.removeprefix(PULLS).removesuffix("/merge"), False

    def raw(self) -> Iterator[tuple[str, bool]]:
        yield self._expanded(self.rule.attributes["value"]), False

    def sha(self) -> Iterator[tuple[str, bool]]:
        if self.event.commit:
            whole = self.rule.attributes["format"] == "long"
            yield self.event.commit if whole else self.event.commit[:SHORT], False

    def _subject(self) -> str:
        """Return what a version or a match is taken from: a value, else the Git tag."""
        value = self.rule.attributes["value"]
        return self._expanded(value) if value else self.event.tag

    def _match(self, pattern: str, text: str) -> re.Match[str] | None:
        """Search by a regular expression of JavaScript, as far as it is one of Python."""
        written = re.fullmatch(r"/(.+)/(.*)", pattern)
        expression, flags = written.groups() if written else (pattern, "")
        mode = re.ASCII
        for flag in flags:
            mode |= _FLAGS.get(flag, re.ASCII)
        try:
            return re.search(_GROUP.sub("(?P<", expression), text, mode)
        except re.error as error:
            raise UsageError(f"{pattern} is no regular expression", cause=str(error)) from error

    def _dressed(self, value: str) -> str:
        attributes = self.rule.attributes
        prefix = attributes.get("prefix", self.flavor.prefix)
        suffix = attributes.get("suffix", self.flavor.suffix)
        return f"{self._expanded(prefix)}{value}{self._expanded(suffix)}"

    def _expanded(self, text: str) -> str:
        """Return a text with its global expressions replaced."""
        event = self.event
        values = {
            "branch": event.branch,
            "tag": event.tag,
            "sha": event.commit[:SHORT],
            "base_ref": event.base_branch,
            "is_default_branch": "true" if self._on_default_branch() else "false",
        }
        return handlebars.render(text, values, self.moment)

    def _on_default_branch(self) -> bool:
        named = any(word in self.event.name for word in ON_DEFAULT_BRANCH)
        return named or (bool(self.event.branch) and self.event.branch == self.default_branch)


_MAKERS: Mapping[str, Callable[[_Evaluation], Iterator[tuple[str, bool]]]] = {
    "schedule": _Evaluation.schedule,
    "semver": _Evaluation.version,
    "pep440": _Evaluation.version,
    "match": _Evaluation.match,
    "edge": _Evaluation.edge,
    "ref": _Evaluation.ref,
    "raw": _Evaluation.raw,
    "sha": _Evaluation.sha,
}


def _refused(line: str, message: str, remedy: str) -> UsageError:
    return UsageError(f"{line!r}: {message}", remedy=remedy)
