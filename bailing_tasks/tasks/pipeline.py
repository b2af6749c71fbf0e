"""The tasks that change something: prefetch, build-builder, build-app, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.tasks import task

from bailing_tasks.tasks.run import Run, current, guarded, helped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.builder_choice import BuilderChoice
    from bailing_tasks.prefetch import Outcome, Prefetcher
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.settings import Settings, Target


@task(
    help=helped("platform", "python", "on_failure", "strict", "json", "dry_run"),
    iterable=["platform", "python"],
)
@guarded
def prefetch(
    _context: Context,
    platform: list[str],
    python: list[str],
    on_failure: str = "",
    strict: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Pull every external image that the builder and the app are built from."""
    from dataclasses import asdict

    from bailing_tasks import needs
    from bailing_tasks.prefetch import prefetch as prefetch_images

    run = current(json=json)
    settings = run.settings(platform, python)
    choose = _chooser(run, on_failure)
    wanted = needs.wanted(settings, run.engine.platform)
    prefetcher = run.prefetcher(settings)
    if dry_run:
        commands = [line for image in wanted for line in prefetcher.commands(image)]
        _print_commands(run, "prefetch", commands, f"{len(wanted)} images, all present")
        return
    run.hold()
    with run.console.group(f"prefetch: {len(wanted)} images"):
        result = prefetch_images(prefetcher, wanted, choose=choose, strict=strict)
    counts = {status: result.count(status) for status in ("pulled", "present", "failed")}
    run.console.say(
        f"prefetch: {', '.join(f'{n} {status}' for status, n in counts.items())} "
        f"in {result.seconds:.1f} s"
    )
    run.report("prefetch", {**counts, **asdict(result)})


@task(
    name="build-builder",
    help=helped("platform", "python", "force", "no_cache", "json", "dry_run"),
    iterable=["platform", "python"],
)
@guarded
def build_builder(
    _context: Context,
    platform: list[str],
    python: list[str],
    force: bool = False,
    no_cache: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Build the builder image: the stage that compiles, and no other."""
    run = current(json=json)
    settings = run.settings(platform, python)
    _ready(run, settings, settings.builder, dry_run=dry_run)
    plans = [run.plan(settings, recipe) for recipe in run.recipes(settings, settings.builder)]
    _build_all(run, "build-builder", plans, force=force, no_cache=no_cache, dry_run=dry_run)


@task(
    name="build-app",
    help=helped("platform", "python", "builder_image", "force", "no_cache", "json", "dry_run"),
    iterable=["platform", "python"],
)
@guarded
def build_app(
    _context: Context,
    platform: list[str],
    python: list[str],
    builder_image: str = "",
    force: bool = False,
    no_cache: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Build the app image on the builder image, from here or from the registry."""
    run = current(json=json)
    settings = run.settings(platform, python)
    _ready(run, settings, settings.app, dry_run=dry_run)
    prefetcher = run.prefetcher(settings)
    plans = []
    for recipe in run.recipes(settings, settings.app):
        if not recipe.own:
            plans.append(run.plan(settings, recipe))
            continue
        choice = _builder(run, settings, recipe, prefetcher, builder_image, dry_run=dry_run)
        run.console.say(f"{recipe.variant}: on {choice.image}: {choice.why}")
        plans.append(run.plan(settings, run.on_builder(settings, recipe, choice.image)))
    _build_all(run, "build-app", plans, force=force, no_cache=no_cache, dry_run=dry_run)


@task(help=helped("platform", "python", "json"), iterable=["platform", "python"])
@guarded
def verify(_context: Context, platform: list[str], python: list[str], json: bool = False) -> None:
    """Check the app image as it would run: compilers, user, imports, health page, size."""
    from dataclasses import asdict

    from bailing_tasks.errors import VerifyError
    from bailing_tasks.names import local_name
    from bailing_tasks.verify import verify as verify_image

    run = current(json=json)
    settings = run.settings(platform, python)
    run.hold()
    failed = []
    for version in settings.chosen_pythons():
        for chosen in settings.chosen_platforms(run.engine.platform):
            app, builder = (
                local_name(target, settings, chosen, version, run.engine.platform)
                for target in (settings.app, settings.builder)
            )
            result = verify_image(
                run.engine,
                app=app,
                builder=builder,
                platform=chosen,
                python=version,
                settings=settings.verify,
                owner=str(run.root),
            )
            with run.console.group(f"verify {app} ({chosen}) in {result.seconds:.1f} s"):
                for check in result.checks:
                    mark = "ok  " if check.ok else "FAIL"
                    run.console.say(f"{mark} {check.name}: {check.detail}")
            failed += [f"{app}: {check.name}" for check in result.checks if not check.ok]
            run.report("verify", {"ok": result.ok, **asdict(result)})
    if failed:
        raise VerifyError(
            f"{len(failed)} checks failed: {', '.join(failed)}",
            remedy="mend the app's Dockerfile, or say what it has to be in "
            "[tool.bailing-tasks.verify]",
        )


def _ready(run: Run, settings: Settings, target: Target, *, dry_run: bool) -> None:
    """See that the recipes can be read, then hold the workspace, so that plans stay true."""
    run.recipes(settings, target)
    if not dry_run:
        run.hold()


def _build_all(
    run: Run,
    name: str,
    plans: Sequence[BuildPlan],
    *,
    force: bool,
    no_cache: bool,
    dry_run: bool,
) -> None:
    from dataclasses import asdict

    from bailing_tasks.build import build, reason_to_build

    if dry_run:
        todo = [
            plan
            for plan in plans
            if force or no_cache or reason_to_build(plan, run.engine) is not None
        ]
        commands = [line for plan in todo for line in _commands(plan, no_cache=no_cache)]
        _print_commands(run, name, commands, "nothing changed")
        return
    results = [
        build(
            plan,
            engine=run.engine,
            state=run.state,
            console=run.console,
            force=force,
            no_cache=no_cache,
        )
        for plan in plans
    ]
    run.report(name, {"images": [asdict(result) for result in results]})


def _commands(plan: BuildPlan, *, no_cache: bool) -> list[str]:
    """Return what a build runs; its copy of the Dockerfile is written before."""
    from dataclasses import replace

    from bailing_tasks import process

    request = replace(plan.request, no_cache=no_cache)
    return [
        f"# writes {request.dockerfile}, a copy of {plan.recipe.path} on pins",
        process.quote(request.command()),
        process.quote(["docker", "tag", plan.kept, plan.name]),
    ]


def _builder(
    run: Run,
    settings: Settings,
    recipe: Recipe,
    prefetcher: Prefetcher,
    named: str,
    *,
    dry_run: bool,
) -> BuilderChoice:
    from bailing_tasks.builder_choice import BuilderChoice, named_builder, own_builder

    platform = recipe.variant.platform
    if named:
        return named_builder(named, platform, settings=settings, prefetcher=prefetcher)
    plan = run.plan(settings, run.builder_recipe(settings, recipe.variant))
    if dry_run:
        return BuilderChoice(image=plan.kept, why="what `invoke build-builder` makes or finds")
    return own_builder(plan, settings=settings, prefetcher=prefetcher, console=run.console)


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
