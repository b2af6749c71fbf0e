"""The tasks of the pipeline: prefetch, build-builder, build-app, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.run import Run, command, current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.builder_choice import BuilderChoice
    from bailing_tasks.decision import Decision
    from bailing_tasks.outcomes import Outcome
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.variants import Variant

    Step = tuple[BuildPlan, Decision]


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
    """Pull every external image that the builder and the app are built from."""
    from dataclasses import asdict

    from bailing_tasks import needs
    from bailing_tasks.prefetch import fetch, summary

    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    settings = run.settings(platform, python, jobs=jobs, timeout=timeout)
    choose = _chooser(run, "stop" if strict else on_failure)
    wanted = needs.wanted(settings, run.engine.platform)
    run.check_frozen(wanted)
    if run.dry_run:
        prefetcher = run.prefetcher(settings, refresh=refresh)
        commands = prefetcher.commands(wanted)
        _print_commands(run, "prefetch", commands, f"{len(wanted)} images, all present")
        return
    run.hold()
    prefetcher = run.prefetcher(settings, refresh=refresh)
    with run.console.group(f"prefetch: {len(wanted)} images"):
        result = fetch(prefetcher, wanted, choose=choose)
    run.console.say(summary(result))
    run.report("prefetch", {**result.counts(), **asdict(result)})
    result.check()


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

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(["all"], ["all"], timeout=timeout)
    if not run.dry_run:
        run.hold()
    prefetcher = run.prefetcher(settings)
    prefetcher.begin()
    before = run.locked or {}
    after = locking.renewed(
        needs.wanted_anywhere(settings, run.engine.platform),
        locked=before,
        pins=run.state.pins(),
        resolver=prefetcher.resolver,
        update="" if update is True else str(update) or None,
        jobs=settings.prefetch.jobs,
    )
    changes = lockfile.difference(before, after)
    for line in lockfile.describe(changes) or ["nothing has changed"]:
        run.console.say(line)
    if not run.dry_run and (changes or run.locked is None):
        locking.write(run.root, after)
        run.read_anew()
        run.console.say(f"{lockfile.NAME}: {len(after)} images written")
    run.report("lock", lockfile.report(after, changes))


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
    _ready(run, settings, settings.builder)
    forced = force or no_cache
    plans = (run.plan(settings, recipe) for recipe in run.recipes(settings, settings.builder))
    steps = ((plan, run.decide(settings, plan, force=forced)) for plan in plans)
    _build_all(run, "build-builder", settings, steps, no_cache=no_cache)


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
    _ready(run, settings, settings.app)
    steps = _app_steps(run, settings, builder_image, force=force or no_cache)
    _build_all(run, "build-app", settings, steps, no_cache=no_cache)


@command("platform", "python", "json", "dry_run")
def verify(
    _context: Context,
    platform: list[str],
    python: list[str],
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Check the app image as it would run: compilers, user, imports, health page, size."""
    from dataclasses import asdict

    from bailing_tasks.errors import VerifyError
    from bailing_tasks.names import local_name
    from bailing_tasks.variants import variants
    from bailing_tasks.verify import verify as verify_image

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(platform, python)
    host = run.engine.platform
    apps = variants(settings, settings.app, host)
    if run.dry_run:
        names = ", ".join(local_name(variant, settings, host) for variant in apps)
        _print_commands(run, "verify", (), f"would check {names}")
        return
    run.hold()
    failed = []
    for variant in apps:
        app = local_name(variant, settings, host)
        builder = local_name(variant.of(settings.builder), settings, host)
        result = verify_image(
            run.engine, app, builder, variant, settings=settings.verify, owner=str(run.root)
        )
        with run.console.group(f"verify {app} ({variant.platform}) in {result.seconds:.1f} s"):
            for check in result.checks:
                run.console.say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
        failed += [f"{app}: {check.name}" for check in result.checks if not check.ok]
        run.report("verify", {"ok": result.ok, **asdict(result)})
    if failed:
        raise VerifyError(
            f"{len(failed)} checks failed: {', '.join(failed)}",
            remedy="mend the app's Dockerfile, or say what it has to be in "
            "[tool.bailing-tasks.verify]",
        )


def _ready(run: Run, settings: Settings, target: Target) -> None:
    """See that the recipes can be read, then hold the workspace, so that plans stay true."""
    from bailing_tasks.wanted import wanted_images

    run.check_frozen(wanted_images(run.recipes(settings, target)))
    if not run.dry_run:
        run.hold()


def _app_steps(run: Run, settings: Settings, named: str, *, force: bool) -> Iterator[Step]:
    """Yield the builds of the app; a builder is brought only for one that has to be built."""
    for recipe in run.recipes(settings, settings.app):
        if not recipe.own:
            plan = run.plan(settings, recipe)
            yield plan, run.decide(settings, plan, force=force)
            continue
        if named:
            choice = _named_builder(run, settings, recipe.variant, named)
        else:
            builder = run.plan(settings, run.builder_recipe(settings, recipe.variant))
            plan = run.plan(settings, run.on_builder(settings, recipe, builder.kept))
            decision = run.decide(settings, plan, force=force)
            if decision.action != "build":
                yield plan, decision
                continue
            choice = _own_builder(run, settings, builder)
        run.console.say(f"{recipe.variant}: on {choice.image}: {choice.why}")
        plan = run.plan(settings, run.on_builder(settings, recipe, choice.image))
        yield plan, run.decide(settings, plan, force=force)


def _named_builder(run: Run, settings: Settings, app: Variant, name: str) -> BuilderChoice:
    from bailing_tasks.builder_choice import BuilderChoice, named_builder

    if run.dry_run:
        return BuilderChoice(image=name, why="it was named; a run pulls it if it is not here")
    prefetcher = run.prefetcher(settings)
    return named_builder(name, app.platform, settings=settings, prefetcher=prefetcher)


def _own_builder(run: Run, settings: Settings, plan: BuildPlan) -> BuilderChoice:
    from bailing_tasks.builder_choice import BuilderChoice, own_builder

    if run.dry_run:
        return BuilderChoice(image=plan.kept, why="what `invoke build-builder` makes or finds")
    prefetcher = run.prefetcher(settings)
    return own_builder(plan, settings=settings, prefetcher=prefetcher, frozen=run.frozen)


def _build_all(
    run: Run, name: str, settings: Settings, steps: Iterator[Step], *, no_cache: bool
) -> None:
    """Build one after the other; what was built is in the document even if a later one fails."""
    from dataclasses import asdict

    from bailing_tasks.build import build, commands

    if run.dry_run:
        lines = [line for step in steps for line in commands(*step, run.engine, no_cache=no_cache)]
        _print_commands(run, name, lines, "nothing changed")
        return
    images: list[dict[str, object]] = []
    prefetcher = run.prefetcher(settings)
    try:
        for plan, decision in steps:
            result = build(
                plan, decision, prefetcher=prefetcher, state=run.state, no_cache=no_cache
            )
            images.append(asdict(result))
    finally:
        run.report(name, {"images": images})


def _print_commands(run: Run, name: str, commands: Sequence[str], nothing: str) -> None:
    for line in commands or (f"# {name}: {nothing}",):
        run.console.say(line)
    run.report(name, {"dry_run": True, "commands": list(commands)})


def _chooser(run: Run, wish: str) -> Callable[[Sequence[Outcome]], str]:
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
