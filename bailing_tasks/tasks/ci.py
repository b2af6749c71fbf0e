"""The tasks of CI: ci-write, ci-check, ci-run."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.batching import Wishes, build_targets
from bailing_tasks.tasks.building import (
    app_steps,
    build_all,
    fetch,
    foreseen,
    named_target,
)
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.events import read_event, show_changes, show_tags
from bailing_tasks.tasks.preparing import prepare
from bailing_tasks.tasks.releasing import (
    at_github,
    files_of,
    may_push,
    policy_of,
    push_plan,
    release,
    releaser_of,
    require,
    show_commands,
)
from bailing_tasks.tasks.run import Run, current
from bailing_tasks.tasks.verifying import verify_apps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bailing_tasks.build import BuildResult
    from bailing_tasks.events import Event
    from bailing_tasks.lanes import Lane
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.release.model import BuiltImage, Plan
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.tasks.building import Part, Step


@command("overwrite", "json", "dry_run", name="ci-write")
def ci_write(
    _context: Context, overwrite: bool = False, json: bool = False, dry_run: bool = False
) -> None:
    """Write the GitHub workflows of all that is built here from the settings."""
    from bailing_tasks import ci_write as writer

    run = current(json=json, dry_run=dry_run)
    files = writer.planned(run.settings(), overwrite=overwrite, onbuild=run.onbuild())
    for file in files:
        if run.dry_run:
            run.console.say(f"# {file.name} ({file.status})\n{file.text}")
            continue
        writer.write(file)
        done = "unchanged" if file.status == "unchanged" else "written"
        run.console.say(f"{file.name}: {done}")
    for note in dict.fromkeys(note for file in files for note in file.notes):
        run.console.say(f"note: {note}")
    result = [{"path": file.name, "status": file.status, "text": file.text} for file in files]
    run.report("ci-write", {"dry_run": run.dry_run, "files": result})


@command("json", name="ci-check")
def ci_check(_context: Context, json: bool = False) -> None:
    """Check the repository's workflows against its Dockerfiles and the settings."""
    from dataclasses import asdict

    from bailing_tasks import ci_check as checker

    run = current(json=json)
    checked = checker.check(run.settings(), onbuild=run.onbuild())
    for line in checker.describe(checked.findings):
        run.console.say(line)
    run.report(
        "ci-check",
        {
            "findings": [asdict(finding) for finding in checked.findings],
            "workflows": list(checked.workflows),
        },
        at_top=True,
    )
    if not checked.workflows:
        run.console.say(f"no workflows in {checker.FOLDER}: `invoke ci-write` writes them")
    elif not checked.findings:
        run.console.say(f"no findings in {len(checked.workflows)} workflows")
    checker.require(checked)


