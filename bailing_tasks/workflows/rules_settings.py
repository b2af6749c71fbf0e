"""Rules about what is built, against the Dockerfiles and the settings. Pure."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator

from bailing_tasks import triggers
from bailing_tasks.settings import FROM_FILE, Target
from bailing_tasks.workflows.builds import Build, Finding, repository
from bailing_tasks.workflows.expressions import UNKNOWN, is_known
from bailing_tasks.workflows.facts import Facts
from bailing_tasks.workflows.model import usable


def cannot_build(facts: Facts) -> Iterator[Finding]:
    """Find builds of a Dockerfile or stage that is not there, or that BuildKit would refuse."""
    names = {
        "no-such-dockerfile": "dockerfile",
        "no-such-stage": "stage",
        "no-such-context": "context",
    }
    for _, build in facts.builds():
        if problem := facts.reading(build).problem:
            line = build.line_of(names.get(problem.rule, "dockerfile"))
            yield Finding(build.path, line, problem.rule, problem.message, problem.remedy)


def refused(facts: Facts) -> Iterator[Finding]:
    """Find tags that docker/metadata-action would refuse, or take no notice of."""
    for _, build in facts.builds():
        if error := build.refused:
            yield Finding(
                build.path,
                build.line_of("tags"),
                "refused-tags",
                ": ".join(filter(None, (error.message, error.cause))),
                error.remedy or "see the inputs of docker/metadata-action",
            )


def otherwise_built(facts: Facts) -> Iterator[Finding]:
    """Find builds of a target with another stage or context than the settings name."""
    for _, build in facts.builds():
        target = facts.target(build)
        if target is None or build.own or facts.reading(build).problem or not build.source.known:
            continue
        if target.stage and build.stage != target.stage:
            given = f"the stage {build.stage!r}" if build.stage else "no stage"
            yield Finding(
                build.path,
                build.line_of("stage"),
                "other-stage",
                f"{given} of {build.dockerfile} is named; the settings build {target.stage!r}",
                f"name it: `target: {target.stage}`, or `--target {target.stage}`",
            )
        context = posixpath.normpath(posixpath.join(facts.around.prefix, target.context))
        if build.context != context:
            yield Finding(
                build.path,
                build.line_of("context"),
                "other-context",
                f"{build.dockerfile} is built with the context {build.context!r}; "
                f"the settings have {context!r}",
                f"build it with {context!r}, or change {target.name}.context in the settings",
            )


def otherwise_named(facts: Facts) -> Iterator[Finding]:
    """Find images of a target that are pushed to another repository than the settings name."""
    for _, build in facts.builds():
        target = facts.target(build)
        if target is None or not target.repository or build.pushes is False or build.own:
            continue
        known = [name for name in map(repository, build.names) if is_known(name)]
        wanted = repository(target.repository)
        if known and wanted not in known:
            yield Finding(
                build.path,
                build.line_of("tags"),
                "other-image-name",
                f"{target.name} is pushed as {', '.join(dict.fromkeys(known))}; "
                f"the settings publish it as {wanted}",
                f"name it {wanted}, or set {target.name}.repository in [tool.bailing-tasks]",
            )


def on_another_builder(facts: Facts) -> Iterator[Finding]:
    """Find builds that are told a builder image that neither the settings nor their run knows."""
    for run, build in facts.builds():
        target = facts.target(build)
        named = build.build_args.get(target.builder_arg, "") if target else ""
        builder = facts.around.settings.builder
        if not target or not named or build.own or not builder.repository:
            continue
        known = builder.repositories.union(
            repository(name) for each in run.builds for name in each.tags
        )
        if named in build.contexts or not is_known(repository(named)) or repository(named) in known:
            continue
        yield Finding(
            build.path,
            build.line_of("build-args"),
            "other-builder",
            f"{build.dockerfile} is built on {named}; the settings publish the builder as "
            f"{builder.repository}",
            f"set {target.builder_arg} to {builder.repository}, or builder.repository in the "
            "settings",
        )


def platforms(facts: Facts) -> Iterator[Finding]:
    """Find images that a workflow pushes for other platforms than the settings name."""
    pushed: dict[tuple[str, tuple[str, str, str]], list[Build]] = defaultdict(list)
    for run, build in facts.builds():
        if build.pushes is not False and build.source.known:
            pushed[run.workflow.path, build.image].append(build)
    wanted = {str(platform) for platform in facts.around.settings.platforms}
    built = {key: _union(builds) for key, builds in pushed.items()}
    for (path, image), found in built.items():
        missing, more = wanted - found, found - wanted
        if UNKNOWN in found or not (missing or more):
            continue
        elsewhere = sorted(
            other for (other, _), names in built.items() if other != path and names & missing
        )
        first = min(pushed[path, image], key=lambda build: (build.path, build.line))
        yield Finding(
            first.path,
            first.line_of("platforms"),
            "platforms",
            f"{image[0]} is pushed for {_listed(found)}; the settings have {_listed(wanted)}"
            + (f", and {', '.join(dict.fromkeys(elsewhere))} builds more" if elsewhere else ""),
            "build it for the same platforms everywhere, or change `platforms` in the settings",
        )


def _union(builds: Iterable[Build]) -> set[str]:
    return {name for build in builds for name in build.platforms}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def settings_triggers(facts: Facts) -> Iterator[Finding]:
    """Find files that a target reads, and that the triggers somebody gave it do not take."""
    settings = facts.around.settings
    seen = set()
    for _, build in facts.builds():
        target = facts.target(build)
        if target is None or target.name in seen or facts.reading(build).problem:
            continue
        seen.add(target.name)
        if settings.origin(target, "triggers") == FROM_FILE:
            yield from _untaken(facts, build, target)


def _untaken(facts: Facts, build: Build, target: Target) -> Iterator[Finding]:
    texts = usable(target.triggers)
    files = sorted(facts.reading(build).files & set(facts.files))
    prefix = f"{facts.around.prefix}/" if facts.around.prefix else ""
    support = facts.reading(build).support[1:]
    missed = [
        path
        for path in files
        if path not in support and not triggers.includes(texts, path.removeprefix(prefix))
    ]
    if missed:
        yield Finding(
            f"{prefix}{FROM_FILE}",
            facts.lines.get(target.name, 1),
            "settings-triggers",
            f"{target.name}.triggers take no change of {', '.join(missed[:3])}, "
            f"which {build.dockerfile} reads",
            f"add it to {target.name}.triggers in [tool.bailing-tasks]",
        )
