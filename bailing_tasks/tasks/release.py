"""The tasks that publish: push-builder, push-app, push, release-status, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from bailing_tasks.tasks.asking import ask
from bailing_tasks.tasks.building import foreseen, named_target, print_commands
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.events import show_tags
from bailing_tasks.tasks.pointing import report_names
from bailing_tasks.tasks.releasing import (
    at_github,
    events_of,
    files_of,
    may_push,
    policy_of,
    push_plan,
    release,
    releaser_of,
    report,
    require,
    show,
    show_commands,
    verified,
)
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bailing_tasks.settings import Settings, Target

_OPTIONS = ("event", "allow_dirty", "replace", "yes", "json", "dry_run")


def _publishing(name: str, what: str, targets: Callable[[Run, Settings], Sequence[Target]]) -> Any:
    """Return a task that publishes some targets."""

    def publish(
        _context: Context,
        event: list[str],
        allow_dirty: bool = False,
        replace: bool = False,
        yes: bool = False,
        json: bool = False,
        dry_run: bool = False,
    ) -> None:
        run = current(json=json, dry_run=dry_run)
        settings = run.settings(["all"], ["all"])
        _push(run, settings, targets(run, settings), event, allow_dirty, replace, yes)

    publish.__doc__ = f"Publish {what} for all platforms and Pythons, under the tags of the policy."
    return command(*_OPTIONS, name=name, repeatable=["event"])(publish)


push_builder = _publishing("push-builder", "the builder", lambda run, settings: [settings.builder])
push_app = _publishing("push-app", "the app", lambda run, settings: [settings.app])
push = _publishing("push", "builder, app and services", Run.targets)


@command("json", name="release-status")
def release_status(_context: Context, json: bool = False) -> None:
    """Read the journal of the last release against the registry."""
    from dataclasses import asdict

    from bailing_tasks.outcomes import short
    from bailing_tasks.release.journal import journals
    from bailing_tasks.release.registry import Registry
    from bailing_tasks.release.status import status

    run = current(json=json)
    found = journals(run.state)
    if not found:
        run.console.say("nothing was released from this workspace yet")
        run.report("release-status", {"release": None})
        return
    release = status(found[0], Registry(run.console, run.settings().plain_http))
    end = "finished" if release.finished else "stopped halfway"
    run.console.say(f"{release.title}, begun {release.begun[:19]}: {end}")
    every, uploaded = release.images
    run.console.say(f"images uploaded: {uploaded} of {every}")
    run.console.table(
        ("tag", "status", "release", "registry"),
        [
            (tag.name, tag.status, short(tag.wanted) or "-", short(tag.found) or "-")
            for tag in release.tags
        ],
    )
    run.report("release-status", {"release": asdict(release)})
    release.check()


@command("to", "target", "yes", "json", "dry_run")
def rollback(
    _context: Context,
    to: str,
    target: str = "",
    yes: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Let `latest` and what else moves go back to a version that is in the registry."""
    from bailing_tasks import process
    from bailing_tasks.release.checks import passed
    from bailing_tasks.release.model import Seen, check_repositories
    from bailing_tasks.release.planning import rollback as plan_rollback
    from bailing_tasks.tag_moves import Move

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(["all"], ["all"])
    targets = [named_target(settings, target)] if target else settings.targets
    check_repositories(targets)
    releaser = releaser_of(run)
    plan, indexes = plan_rollback(settings, to, releaser.registry, targets)
    for each in targets:
        for python in settings.pythons_of(each):
            if (each.name, python) not in indexes:
                which = f"{each.name} (Python {python})" if python else each.name
                run.console.warn(f"{which} is not published as {to}: it stays")
    if not run.dry_run:
        run.hold()
        require(passed(may_push(plan.repositories, releaser.registry), run.console))
    goes_back = Move(True, "it goes back")
    seen = [
        Seen(tag=tag, digest=releaser.registry.digest(tag.reference), move=goes_back)
        for tag in plan.tags
    ]
    show(run, seen)
    if run.dry_run:
        create = ("docker", "buildx", "imagetools", "create", "--tag")
        lines = [
            process.quote([*create, str(tag.reference), str(indexes[tag.key].reference)])
            for tag in plan.tags
        ]
        print_commands(run, "rollback", lines, "no tag")
        return
    ask(run, f"let {len(plan.tags)} tags go back to {to}?", yes=yes, does="publishes")
    before = {each.tag.name: each.digest for each in seen}
    report(run, releaser.move(plan, before, indexes, lambda tag: goes_back))


def _push(
    run: Run,
    settings: Settings,
    targets: Sequence[Target],
    named: Sequence[str],
    allow_dirty: bool,
    replace: bool,
    yes: bool,
) -> None:
    """Check all that can be checked, ask, then publish."""
    from bailing_tasks.release import checks
    from bailing_tasks.release.model import check_repositories
    from bailing_tasks.release.planning import tags_of

    check_repositories(targets)
    events = events_of(run, settings, named)
    planned = tags_of(events, lambda event: show_tags(run, settings, event))
    if not run.dry_run:
        run.hold()
    commit = checks.of_commit(run.root, events, allow_dirty=allow_dirty, at_github=at_github(named))
    failed = checks.passed(commit, run.console)
    steps = [
        step
        for step in foreseen(run, settings, targets, force=False)
        if step[0].recipe.variant.target in targets
    ]
    report_names(run, [plan for plan, _ in steps])
    files = files_of(run, settings, targets)
    failed += checks.passed(checks.of_files(run.root, files, allow_dirty=allow_dirty), run.console)
    failed += checks.passed(checks.of_images(steps, run.engine_for), run.console)
    images = [
        checks.built(*step, run.engine_for(step[0].recipe.variant.platform)) for step in steps
    ]
    releaser = releaser_of(run)
    plan = push_plan(settings, planned, images, replace=replace)
    policy = policy_of(releaser, settings)
    if not run.dry_run:
        failed += checks.passed(may_push(plan.repositories, releaser.registry), run.console)
    failed += checks.passed(checks.of_versions(plan.tags, policy, replace=replace), run.console)
    if run.dry_run:
        show_commands(run, plan)
        require(failed)
        return
    require(failed)
    require(checks.passed(verified(run, settings, steps, images), run.console))
    seen = policy.see(plan.tags)
    show(run, seen)
    ask(run, f"publish {len(images)} images under {len(seen)} tags?", yes=yes, does="publishes")
    release(run, releaser, plan, policy, seen)
