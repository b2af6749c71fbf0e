"""Rules about what is pushed, and for which events. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from bailing_tasks.events import PUSH
from bailing_tasks.workflows.builds import Build, Finding, Run
from bailing_tasks.workflows.expressions import UNKNOWN
from bailing_tasks.workflows.facts import Facts, Sampled
from bailing_tasks.workflows.model import PULL_REQUESTS


def from_pull_request(facts: Facts) -> Iterator[Finding]:
    """Find images that are pushed from a pull request."""
    for run, build in facts.builds():
        if run.event.name in PULL_REQUESTS and build.published:
            latest = ", `latest` among its tags" if build.moves_latest else ""
            yield Finding(
                build.path,
                build.line_of("push"),
                "pushed-from-pull-request",
                f"{_what(build)} is pushed from a pull request ({run.event.name}){latest}",
                "push only if `github.event_name` is not a pull request's",
            )


def latest_from_topic(facts: Facts) -> Iterator[Finding]:
    """Find `latest` pushed from a branch that is not the default one."""
    default = facts.around.settings.default_branch
    for run, build in facts.builds():
        topic = run.event.name == PUSH and run.event.branch not in ("", default)
        if topic and build.published and build.moves_latest:
            yield Finding(
                build.path,
                build.line_of("tags"),
                "latest-from-topic-branch",
                f"a push of a topic branch, such as {run.event.branch!r}, moves `latest` of "
                f"{_what(build)}",
                f"give it that tag only on {default!r}: "
                "type=raw,value=latest,enable={{is_default_branch}}",
            )


def of_git_tags(facts: Facts) -> Iterator[Finding]:
    """Find Git tags that give an image no tag, or each the same."""
    tagged = [each for each in facts.sampled if each.pattern]
    for each in tagged:
        for build in each.run.builds:
            if build.published and build.tags_known and not build.names:
                yield _without(each, build)
    for first, second in itertools.pairwise(tagged):
        same = first.pattern is second.pattern and first.run.workflow is second.run.workflow
        if same and first.run.event != second.run.event:
            yield from _same(first, second.run)


def _without(sampled: Sampled, build: Build) -> Finding:
    return Finding(
        build.path,
        build.line_of("tags"),
        "no-tag-for-git-tag",
        f"the Git tag {sampled.run.event.tag!r} ({_pattern(sampled)}) gives {_what(build)} no tag, "
        "and the push fails or has no name",
        "name Git tags as versions, such as v1.2.3, or add type=ref,event=tag",
    )


def _same(first: Sampled, other: Run) -> Iterator[Finding]:
    """Yield the builds of a Git tag whose tags are those of another one."""
    others = {(build.job, build.step, build.names) for build in other.builds if build.published}
    for build in first.run.builds:
        known = build.tags_known and UNKNOWN not in "".join(build.names)
        moves = (build.job, build.step, build.names) in others
        if build.published and known and build.names and moves:
            yield Finding(
                build.path,
                build.line_of("tags"),
                "same-tag-for-git-tags",
                f"each Git tag ({_pattern(first)}) pushes {_what(build)} under the same names: "
                f"{', '.join(build.names)}",
                "make a tag of the Git tag, as type=semver,pattern={{version}} does",
            )


def _pattern(sampled: Sampled) -> str:
    assert sampled.pattern
    return f"`{sampled.pattern.text}` in line {sampled.pattern.line}"


def _what(build: Build) -> str:
    if build.dockerfile and UNKNOWN not in build.dockerfile:
        return f"the image of {build.dockerfile}"
    return build.names[0].replace(UNKNOWN, "…") if build.names else "an image"