@command(
    "event",
    "base",
    "target",
    "platform",
    "python",
    "push",
    "allow_dirty",
    "replace",
    "force",
    "frozen",
    "json",
    "dry_run",
    name="ci-run",
)
def ci_run(
    _context: Context,
    platform: list[str],
    python: list[str],
    event: str = "",
    base: str = "",
    target: str = "",
    push: bool = False,
    allow_dirty: bool = False,
    replace: bool = False,
    force: bool = False,
    frozen: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Do what CI does for an event: decide, prefetch, build, verify and, with --push, publish."""
    from bailing_tasks.release.checks import of_tree, passed

    run = current(json=json, dry_run=dry_run, frozen=frozen)
    settings = run.settings(platform or ["all"], python or ["all"])
    happened = read_event(run, settings, event, base)
    chosen = _chosen(run, settings, happened, target)
    if not chosen or not happened.commit:
        run.console.say("nothing to build")
        return
    tags = show_tags(run, settings, happened)
    publishes = push and not happened.number
    if publishes:
        _check_published(run, settings, chosen)
        _check_commit(
            run,
            settings,
            happened,
            chosen,
            at_github=at_github([event] if event else []),
            allow_dirty=allow_dirty,
        )
    else:
        _say_commit(run, happened)
    prepare(run, settings)
    images = _build(run, settings, chosen, force=force, publishes=publishes)
    if settings.app in chosen:
        verify_apps(run, settings)
    if publishes:
        # Somebody may have worked on while it was built.
        require(passed(of_tree(run.root, allow_dirty=allow_dirty), run.console))
        _publish(run, settings, push_plan(settings, {happened: tags}, images, replace=replace))
    elif push:
        run.console.say("a pull request is built, and never published")


def _chosen(run: Run, settings: Settings, event: Event, name: str) -> list[Target]:
    """Return the targets of a run: the one that was named, else those that the event builds."""
    from bailing_tasks.changed import decide

    if name:
        return [named_target(settings, name)]
    decision = decide(settings, event, onbuild=run.onbuild())
    show_changes(run, decision)
    runs = {each for each, verdict in decision.targets.items() if verdict.runs}
    return [each for each in settings.targets if each.name in runs]


def _build(
    run: Run, settings: Settings, chosen: Sequence[Target], *, force: bool, publishes: bool
) -> list[BuiltImage]:
    """Build the chosen targets, and the builders that an app needs and nobody has.

    Only what is built needs its base images: an image that is here, or pulled, needs none.
    """
    from bailing_tasks.release.model import BuiltImage, built_images

    if not run.dry_run:
        run.hold()
    for lane, images in run.wanted(settings):
        run.prefetcher(lane).settle(images, keep=not run.dry_run)
    needed: tuple[list[Step], list[Step], list[Step]] = ([], [], [])

    def wanted() -> Sequence[Part]:
        nonlocal needed
        needed = _needed(settings, list(foreseen(run, settings, chosen, force=force)), chosen)
        steps = itertools.chain(*needed)
        recipes = [plan.recipe for plan, decision in steps if decision.action in ("build", "tag")]
        return _wanted(run, settings, recipes)

    fetch(run, wanted)
    builders, apps, services = needed

    def builder_steps(lane: Lane) -> Iterator[Step]:
        of_lane = [step for step in builders if lane.builds(step[0].recipe.variant.platform)]
        return _with_cache(run, lane, of_lane, publishes=publishes)

    def steps_of_app(lane: Lane) -> Iterator[Step]:
        return _with_cache(run, lane, app_steps(run, lane, "", force=force), publishes=publishes)

    results: list[BuildResult] = []
    if builders:
        results += build_all(run, "build-builder", settings, builder_steps, no_cache=False)
    if apps:
        results += build_all(run, "build-app", settings, steps_of_app, no_cache=False)
    named = [target for target in chosen if target in settings.services]
    if named:
        results += build_targets(
            run,
            "build-service",
            settings,
            named,
            Wishes(jobs=0, force=force, keep_going=False),
            functools.partial(_with_cache, run, publishes=publishes),
        )
    planned = [
        BuiltImage(variant=plan.recipe.variant, name=plan.kept, fingerprint=plan.fingerprint)
        for plan, _ in (*builders, *apps, *services)
    ]
    made = planned if run.dry_run else built_images(results, settings)
    return [image for image in made if image.variant.target in chosen]


def _wanted(run: Run, settings: Settings, recipes: Sequence[Recipe]) -> list[Part]:
    """Return the external images of some builds, for each engine that needs any."""
    from bailing_tasks.wanted import wanted_images

    found: list[Part] = []
    for lane in run.lanes(settings):
        of_lane = [recipe for recipe in recipes if lane.builds(recipe.variant.platform)]
        if images := wanted_images(of_lane):
            found.append((lane, images))
    return found


def _with_cache(run: Run, lane: Lane, steps: Iterable[Step], *, publishes: bool) -> Iterator[Step]:
    """Let builds take BuildKit's cache of earlier runs; those that publish leave theirs."""
    from dataclasses import replace

    from bailing_tasks import build_cache

    for plan, decision in steps:
        cache = build_cache.cache_of(lane.settings, plan.recipe.variant)
        leaves = publishes and bool(cache) and decision.action == "build"
        if leaves and not lane.engine.exports_cache:
            run.warn_once(build_cache.NOT_EXPORTED, lane.console)
        to = build_cache.written(cache) if leaves and lane.engine.exports_cache else ""
        yield replace(plan, request=replace(plan.request, cache_from=cache, cache_to=to)), decision


def _needed(
    settings: Settings, steps: Sequence[Step], chosen: Sequence[Target]
) -> tuple[list[Step], list[Step], list[Step]]:
    """Return the steps of the builder, of the app and of services that a run takes."""
    apps = [
        (plan, decision)
        for plan, decision in steps
        if settings.app in chosen and plan.recipe.variant.target == settings.app
    ]
    built = [plan.recipe for plan, decision in apps if decision.action == "build"]
    wanted = {each.base.key for recipe in built for each in recipe.own}
    builders = [
        (plan, decision)
        for plan, decision in steps
        if plan.recipe.variant.target == settings.builder
        and (settings.builder in chosen or plan.recipe.variant.key in wanted)
    ]
    services = [step for step in steps if step[0].recipe.variant.target in settings.services]
    return builders, apps, services


def _check_published(run: Run, settings: Settings, chosen: Sequence[Target]) -> None:
    """Make sure that it is known where to publish, and all of it, before anything is built.

    Raises:
        UsageError: A tag would lose platforms or Pythons.
        SettingsError: A target has no repository.
    """
    from bailing_tasks.errors import UsageError
    from bailing_tasks.release.model import check_repositories

    every = run.settings(["all"], ["all"])
    if (settings.platforms, settings.python) != (every.platforms, every.python):
        raise UsageError(
            "--push publishes every platform and Python of the settings",
            cause="people who pull a tag would find that some are not there any more",
            remedy="leave --platform and --python out, or change the settings",
        )
    check_repositories(chosen)


def _check_commit(
    run: Run,
    settings: Settings,
    event: Event,
    targets: Sequence[Target],
    *,
    at_github: bool,
    allow_dirty: bool,
) -> None:
    """Make sure that what is published is the commit of the event, and may be published.

    Raises:
        UsageError: Another one is checked out, files have been changed or are in no commit, or no
            remote has it.
        RegistryError: This login may not push.
    """
    from bailing_tasks.references import Reference
    from bailing_tasks.release import checks

    commit = checks.of_commit(run.root, [event], allow_dirty=allow_dirty, at_github=at_github)
    failed = checks.passed(commit, run.console)
    files = files_of(run, settings, targets)
    failed += checks.passed(checks.of_files(run.root, files, allow_dirty=allow_dirty), run.console)
    if not run.dry_run:
        repositories = [Reference.parse(target.repository) for target in targets]
        failed += checks.passed(may_push(repositories, releaser_of(run).registry), run.console)
    require(failed)


def _say_commit(run: Run, event: Event) -> None:
    """Say what is built where nothing is published, if it is not the commit of the event."""
    from bailing_tasks import git

    head, changed = git.head(run.root), git.uncommitted(run.root)
    if event.commit != head or changed:
        also = " and uncommitted changes" if changed else ""
        run.console.say(f"what is built is what is checked out: {head[:7]}{also}")


def _publish(run: Run, settings: Settings, plan: Plan) -> None:
    """Publish the images of a run under the tags of the event.

    Where each tag stands is asked once more before it moves: another run may have ended during this
    one.
    """
    if run.dry_run:
        show_commands(run, plan)
        return
    releaser = releaser_of(run)
    policy = policy_of(releaser, settings)
    release(run, releaser, plan, policy, policy.see(plan.tags))
