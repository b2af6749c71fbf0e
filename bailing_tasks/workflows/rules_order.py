"""Rules about builds that meet: an image that another needs, a cache that two write. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bailing_tasks.workflows.builds import Build, Finding, Run, repository
from bailing_tasks.workflows.expressions import UNKNOWN
from bailing_tasks.workflows.facts import Facts
from bailing_tasks.workflows.model import Workflow

_IMAGE = "docker-image://"


def not_waited_for(facts: Facts) -> Iterator[Finding]:
    """Find builds on an image that another job pushes for the same event, and that do not wait."""
    for run, build in facts.builds():
        if not build.runs or build.own:
            continue
        needed = _needed(facts, build)
        for other, maker in facts.builds():
            if other.event != run.event or not needed & _made(maker):
                continue
            if fault := _disorder(run, build, other, maker):
                yield Finding(
                    build.path,
                    build.line,
                    "builder-not-waited-for",
                    f"{build.dockerfile} is built on {sorted(needed & _made(maker))[0]}, "
                    f"which {maker.path}:{maker.line} pushes for the same event, and {fault}",
                    "let the job wait: `needs` in one workflow, `workflow_run` between two",
                )


def _needed(facts: Facts, build: Build) -> frozenset[str]:
    named = (text.removeprefix(_IMAGE) for text in build.contexts.values() if _IMAGE in text)
    return facts.reading(build).images | frozenset(map(repository, named))


def _made(build: Build) -> frozenset[str]:
    return frozenset(map(repository, build.names))


def _disorder(run: Run, build: Build, other: Run, maker: Build) -> str:
    """Return why a build may come before, or beside, the one whose image it needs; `""` if not."""
    if run.workflow is not other.workflow:
        if not maker.published or _follows(run.workflow, other.workflow):
            return ""
        return "the two workflows run beside each other"
    if build.job == maker.job:
        before = (maker.step, maker.line) < (build.step, build.line)
        # One bake, or one line of a matrix, orders what it builds itself.
        together = (maker.step, maker.line) == (build.step, build.line)
        return "" if before or together else "that step comes later"
    if not maker.published or run.workflow.waits_for(build.job, maker.job):
        return ""
    return f"the job {build.job!r} does not wait for {maker.job!r}"


def _follows(workflow: Workflow, other: Workflow) -> bool:
    """Whether a workflow is started when another one has ended."""
    trigger = workflow.triggers.get("workflow_run")
    names = trigger.details.get("workflows").each if trigger else ()
    return other.name in {node.value for node in names}


def shared_cache(facts: Facts) -> Iterator[Finding]:
    """Find caches that two images, or two platforms of one image, write."""
    writers: dict[str, list[Build]] = defaultdict(list)
    for _, build in facts.builds():
        for cache in build.caches:
            if UNKNOWN not in cache:
                writers[cache].append(build)
    for cache, builds in writers.items():
        for build in builds:
            found = [(reason, each) for each in builds if (reason := _clash(build, each))]
            if not found:
                continue
            reason, each = min(found, key=lambda pair: (pair[0], pair[1].path, pair[1].line))
            yield Finding(
                build.path,
                build.line_of("cache"),
                "shared-cache",
                f"the cache {cache} is written for {reason}; the other is {_place(each)}",
                "give each image and architecture a scope or ref of its own",
            )


def _clash(build: Build, other: Build) -> str:
    """Return what two builds that write one cache are; `""` where they may."""
    both = f"{build.dockerfile}{other.dockerfile}{build.platforms}{other.platforms}"
    if repr(UNKNOWN)[1:-1] in both or UNKNOWN in both:
        return ""
    if build.image != other.image:
        return "two images"
    apart = not set(build.platforms) & set(other.platforms)
    return f"two architectures ({_list(build, other)})" if apart else ""


def _list(*builds: Build) -> str:
    return ", ".join(sorted({name for build in builds for name in build.platforms}))


def _place(build: Build) -> str:
    return f"{build.path}:{build.line_of('cache')}, {build.dockerfile} for {_list(build)}"
