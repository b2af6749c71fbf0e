"""What the tasks that publish share: what a release is for, its checks, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bailing_tasks.tasks.building import print_commands
from bailing_tasks.tasks.events import read_event
from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.events import Event
    from bailing_tasks.references import Reference
    from bailing_tasks.release.checks import Check, Failed
    from bailing_tasks.release.model import BuiltImage, Plan, Seen
    from bailing_tasks.release.planning import Policy
    from bailing_tasks.release.registry import Registry
    from bailing_tasks.release.releasing import Release, Releaser
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.tags import TargetTags
    from bailing_tasks.tasks.building import Step


def events_of(run: Run, settings: Settings, named: Sequence[str]) -> tuple[Event, ...]:
    """Return the events that a release is for, all of one commit.

    Those that were named, else the one that GitHub describes; else what is checked out: the branch,
    and the version tags of its commit.

    Raises:
        UsageError: There is none that could be published, or they are of several commits.
    """
    from bailing_tasks.errors import UsageError

    texts = named or ([""] if at_github(named) else _checked_out(run, settings))
    events = tuple(dict.fromkeys(read_event(run, settings, text) for text in texts))
    for event in events:
        if event.number or not event.commit:
            raise UsageError(
                f"{event} is never published",
                remedy="name the push of a branch or of a tag: --event push:main",
            )
    if len({event.commit for event in events}) > 1:
        commits = ", ".join(f"{event}: {event.commit[:7]}" for event in events)
        raise UsageError("the events are of several commits", cause=commits)
    return events


def _checked_out(run: Run, settings: Settings) -> list[str]:
    """Return the events of what is checked out, as they are written by hand."""
    from bailing_tasks import git, versions

    tags = git.tags_at(run.root, git.head(run.root))
    known = [
        (found.order, tag) for tag in tags if (found := versions.parse(tag, settings.versions))
    ]
    # A release candidate that has become the release stays what it is.
    highest = [f"tag:{max(known)[1]}"] if known else []
    branch = git.current_branch(run.root)
    # Without any, reading the event says what to name.
    return [*([f"push:{branch}"] if branch else []), *highest] or [""]


def at_github(named: Sequence[str]) -> bool:
    """Whether the event is the one that GitHub's variables describe."""
    import os

    return (not named and bool(os.environ.get("GITHUB_EVENT_NAME"))) or list(named) == ["github"]


def push_plan(
    settings: Settings,
    planned: Mapping[Event, Sequence[TargetTags]],
    images: Sequence[BuiltImage],
    *,
    replace: bool,
) -> Plan:
    """Return the plan of a push.

    Args:
        settings: The workspace's settings.
        planned: For each event, the tags by the policy.
        images: The images.
        replace: Whether a version may be taken from another image.
    """
    from bailing_tasks import git
    from bailing_tasks.names import VERSION_LABEL
    from bailing_tasks.origin import DIRTY
    from bailing_tasks.release.model import PUSH, Plan
    from bailing_tasks.release.planning import release_tags
    from bailing_tasks.tagging import index_annotations

    events = list(planned)
    # What is a pre-release and a version, or two versions, says that it is the highest one.
    named = max(events, key=lambda event: _rank(event, settings))
    annotations = index_annotations(settings, named)
    if git.uncommitted(settings.root):
        annotations[VERSION_LABEL] += DIRTY
    return Plan(
        kind=PUSH,
        title=", ".join(map(str, events)),
        commit=named.commit,
        images=tuple(images),
        tags=release_tags(settings, planned, {image.key for image in images}),
        annotations=annotations,
        replace=replace,
    )


def _rank(event: Event, settings: Settings) -> tuple[bool, tuple[Any, ...]]:
    """Return what orders events by the versions that they are of; those of none come first."""
    from bailing_tasks import versions

    found = versions.parse(event.tag, settings.versions) if event.tag else None
    return bool(event.tag), (found.order,) if found else ()


def policy_of(releaser: Releaser, settings: Settings) -> Policy:
    """Return what says whether the tags of a push move."""
    from bailing_tasks.release.planning import Policy

    return Policy(releaser.registry, settings)


def releaser_of(run: Run) -> Releaser:
    """Return what carries out the releases of a run."""
    from bailing_tasks.release.registry import Registry
    from bailing_tasks.release.releasing import Releaser

    return Releaser(
        state=run.state,
        registry=Registry(run.console, run.settings().plain_http),
        engine_for=run.engine_for,
        console=run.console,
    )


