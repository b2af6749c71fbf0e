"""What a workflow file says, before any event: triggers, jobs, steps. Pure.

The shapes are those of GitHub's "Workflow syntax for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bailing_tasks import triggers
from bailing_tasks.errors import UsageError
from bailing_tasks.events import PULL_REQUEST, PUSH
from bailing_tasks.workflows.expressions import has_expression
from bailing_tasks.workflows.nodes import Node, parse

PULL_REQUESTS = (PULL_REQUEST, "pull_request_target")
FILTERED = (PUSH, *PULL_REQUESTS)
"""The events that filters of branches and paths are for."""

FILTERS = ("branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore")


@dataclass(frozen=True)
class Pattern:
    """One pattern of a filter, and its line."""

    text: str
    line: int


@dataclass(frozen=True)
class Trigger:
    """One event of a workflow's `on`.

    Attributes:
        event: Its name.
        line: Where it stands.
        filters: For each filter that is there, its patterns.
        lines: Where each filter stands.
        details: All that is said about it.
    """

    event: str
    line: int
    filters: Mapping[str, tuple[Pattern, ...]]
    lines: Mapping[str, int]
    details: Node

    def patterns(self, name: str) -> list[str]:
        """Return a filter's patterns that are well-formed; none where it is not there."""
        return usable(pattern.text for pattern in self.filters.get(name, ()))


@dataclass(frozen=True)
class Job:
    """One job: its name in the file, the jobs it waits for, its steps, and all that is said."""

    name: str
    needs: tuple[str, ...]
    steps: tuple[Node, ...]
    details: Node


@dataclass(frozen=True)
class Workflow:
    """One workflow file.

    Attributes:
        path: From the repository's root.
        name: What other workflows call it by.
        triggers: By event.
        jobs: By name.
        details: All that is said.
    """

    path: str
    name: str
    triggers: Mapping[str, Trigger]
    jobs: Mapping[str, Job]
    details: Node

    def path_filters(self) -> Iterator[tuple[Trigger, str, tuple[Pattern, ...]]]:
        """Yield each filter of paths: its trigger, its name, its patterns."""
        for trigger in self.triggers.values():
            for name in ("paths", "paths-ignore"):
                if name in trigger.filters:
                    yield trigger, name, trigger.filters[name]

    def waits_for(self, job: str, other: str) -> bool:
        """Whether a job starts only after another one has ended."""
        todo, seen = [job], {job}
        while todo:
            known = self.jobs.get(todo.pop())
            new = [name for name in (known.needs if known else ()) if name not in seen]
            if other in new:
                return True
            seen.update(new)
            todo += new
        return False


def fault(pattern: str) -> str:
    """Return what is wrong with the form of a pattern, or `""`."""
    try:
        triggers.matches(pattern, "")
    except UsageError as error:
        return error.cause
    return ""


def usable(patterns: Iterable[str]) -> list[str]:
    """Return the patterns that are well-formed."""
    return [pattern for pattern in patterns if not fault(pattern)]


def read(text: str, path: str) -> Workflow:
    """Read a workflow file.

    Raises:
        UsageError: It is not YAML, is of another shape, or has an expression in a filter.
    """
    root = parse(text, path)
    if not root.items:
        raise _shape(path, 1, "a workflow is a mapping")
    jobs = root.get("jobs")
    if not jobs.items:
        raise _shape(path, jobs.line or 1, "`jobs` has to be a mapping of jobs")
    started = {trigger.event: trigger for trigger in _triggers(root, path)}
    if not started:
        raise _shape(path, root.get("on").line or 1, "`on` has to name an event")
    return Workflow(
        path=path,
        name=root.get("name").value or path,
        triggers=started,
        jobs={name: _job(name, node, path) for name, node in jobs.items.items()},
        details=root,
    )


def _triggers(root: Node, path: str) -> Iterator[Trigger]:
    events = root.get("on")
    for each in events.each:
        if each.text is None:
            raise _shape(path, each.line, "`on` is a list of names, or a mapping")
        yield Trigger(each.value, each.line, {}, {}, Node(line=each.line))
    for name, node in events.items.items():
        filters = {}
        for key in FILTERS if name in FILTERED else ():
            if key in node.items:
                filters[key] = tuple(_patterns(node.get(key), f"on.{name}.{key}", path))
        lines = {key: node.get(key).line for key in filters}
        yield Trigger(name, node.line, filters, lines, node)


def _patterns(node: Node, place: str, path: str) -> Iterator[Pattern]:
    if node.items:
        raise _shape(path, node.line, f"`{place}` has to be a list of patterns")
    for each in node.each:
        if each.text is None:
            raise _shape(path, each.line, f"`{place}` has to be a list of patterns")
        if has_expression(each.text):
            raise UsageError(
                f"{path}:{each.line}: an expression stands in `{place}`: {each.text}",
                cause="GitHub evaluates none there: it decides before a run exists",
                remedy="write the pattern itself",
            )
        yield Pattern(each.text, each.line)


def _job(name: str, node: Node, path: str) -> Job:
    steps = node.get("steps")
    if not node.items:
        raise _shape(path, node.line, f"the job {name!r} has to be a mapping")
    if steps and steps.entries is None:
        raise _shape(path, steps.line, f"the steps of {name!r} have to be a list")
    for step in steps.entries or ():
        if not step.items:
            raise _shape(path, step.line, f"a step of {name!r} has to be a mapping")
    needs = tuple(each.value for each in node.get("needs").each)
    return Job(name, needs, steps.entries or (), node)


def _shape(path: str, line: int, cause: str) -> UsageError:
    return UsageError(
        f"{path}:{line} is no workflow as GitHub takes them",
        cause=cause,
        remedy="see GitHub's workflow syntax",
    )
