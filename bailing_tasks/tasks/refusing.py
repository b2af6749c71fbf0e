"""What tasks do about targets that cannot be built because of their files: the others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.refusals import Refusal, Refused
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.variants import Key


def buildable(
    run: Run, settings: Settings, chosen: Iterable[Target], *, prepared: bool = True
) -> tuple[Recipe | Refusal, ...]:
    """Read the recipes of targets and of all that they need, each after what it needs.

    One that copies what is not there is refused, unless `before-build` is still to run.

    Args:
        run: The run.
        settings: Its settings.
        chosen: The targets.
        prepared: Whether what has to run before builds has run.
    """
    from bailing_tasks.missing import complete

    readings = run.in_order(settings, run.recipes(settings, *chosen))
    may_appear = settings.before_build and (run.dry_run or not prepared)
    return readings if may_appear else complete(settings, readings)


def plans_of(
    run: Run, settings: Settings, readings: Iterable[Recipe | Refusal]
) -> list[BuildPlan | Refusal]:
    """Plan recipes that stand in order, each on the images that there will be.

    What needs a refused one is left out, which is a refusal too.
    """
    found: dict[Key, BuildPlan | Refusal] = {}
    for reading in readings:
        found[reading.variant.key] = _planned(run, settings, reading, found)
    return list(found.values())


def _planned(
    run: Run,
    settings: Settings,
    reading: Recipe | Refusal,
    found: Mapping[Key, BuildPlan | Refusal],
) -> BuildPlan | Refusal:
    from bailing_tasks.errors import DockerfileError, UsageError
    from bailing_tasks.recipes import on_bases
    from bailing_tasks.refusals import Refusal

    if isinstance(reading, Refusal):
        return reading
    needed = {need.key: found[need.key] for need in reading.needs if need.key in found}
    refused = [each for each in needed.values() if isinstance(each, Refusal)]
    if refused:
        names = dict.fromkeys(each.variant.target.name for each in refused)
        return Refusal(variant=reading.variant, error=refused[0].error, needs=tuple(names))
    run.check_engines(reading)
    own = {each.base.key for each in reading.own}
    bases = {
        key: plan.kept
        for key, plan in needed.items()
        if key in own and not isinstance(plan, Refusal)
    }
    try:
        return run.plan(settings, on_bases(settings, reading, bases) if bases else reading)
    except (DockerfileError, UsageError) as error:
        return Refusal(variant=reading.variant, error=error)


def unread(run: Run, settings: Settings) -> list[Refused]:
    """Return what `Run.wanted` leaves out: targets and Compose files that cannot be read."""
    return [each for _, found in run.required(settings) for each in found.refused]


def warn_of(run: Run, refused: Iterable[Refused]) -> None:
    """Warn of what could not be read, each once in a run."""
    for each in refused:
        run.warn_once(str(each.error), run.console)


def warn_of_builds(run: Run, settings: Settings, recipes: Iterable[Recipe]) -> None:
    """Warn of what may end the builds of recipes.

    That is syntax that only another frontend may know, and files that they copy and that are not
    there; `before-build` may make those.
    """
    from bailing_tasks.dockerfile import unknown_syntax
    from bailing_tasks.missing import missing

    for recipe in recipes:
        for unknown in unknown_syntax(recipe.text, **recipe.selection):
            run.warn_once(f"{recipe.variant.target.dockerfile}:{unknown}", run.console)
        for error in missing(settings, recipe):
            if settings.before_build:
                run.warn_once(f"{error.headline}, unless `before-build` makes it", run.console)
            else:
                run.warn_once(str(error), run.console)