def release(run: Run, releaser: Releaser, plan: Plan, policy: Policy, seen: Sequence[Seen]) -> None:
    """Carry out a push, and say what there is to pull."""
    before = {each.tag.name: each.digest for each in seen}
    with run.console.group(f"release: {plan.title}"):
        done = releaser.push(plan, before, policy)
    report(run, done)


def show_commands(run: Run, plan: Plan) -> None:
    """Print and report what a push would run."""
    from bailing_tasks.release.commands import commands

    print_commands(run, "release", tuple(commands(plan, run.engine_for)), "no image")


def files_of(run: Run, settings: Settings, targets: Sequence[Target]) -> dict[str, set[Path]]:
    """Return for each target what its builds read of their context."""
    from bailing_tasks.build_plan import context_files
    from bailing_tasks.refusals import checked

    found: dict[str, set[Path]] = {target.name: set() for target in targets}
    for recipe in checked(run.recipes(settings, *targets)):
        found[recipe.variant.target.name].update(context_files(settings, recipe, run.state))
    return found


def may_push(repositories: Iterable[Reference], registry: Registry) -> Iterator[Check]:
    """Yield a check for each repository: it is reachable, and this login may push to it."""

    def check(reference: Reference) -> str:
        registry.check(reference)
        return "this login may push to it"

    for reference in repositories:
        yield reference.repository, lambda reference=reference: check(reference)  # type: ignore[misc]


def verified(
    run: Run, settings: Settings, steps: Sequence[Step], images: Sequence[BuiltImage]
) -> Iterator[Check]:
    """Yield a check for each app image: it has passed those of `verify`, before or now."""
    for (plan, _), image in zip(steps, images, strict=True):
        if image.variant.target == settings.app:
            yield (
                f"{image.variant} verified",
                lambda plan=plan, image=image: _verify(run, settings, plan, image),  # type: ignore[misc]
            )


def _verify(run: Run, settings: Settings, plan: BuildPlan, image: BuiltImage) -> str:
    from bailing_tasks.build import check_platform
    from bailing_tasks.errors import EngineError, VerifyError
    from bailing_tasks.verified import passed_at, remember
    from bailing_tasks.verify import verify

    if at := passed_at(run.state, image.identity, settings.verify):
        return f"it passed on {at}"
    engine, variant = run.engine_for(image.variant.platform), image.variant
    try:
        check_platform(plan, engine)
    except EngineError as error:
        return f"not here: {error.cause}"
    builder = plan.recipe.bases.get(variant.of(settings.builder).key, "")
    result = verify(
        engine,
        image.name,
        builder,
        variant,
        settings=settings.verify,
        owner=run.state.workspace,
    )
    if failed := [f"{check.name} ({check.detail})" for check in result.checks if not check.ok]:
        raise VerifyError(
            f"{variant} is not what it has to be",
            cause="; ".join(failed),
            remedy="mend its Dockerfile, or [tool.bailing-tasks.verify]",
        )
    remember(run.state, image.identity, settings.verify)
    return f"{len(result.checks)} checks passed"


def require(failed: Sequence[Failed]) -> None:
    """End the run where a check has failed, by the first one."""
    if failed:
        raise failed[0].error


def show(run: Run, seen: Sequence[Seen]) -> None:
    """Show where each tag stands, and whether it moves from there."""
    from bailing_tasks.outcomes import short

    run.console.table(
        ("tag", "stands for", "moves", "why"),
        [
            (
                each.tag.name,
                short(each.digest) or "-",
                {True: "yes", False: "no", None: "perhaps"}[each.move.moves],
                f"{each.tag.rule}; {each.move.why}",
            )
            for each in seen
        ],
    )


def report(run: Run, done: Release) -> None:
    """Say what there is to pull: to people, to programs, and to GitHub's page of the job."""
    import os
    from pathlib import Path

    from bailing_tasks.release import summary

    for line in summary.lines(done):
        run.console.say(line)
    run.console.table(summary.HEADINGS, summary.rows(done))
    run.report("release", summary.document(done))
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(page).open("a", encoding="utf-8") as file:
                file.write(summary.markdown(done))
        except OSError as error:
            run.console.warn(f"GITHUB_STEP_SUMMARY could not be written\n{error}")
