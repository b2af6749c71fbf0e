"""Rules about what starts a workflow, against what its builds read. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from bailing_tasks import triggers
from bailing_tasks.events import PUSH
from bailing_tasks.workflows import patterns
from bailing_tasks.workflows.builds import Build, Finding
from bailing_tasks.workflows.facts import Facts, Reading
from bailing_tasks.workflows.model import FILTERED, PULL_REQUESTS, Trigger, Workflow, usable
from bailing_tasks.workflows.samples import example

EXAMPLES = 3
"""How many files a message names."""

SEVERAL = ("not-triggered",)
"""The rules that may find several things in one line."""

_OWN_FILES = ("pyproject.toml", "tasks.py", "noxfile.py", "images.lock")
"""What this project's tasks read themselves."""

_BAKE_FILES = (
    *("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
    *("docker-bake.json", "docker-bake.hcl"),
    *("docker-bake.override.json", "docker-bake.override.hcl"),
)
"""What `docker buildx bake` reads without being told (its reference, on --file)."""


def not_triggered(facts: Facts) -> Iterator[Finding]:
    """Find files that a build reads, and that start its workflow under no filter."""
    for workflow in facts.workflows:
        filters = list(workflow.path_filters())
        if not filters or _starts_always(workflow):
            continue
        first, name, _ = filters[0]
        line = first.lines[name]
        meant = [
            (kind, usable(patterns.meant(each.text, facts.files, found) for each in found))
            for _, kind, found in filters
        ]
        readings = list(_readings(facts, workflow))
        for build, reading in (*readings, *_below(facts, workflow, readings)):
            for place, files in _read_files(facts, build, reading):
                missed = [path for path in files if not _starts(meant, path)]
                if missed:
                    yield Finding(
                        workflow.path,
                        line,
                        "not-triggered",
                        f"{place} reads {_listed(missed)}, and a change there starts nothing",
                        f"add {_quoted(missed)} to `{name}`"
                        if name == "paths"
                        else f"take {_quoted(missed)} out of `{name}`",
                    )


def triggered_for_nothing(facts: Facts) -> Iterator[Finding]:
    """Find patterns of paths for files that no build of the workflow reads."""
    for workflow in facts.workflows:
        readings = list(_readings(facts, workflow))
        if not readings or not _only_builds(facts, workflow):
            continue
        seen = {path for build, _ in readings for path in facts.paths.get(build.own, ())}
        for _, name, found in workflow.path_filters():
            for pattern in found if name == "paths" else ():
                text = patterns.meant(pattern.text, facts.files)
                if text in seen or text.startswith(triggers.EXCLUDES) or not usable([text]):
                    continue
                seen.add(text)
                paths = [path for path in facts.files if triggers.matches(text, path)]
                if not any(
                    _is_used(facts, workflow, path) for path in paths or [example(text, "x")]
                ):
                    yield Finding(
                        workflow.path,
                        pattern.line,
                        "triggered-for-nothing",
                        f"{pattern.text!r} takes {_listed(paths) if paths else 'no file at all'}, "
                        "and no stage that is built here reads that",
                        "remove it, or copy the files in the Dockerfile",
                    )


def differing(facts: Facts) -> Iterator[Finding]:
    """Find filters of paths that a push has otherwise than a pull request."""
    for workflow in facts.workflows:
        push = workflow.triggers.get(PUSH)
        for other in (workflow.triggers.get(name) for name in PULL_REQUESTS):
            if push is None or other is None or _tags_only(push):
                continue
            for name in ("paths", "paths-ignore"):
                ours, theirs = push.patterns(name), other.patterns(name)
                if _normal(ours) != _normal(theirs):
                    yield Finding(
                        workflow.path,
                        other.lines.get(name, other.line),
                        "push-and-pull-request-differ",
                        f"`{name}` of push and {other.event} differ: {_difference(ours, theirs)}",
                        "give both the same patterns: what is merged is then what was tried",
                    )


def _tags_only(push: Trigger) -> bool:
    return "tags" in push.filters and not {"branches", "branches-ignore"} & set(push.filters)


def _normal(texts: Sequence[str]) -> Sequence[str]:
    """Return patterns without what makes no difference: their order, if none excludes."""
    excludes = any(text.startswith(triggers.EXCLUDES) for text in texts)
    return list(texts) if excludes else sorted(set(texts))


def _difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    parts = []
    for who, more in (("push", set(ours) - set(theirs)), ("pull request", set(theirs) - set(ours))):
        if more:
            parts.append(f"only {who} has {_quoted(sorted(more))}")
    return "; ".join(parts) or "they stand in another order"


def _starts_always(workflow: Workflow) -> bool:
    """Whether a push of a branch or a pull request starts a workflow, whatever has changed."""
    return any(
        not trigger.filters.keys() & {"paths", "paths-ignore"}
        and not (trigger.event == PUSH and _tags_only(trigger))
        for name, trigger in workflow.triggers.items()
        if name in FILTERED
    )


def _starts(filters: Iterable[tuple[str, Sequence[str]]], path: str) -> bool:
    """Whether a change of a file starts a workflow by one of its filters."""
    return any(triggers.includes(texts, path) == (name == "paths") for name, texts in filters)


def _readings(facts: Facts, workflow: Workflow) -> Iterator[tuple[Build, Reading]]:
    """Yield what each build reads that a change of files starts; each source once."""
    seen = set()
    for run in facts.runs(workflow):
        if run.event.name not in FILTERED or run.event.tag:
            continue
        for build in run.builds:
            if build.source.known and build.source not in seen:
                seen.add(build.source)
                yield build, facts.reading(build)


def _below(
    facts: Facts, workflow: Workflow, readings: Sequence[tuple[Build, Reading]]
) -> Iterator[tuple[Build, Reading]]:
    """Yield what those read that builds are built on, unless another workflow's end starts this."""
    if "workflow_run" in workflow.triggers:
        return
    built = {reading.support[0] for _, reading in readings if reading.support}
    for build, _ in readings:
        target = facts.target(build)
        for below in facts.below.get(target.name, ()) if target else ():
            if below.support and below.support[0] not in built:
                built.add(below.support[0])
                yield build, below


def _read_files(
    facts: Facts, build: Build, reading: Reading
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the files of the Dockerfile itself and of each instruction, and where it stands."""
    for dockerfile in (path for path in reading.support[:1] if path in facts.files):
        yield f"the build in line {build.line}", [dockerfile]
    for each in reading.inputs:
        yield f"{reading.support[0]}:{each.line} ({each.keyword})", each.files


def _only_builds(facts: Facts, workflow: Workflow) -> bool:
    """Whether all that a workflow does with files is to build images that are known.

    A job that checks the repository out and builds nothing may read anything.
    """
    builds = [build for run in facts.runs(workflow) for build in run.builds]
    building = {build.job for build in builds}
    unknown = (build.dockerfile and not build.source.known for build in builds)
    if any(unknown) or any(facts.reading(build).problem for build in builds):
        return False
    return all(
        name in building
        or not any(step.get("uses").value.startswith("actions/checkout") for step in job.steps)
        for name, job in workflow.jobs.items()
    )


def _is_used(facts: Facts, workflow: Workflow, path: str) -> bool:
    """Whether a build reads a file, or the workflow itself, or the tasks that it runs."""
    readings = list(_readings(facts, workflow))
    below = _below(facts, workflow, readings)
    if any(reading.reads(path) for _, reading in (*readings, *below)):
        return True
    own = [posixpath.join(facts.around.prefix, name) for name in _OWN_FILES]
    if path in own and any(build.own for build, _ in readings):
        return True
    called = any(build.path == path for build, _ in readings)
    jobs = workflow.details.get("jobs")
    if posixpath.basename(path) in _BAKE_FILES and jobs.mentions("bake"):
        return True
    return called or path == workflow.path or jobs.mentions(path)


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - EXAMPLES
    return ", ".join(paths[:EXAMPLES]) + (f" and {more} more" if more > 0 else "")


def _quoted(texts: Sequence[str]) -> str:
    return _listed([f"`{text}`" for text in texts])
