"""Patterns that do not mean what they seem to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bailing_tasks import triggers
from bailing_tasks.workflows.builds import Finding
from bailing_tasks.workflows.facts import Facts
from bailing_tasks.workflows.model import (
    FILTERS,
    Pattern,
    Trigger,
    Workflow,
    fault,
    usable,
)

_WILD = "*?+["
_REFS = {"branches": "refs/heads/", "tags": "refs/tags/"}


def meant(text: str, files: Sequence[str], beside: Sequence[Pattern] = ()) -> str:
    """Return the pattern that a pattern of paths was probably meant to be; most are what they are.

    Args:
        text: The pattern.
        files: The files of the repository.
        beside: The patterns of its list, where a star may be meant to go deeper.
    """
    found = text
    for repaired, _ in _repairs(text, files, beside):
        found = repaired
    return found


def misleading(facts: Facts) -> Iterator[Finding]:
    """Find patterns that take other files, branches or tags than they seem to."""
    for workflow in facts.workflows:
        for trigger in workflow.triggers.values():
            yield from _refs(workflow, trigger)
            for name in ("paths", "paths-ignore"):
                yield from _paths(facts, workflow, trigger.filters.get(name, ()))


def refused(facts: Facts) -> Iterator[Finding]:
    """Find filters that GitHub refuses, or that never count."""
    for workflow in facts.workflows:
        for trigger in workflow.triggers.values():
            for name in FILTERS:
                yield from _malformed(workflow, name, trigger.filters.get(name, ()))
            for kind in ("paths", "branches", "tags"):
                if {kind, f"{kind}-ignore"} <= set(trigger.filters):
                    yield Finding(
                        workflow.path,
                        trigger.lines[f"{kind}-ignore"],
                        f"{kind}-and-{kind}-ignore",
                        f"`{kind}` and `{kind}-ignore` exclude each other for {trigger.event}",
                        f"keep `{kind}`, and exclude by patterns with a leading `!`",
                    )


def _malformed(workflow: Workflow, name: str, found: Sequence[Pattern]) -> Iterator[Finding]:
    included = False
    for pattern in found:
        if wrong := fault(pattern.text):
            message = f"{pattern.text!r} is no pattern of GitHub's: {wrong}"
            remedy = "put a backslash before a character that is meant as such"
            yield Finding(workflow.path, pattern.line, "malformed-pattern", message, remedy)
        if pattern.text.startswith(triggers.EXCLUDES) and not included:
            message = f"{pattern.text!r} excludes something before `{name}` includes anything"
            remedy = "put a pattern that includes before it: the last one that matches decides"
            yield Finding(workflow.path, pattern.line, "exclusion-first", message, remedy)
        included = included or not pattern.text.startswith(triggers.EXCLUDES)


def _refs(workflow: Workflow, trigger: Trigger) -> Iterator[Finding]:
    for name, prefix in _REFS.items():
        for pattern in (*trigger.filters.get(name, ()), *trigger.filters.get(f"{name}-ignore", ())):
            body = pattern.text.removeprefix(triggers.EXCLUDES)
            if body.startswith(prefix):
                yield _finding(
                    workflow,
                    pattern,
                    f"{name} are matched without {prefix}",
                    pattern.text.replace(prefix, "", 1),
                )


def _paths(facts: Facts, workflow: Workflow, found: Sequence[Pattern]) -> Iterator[Finding]:
    read = sorted(
        set(facts.files).intersection(
            path
            for run in facts.runs(workflow)
            for build in run.builds
            for path in facts.reading(build).files
        )
    )
    for pattern in found:
        repairs = list(_repairs(pattern.text, facts.files, found, read))
        if repairs:
            reasons = "; ".join(reason for _, reason in repairs)
            yield _finding(workflow, pattern, reasons, repairs[-1][0])


def _finding(workflow: Workflow, pattern: Pattern, reason: str, instead: str) -> Finding:
    return Finding(
        workflow.path,
        pattern.line,
        "misleading-pattern",
        f"{pattern.text!r} does not mean what it seems: {reason}",
        f"write {instead!r}",
    )


def _repairs(
    text: str, files: Sequence[str], beside: Sequence[Pattern], read: Sequence[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield a pattern mended step by step, each with its reason."""
    mark = triggers.EXCLUDES if text.startswith(triggers.EXCLUDES) else ""
    body = text.removeprefix(mark)
    if body.startswith(("./", "/")):
        body = body.removeprefix(".").lstrip("/")
        yield mark + body, "paths start at the repository's root, without ./ or /"
    if body.endswith("/"):
        body += "**"
        yield mark + body, "no path ends with /"
    if fault(mark + body):
        return
    if not set(body) & set(_WILD):
        if body not in files and any(path.startswith(f"{body}/") for path in files):
            body += "/**"
            yield mark + body, "the name of a folder takes no file in it"
        same = [path for path in files if path.lower() == body.lower()]
        if same and body not in files:
            yield mark + same[0], "capital letters count"
    elif not mark and "*" in body and "**" not in body:
        deeper = _deeper(body)
        texts = usable([each.text for each in beside])
        if any(
            triggers.matches(deeper, path) and not triggers.includes(texts, path)
            for path in (files if read is None else read)
            if not triggers.matches(body, path)
        ):
            yield deeper, "a single * stops at /"


def _deeper(body: str) -> str:
    """Return a pattern whose last part is looked for in all folders below as well."""
    folder, slash, last = body.rpartition("/")
    return f"{folder}{slash}**" if last == "*" else f"{folder}{slash}**/{last}"
