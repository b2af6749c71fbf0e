"""Events that stand for all that a workflow is started by. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bailing_tasks import triggers
from bailing_tasks.events import BRANCHES, PULLS, PUSH, TAGS, Event
from bailing_tasks.workflows.model import PULL_REQUESTS, Pattern, Trigger, Workflow, fault

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""Stands for whatever commit an event is about."""

TOPICS = ("topic", "feature/topic")
_VERSIONS = (("1.2.3", "2.3", "3"), ("1.2.4", "2.4", "4"))
_VERSION = re.compile(r"v?\d+\.\d+\.\d+")
_WILD = re.compile(r"\*\*/|\*+|\[([^\]])[^\]]*\]|\\(.)|[?+]")
_EVERYTHING = "**"


@dataclass(frozen=True)
class Sample:
    """One event; for a Git tag also the pattern that lets it in, and whether it has wildcards."""

    event: Event
    pattern: Pattern | None = None


def samples(workflow: Workflow, default_branch: str) -> Iterator[Sample]:
    """Yield events that start a workflow: each kind that rules tell apart.

    A push of the default branch, of a topic branch, of two Git tags for each pattern of tags; a
    pull request; any other event on the default branch.

    Args:
        workflow: The workflow.
        default_branch: The branch that other events are for.
    """
    for trigger in workflow.triggers.values():
        if trigger.event == PUSH:
            yield from _pushes(trigger, default_branch)
        elif trigger.event in PULL_REQUESTS:
            for branch in _branches(trigger, default_branch)[:1]:
                own = trigger.event == PULL_REQUESTS[0]
                ref = f"{PULLS}1/merge" if own else BRANCHES + branch
                event = Event(name=trigger.event, ref=ref, commit=COMMIT, base_branch=branch)
                yield Sample(event)
        elif trigger.event == "release":
            yield Sample(Event(name=trigger.event, ref=f"{TAGS}v1.2.3", commit=COMMIT))
        elif trigger.event != "workflow_call":
            ref = BRANCHES + default_branch
            yield Sample(Event(name=trigger.event, ref=ref, commit=COMMIT))


def _pushes(trigger: Trigger, default_branch: str) -> Iterator[Sample]:
    of_branches = {"branches", "branches-ignore"} & set(trigger.filters)
    of_tags = {"tags", "tags-ignore"} & set(trigger.filters)
    if of_branches or not of_tags:
        for branch in _branches(trigger, default_branch):
            yield Sample(Event(name=PUSH, ref=BRANCHES + branch, commit=COMMIT))
    if not of_tags and of_branches:
        return
    patterns = trigger.filters.get("tags") or (Pattern(_EVERYTHING, trigger.line),)
    for pattern in patterns:
        for words in _VERSIONS:
            if name := _tag(pattern.text, words, trigger):
                commit = words[-1] + COMMIT[1:]
                yield Sample(Event(name=PUSH, ref=TAGS + name, commit=commit), pattern)


def _branches(trigger: Trigger, default_branch: str) -> list[str]:
    """Return the default branch and topic branches, as far as the filter lets them in."""
    wished = [example(text, "topic") for text in trigger.patterns("branches")]
    candidates = dict.fromkeys((default_branch, *TOPICS, *wished))
    found = [name for name in candidates if _passes(trigger, "branches", name)]
    return [name for name in found if name == default_branch] + [
        name for name in found if name != default_branch
    ]


def _tag(pattern: str, words: Sequence[str], trigger: Trigger) -> str:
    """Return a Git tag that a pattern lets in, a version if it can be one; `""` for none."""
    if pattern.startswith(triggers.EXCLUDES) or fault(pattern):
        return ""
    names = [f"v{words[0]}", words[0], *(example(pattern, word) for word in words)]
    found = [
        name for name in names if triggers.matches(pattern, name) and _passes(trigger, "tags", name)
    ]
    versions = [name for name in found if _VERSION.fullmatch(name)]
    return (versions or found or [""])[0]


def _passes(trigger: Trigger, kind: str, name: str) -> bool:
    wanted, ignored = trigger.patterns(kind), trigger.patterns(f"{kind}-ignore")
    if kind in trigger.filters:
        return triggers.includes(wanted, name)
    return not triggers.includes(ignored, name)


def example(pattern: str, word: str) -> str:
    """Return a text that a pattern matches, as a rule, with a word where anything may stand."""

    def fill(match: re.Match[str]) -> str:
        if match[0].startswith("*"):
            return "" if match[0].endswith("/") else word
        return str(match[1] or match[2] or "")

    return _WILD.sub(fill, pattern.removeprefix(triggers.EXCLUDES))
