"""What the tasks that build share: the steps of a run, decided, then carried out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from bailing_tasks.tasks.refusing import buildable, plans_of, warn_of
from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from bailing_tasks.build import BuildResult
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.builder_choice import BuilderChoice
    from bailing_tasks.decision import Decision
    from bailing_tasks.engine.base import Engine, Image
    from bailing_tasks.lanes import Lane
    from bailing_tasks.outcomes import Outcome
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.refusals import Refused
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.variants import Key, Variant
    from bailing_tasks.wanted import WantedImage

    Step = tuple[BuildPlan, Decision]
    Part = tuple[Lane, Sequence[WantedImage]]


def fetch(
    run: Run,
    wanted: Callable[[], Sequence[Part]],
    *,
    refresh: bool = False,
    choose: Callable[[Sequence[Outcome]], str] = lambda failed: "continue",
    name: str = "prefetch",
    refused: Sequence[Refused] = (),
) -> None:
    """Bring external images, or print the commands that would.

    Args:
        run: The run.
        wanted: Returns the images of each engine. It is called again once they are here: ONBUILD
            of one may name more.
        refresh: Whether tags that have moved are followed.
        choose: Decides about failed pulls: `retry`, `continue` or `stop`.
        name: What people are told that it is.
        refused: What could not be read: it is reported, and ends nothing here.

    Raises:
        PullError: Images could not be pulled, and `choose` says to stop.
    """
    warn_of(run, refused)
    parts = wanted()
    if not parts:
        return
    _fetch(run, parts, refresh=refresh, choose=choose, name=name, refused=refused)
    run.known_onbuild.look_again()
    here = {image.key for _, images in parts for image in images}
    more = [
        (lane, [image for image in images if image.key not in here]) for lane, images in wanted()
    ]
    if not run.dry_run and any(images for _, images in more):
        _fetch(run, more, refresh=refresh, choose=choose, name=name, refused=refused)


def _fetch(
    run: Run,
    parts: Sequence[Part],
    *,
    refresh: bool,
    choose: Callable[[Sequence[Outcome]], str],
    name: str,
    refused: Sequence[Refused],
) -> None:
    from dataclasses import asdict

    from bailing_tasks.fetching import fetch, summary
    from bailing_tasks.refusals import documents

    count = sum(len(images) for _, images in parts)
    run.check_frozen([image for _, images in parts for image in images])
    if not run.dry_run:
        run.hold()
    bringing = [(run.prefetcher(lane, refresh=refresh), images) for lane, images in parts]
    if run.dry_run:
        commands = [line for prefetcher, images in bringing for line in prefetcher.commands(images)]
        print_commands(run, name, commands, f"{count} images, all present")
        return
    for prefetcher, _ in bringing if len(bringing) > 1 else ():
        prefetcher.place = f" on {prefetcher.engine.builder}"
    with run.console.group(f"{name}: {count} images"):
        result = fetch(run.console, bringing, choose=choose)
    run.console.say(f"{name}: {summary(result)}")
    run.report(name, {**result.counts(), **asdict(result), "refused": documents(refused)})
    result.check()


def foreseen(
    run: Run, settings: Settings, chosen: Collection[Target], *, force: bool
) -> Iterator[Step]:
    """Yield what builds of targets would do, and why; nothing is done, built or pulled.

    Those of what they need come first; each is planned on the images that there will be then.

    Args:
        run: The run.
        settings: Its settings.
        chosen: The targets that the run is for.
        force: Whether those are built in any case.

    Raises:
        BailingError: Some cannot be built because of their files; all of them are named.
    """
    from bailing_tasks.refusals import checked

    plans = checked(plans_of(run, settings, checked(buildable(run, settings, chosen))))
    yield from decided(run, settings, plans, chosen, force=force)


def decided(
    run: Run,
    settings: Settings,
    every: Iterable[BuildPlan],
    chosen: Collection[Target],
    *,
    force: bool,
) -> Iterator[Step]:
    """Yield what planned builds would do, which stand in order; otherwise as `foreseen`."""
    from bailing_tasks.decision import SKIP, may_be_published

    plans = {plan.recipe.variant.key: plan for plan in every}
    here = _here(run, plans.values())
    if settings.services:
        absent = [plan for key, plan in plans.items() if here.get(key) is None]
        forced = [target for target in chosen if force]
        run.lookup(settings).ask_ahead([plan for plan in absent if may_be_published(plan, forced)])
    decisions: dict[Key, Decision] = {}
    for key, plan in plans.items():
        target = plan.recipe.variant.target
        below = [
            (each.base.target, decisions[each.base.key])
            for each in plan.recipe.own
            if each.base.key in decisions
        ]
        decisions[key] = run.decide(
            settings,
            plan,
            force=force and target in chosen,
            here=here,
            bases_come=any(
                decision.action != SKIP and (base in chosen or not base.per_python)
                for base, decision in below
            ),
            bases_certain=all(decision.certain for _, decision in below),
        )
        yield plan, decisions[key]


def _here(run: Run, plans: Iterable[BuildPlan]) -> dict[Key, Image | None]:
    """Return the images that are here already of those that plans would make."""
    from bailing_tasks.decision import built_images

    by_engine: dict[Engine, list[BuildPlan]] = {}
    for plan in plans:
        by_engine.setdefault(run.engine_for(plan.recipe.variant.platform), []).append(plan)
    return {
        key: image
        for engine, of_one in by_engine.items()
        for key, image in built_images(of_one, engine).items()
    }


def look_ahead(run: Run, settings: Settings) -> None:
    """Find out what registries have by fingerprint, so that builds after a prefetch need none.

    What keeps a build from being planned is the build's to say.
    """
    from contextlib import suppress

    from bailing_tasks.errors import BailingError
    from bailing_tasks.refusals import split

    lookup = run.lookup(settings)
    lookup.forget()
    with suppress(BailingError):
        targets = run.targets(settings)
        readings = run.in_order(settings, run.recipes(settings, *targets))
        plans, _ = split(plans_of(run, settings, readings))
        for _ in decided(run, settings, plans, targets, force=False):
            pass
    lookup.keep()


def named_target(settings: Settings, name: str) -> Target:
    """Return the target that a person named.

    Raises:
        UsageError: There is none of that name.
    """
    from bailing_tasks.errors import UsageError, perhaps_meant

    for target in settings.targets:
        if target.name == name:
            return target
    names = [target.name for target in settings.targets]
    raise UsageError(
        f"there is no target {name!r}",
        remedy=perhaps_meant(name, names, f"name one of {', '.join(names)}"),
    )


def ready(run: Run, settings: Settings, target: Target) -> None:
    """See that the target can be built, then hold the workspace, so that plans stay true."""
    from bailing_tasks.missing import complete
    from bailing_tasks.refusals import checked
    from bailing_tasks.wanted import wanted_images

    recipes = checked(complete(settings, run.recipes(settings, target)))
    run.check_frozen(wanted_images(recipes))
    if not run.dry_run:
        run.hold()


def app_steps(run: Run, lane: Lane, named: str, *, force: bool) -> Iterator[Step]:
    """Yield the builds of the app; a builder is brought only for one that has to be built.

    Services that app or builder are built on are built before.
    """
    from bailing_tasks.decision import is_certain
    from bailing_tasks.recipes import on_bases
    from bailing_tasks.refusals import checked

    settings = lane.settings
    for recipe in checked(run.recipes(settings, settings.app)):
        builder = next((each.base for each in recipe.own if each.base.target.per_python), None)
        made: dict[Key, str] = {}
        for step in _services_of(run, settings, recipe):
            made[step[0].recipe.variant.key] = step[0].kept
            yield step
        if builder is None:
            plan = run.plan(settings, on_bases(settings, recipe, made))
            yield plan, run.decide(settings, plan, force=force)
            continue
        certain = True
        if named:
            choice = _named_builder(run, lane, recipe.variant, named)
        else:
            below = run.plan(settings, on_bases(settings, run.recipe(settings, builder), made))
            certain = is_certain(below)
            on_own = on_bases(settings, recipe, made | {builder.key: below.kept})
            plan = run.plan(settings, on_own)
            decision = run.decide(settings, plan, force=force, bases_certain=certain)
            if decision.action != "build":
                yield plan, decision
                continue
            choice = _own_builder(run, lane, below)
        lane.console.say(f"{recipe.variant}: on {choice.image}: {choice.why}")
        plan = run.plan(settings, on_bases(settings, recipe, made | {builder.key: choice.image}))
        yield plan, run.decide(settings, plan, force=force, bases_certain=certain)


def _services_of(run: Run, settings: Settings, app: Recipe) -> Iterator[Step]:
    """Yield the builds of the services that an app needs, and its builder."""
    from bailing_tasks.missing import complete
    from bailing_tasks.refusals import checked

    if settings.services:
        readings = run.in_order(settings, [app])
        services = [each for each in readings if each.variant.target in settings.services]
        plans = checked(plans_of(run, settings, checked(complete(settings, services))))
        yield from decided(run, settings, plans, (), force=False)


def _named_builder(run: Run, lane: Lane, app: Variant, name: str) -> BuilderChoice:
    from bailing_tasks.builder_choice import BuilderChoice, named_builder

    if run.dry_run:
        return BuilderChoice(image=name, why="it was named; a run pulls it if it is not here")
    prefetcher = run.prefetcher(lane)
    return named_builder(name, app.platform, settings=lane.settings, prefetcher=prefetcher)


def _own_builder(run: Run, lane: Lane, plan: BuildPlan) -> BuilderChoice:
    from bailing_tasks.builder_choice import BuilderChoice, own_builder

    if run.dry_run:
        return BuilderChoice(image=plan.kept, why="what `invoke build-builder` makes or finds")
    look = run.lookup(lane.settings).find
    prefetcher = run.prefetcher(lane)
    return own_builder(plan, look, settings=lane.settings, prefetcher=prefetcher, frozen=run.frozen)


def build_all(
    run: Run,
    name: str,
    settings: Settings,
    steps: Callable[[Lane], Iterable[Step]],
    *,
    no_cache: bool,
) -> list[BuildResult]:
    """Build one after the other on each engine, on all engines at once.

    What was built is in the document even if another one fails.

    Args:
        run: The run.
        name: The task.
        settings: The run's settings.
        steps: Yields the builds of a lane.
        no_cache: Let BuildKit not use its cache.
    """
    from dataclasses import asdict

    from bailing_tasks.lanes import side_by_side

    lanes = run.lanes(settings)
    if run.dry_run:
        lines = [line for lane in lanes for line in _commands(lane, steps(lane), no_cache=no_cache)]
        print_commands(run, name, lines, "nothing changed")
        return []
    images: dict[Engine, list[BuildResult]] = {lane.engine: [] for lane in lanes}
    _ = (
        run.pins,
        run.lookup(settings),
        run.history,
    )  # made once, before several threads ask for them

    def work(lane: Lane) -> None:
        for result in _built(run, name, lane, steps(lane), no_cache=no_cache):
            images[lane.engine].append(result)

    try:
        side_by_side(lanes, work)
    finally:
        results = [result for of_one in images.values() for result in of_one]
        run.report(name, {"images": [asdict(image) for image in results]})
    return results


def _commands(lane: Lane, steps: Iterable[Step], *, no_cache: bool) -> Iterator[str]:
    from bailing_tasks.build import commands

    for step in steps:
        yield from commands(*step, lane.engine, no_cache=no_cache)


def _built(
    run: Run, name: str, lane: Lane, steps: Iterable[Step], *, no_cache: bool
) -> Iterator[BuildResult]:
    """Build what a lane has to build; yield each result as it ends."""
    from bailing_tasks.build import build
    from bailing_tasks.decision import BUILD
    from bailing_tasks.emulation import word
    from bailing_tasks.holding import remove_staged

    prefetcher = run.prefetcher(lane)
    swept = False
    for plan, decision in steps:
        lane.go_on()
        emulated = word(plan.recipe.variant.platform, lane.engine.platform)
        if emulated and decision.action == BUILD:
            run.warn_once(emulated, lane.console)
        if decision.action == BUILD and not swept:
            remove_staged(run.state, lane.engine, lane.settings.targets)
            swept = True
        carry_out = functools.partial(
            build, plan, decision, prefetcher=prefetcher, state=run.state, no_cache=no_cache
        )
        result = run.history.recorded(name, plan, decision, carry_out)
        run.images[plan.recipe.variant.key] = result.kept
        yield result
        if result.result == "built":
            run.lookup(lane.settings).built(plan)


def print_commands(run: Run, name: str, commands: Sequence[str], nothing: str) -> None:
    """Print and report what a dry run would have run; `nothing` says why where that is nothing."""
    for line in commands or (f"# {name}: {nothing}",):
        run.console.say(line)
    run.report(name, {"dry_run": True, "commands": list(commands)})
