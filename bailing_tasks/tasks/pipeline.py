"""The tasks of the pipeline: prefetch, build-builder, build-app, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import (
    app_steps,
    build_all,
    fetch,
    foreseen,
    look_ahead,
    ready,
)
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.refusing import unread, warn_of, warn_of_builds
from bailing_tasks.tasks.run import Run, current
from bailing_tasks.tasks.verifying import verify_apps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bailing_tasks.lanes import Lane
    from bailing_tasks.outcomes import Outcome
    from bailing_tasks.tasks.building import Step


@command(
    "platform",
    "python",
    "jobs",
    "timeout",
    "refresh",
    "frozen",
    "offline",
    "on_failure",
    "strict",
    "json",
    "dry_run",
)
def prefetch(
    _context: Context,
    platform: list[str],
    python: list[str],
    jobs: str = "",
    timeout: str = "",
    refresh: bool = False,
    frozen: bool = False,
    offline: bool = False,
    on_failure: str = "",
    strict: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Pull every external image that anything here is built from."""
    from bailing_tasks.refusals import check, split

    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    settings = run.settings(platform, python, jobs=jobs, timeout=timeout)
    choose = chooser(run, "stop" if strict else on_failure)
    refused = unread(run, settings)
    warn_of_builds(run, settings, split(run.recipes(settings, *run.targets(settings)))[0])
    fetch(run, lambda: run.wanted(settings), refresh=refresh, choose=choose, refused=refused)
    if not run.dry_run and not run.offline and any(each.repository for each in settings.targets):
        look_ahead(run, settings)
    check(refused)


@command("update", "timeout", "json", "dry_run")
def lock(
    _context: Context,
    update: str | bool = "",
    timeout: str = "",
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Write images.lock: each external image of all platforms and Pythons with its digest."""
    from bailing_tasks import lockfile, locking, needs
    from bailing_tasks.refusals import check, documents

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(["all"], ["all"], timeout=timeout)
    if not run.dry_run:
        run.hold()
    lanes = run.lanes(settings)
    prefetcher = run.prefetcher(lanes[0])
    prefetcher.begin()
    before = run.locked or {}
    platforms = [lane.engine.platform for lane in lanes]
    images, refused = needs.required_anywhere(settings, platforms, onbuild=run.onbuild())
    warn_of(run, refused)
    after = locking.renewed(
        images,
        locked=before,
        pins=run.state.pins(),
        resolver=prefetcher.resolver,
        update="" if update is True else str(update) or None,
        jobs=settings.prefetch.jobs,
    )
    if refused:  # which may need what nothing else does
        after = {**before, **after}
    changes = lockfile.difference(before, after)
    for line in lockfile.describe(changes) or ["nothing has changed"]:
        run.console.say(line)
    if not run.dry_run and (changes or run.locked is None):
        locking.write(run.root, after)
        run.read_anew()
        run.console.say(f"{lockfile.NAME}: {len(after)} images written")
    run.report("lock", {**lockfile.report(after, changes), "refused": documents(refused)})
    check(refused)


@command(
    "platform",
    "python",
    "force",
    "no_cache",
    "frozen",
    "offline",
    "json",
    "dry_run",
    name="build-builder",
)
def build_builder(
    _context: Context,
    platform: list[str],
    python: list[str],
    force: bool = False,
    no_cache: bool = False,
    frozen: bool = False,
    offline: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Build the builder image: the stage that compiles, and no other."""
    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    settings = run.settings(platform, python)
    ready(run, settings, settings.builder)
    forced = force or no_cache

    def steps(lane: Lane) -> Iterator[Step]:
        return foreseen(run, lane.settings, [settings.builder], force=forced)

    build_all(run, "build-builder", settings, steps, no_cache=no_cache)


@command(
    "platform",
    "python",
    "builder_image",
    "force",
    "no_cache",
    "frozen",
    "offline",
    "json",
    "dry_run",
    name="build-app",
)
def build_app(
    _context: Context,
    platform: list[str],
    python: list[str],
    builder_image: str = "",
    force: bool = False,
    no_cache: bool = False,
    frozen: bool = False,
    offline: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Build the app image on the builder image, from here or from the registry."""
    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    settings = run.settings(platform, python)
    ready(run, settings, settings.app)

    def steps(lane: Lane) -> Iterator[Step]:
        return app_steps(run, lane, builder_image, force=force or no_cache)

    build_all(run, "build-app", settings, steps, no_cache=no_cache)


@command("platform", "python", "json", "dry_run")
def verify(
    _context: Context,
    platform: list[str],
    python: list[str],
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Check the app image as it would run: compilers, user, imports, health page, size."""
    run = current(json=json, dry_run=dry_run)
    verify_apps(run, run.settings(platform, python))


def chooser(run: Run, wish: str) -> Callable[[Sequence[Outcome]], str]:
    """Return what decides about failed pulls: a person on a terminal, else to go on."""
    import sys

    from bailing_tasks.errors import UsageError

    answers = ("retry", "continue", "stop")
    wish = wish or ("ask" if run.console.live and sys.stdin.isatty() else "continue")
    if wish not in (*answers, "ask"):
        raise UsageError(
            f"--on-failure {wish} means nothing", remedy=f"choose {', '.join(answers)} or ask"
        )
    if wish == "ask":
        return lambda failed: run.console.ask(
            f"{len(failed)} images could not be pulled. What now?", answers
        )
    left = ["retry"] if wish == "retry" else []
    return lambda failed: left.pop() if left else ("stop" if wish == "stop" else "continue")
