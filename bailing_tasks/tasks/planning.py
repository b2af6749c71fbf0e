"""The task that tells what a run would do: plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import decided, named_target
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.preparing import note_templates
from bailing_tasks.tasks.refusing import plans_of, warn_of_builds
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.decision import Decision
    from bailing_tasks.lanes import Lane
    from bailing_tasks.needs import Required
    from bailing_tasks.platforms import Platform
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.settings import Settings
    from bailing_tasks.steps import Step
    from bailing_tasks.variants import Variant
    from bailing_tasks.wanted import WantedImage


@command("platform", "python", "explain", "force", "offline", "json")
def plan(
    _context: Context,
    platform: list[str],
    python: list[str],
    explain: str = "",
    force: bool = False,
    offline: bool = False,
    json: bool = False,
) -> None:
    """Tell what a run would do, step by step, and why; changes nothing."""
    from dataclasses import asdict

    from bailing_tasks import needs, steps
    from bailing_tasks.refusals import check, documents, split

    run = current(json=json, offline=offline)
    settings = run.settings(platform, python)
    explained = named_target(settings, explain) if explain else None
    readings = run.in_order(settings, run.recipes(settings, *run.targets(settings)))
    recipes, _ = split(readings)
    plans, refused = split(plans_of(run, settings, readings))
    extra = [
        (lane, needs.named_by_no_dockerfile(lane.settings, lane.engine.platform))
        for lane in run.lanes(settings)
    ]
    every = (*refused, *(each for _, required in extra for each in required.refused))
    found: list[Step] = []
    inputs: list[dict[str, object]] = []
    builds = list(decided(run, settings, plans, run.targets(settings), force=force))
    for each, planned in _steps(run, settings, recipes, extra, builds):
        found.append(each)
        if planned and planned.recipe.variant.target == explained:
            inputs.append({"target": each.target, "platform": each.platform} | _inputs(planned))
    found += map(steps.refused_step, refused)
    run.console.table(("step", "target", "platform", "python", "action", "why"), steps.rows(found))
    for note in dict.fromkeys(note for each in found for note in each.notes):
        run.console.say(f"note: {note}")
    warn_of_builds(run, settings, recipes)
    for document in inputs:
        _explain(run, document)
    result = {"steps": [asdict(each) for each in found], "refused": documents(every)}
    run.report("plan", result | ({"inputs": inputs} if explain else {}))
    note_templates(run, settings)
    check(every)


def _steps(
    run: Run,
    settings: Settings,
    recipes: Sequence[Recipe],
    extra: Sequence[tuple[Lane, Required]],
    builds: Sequence[tuple[BuildPlan, Decision]],
) -> Iterator[tuple[Step, BuildPlan | None]]:
    """Yield the steps of `prefetch build-builder build-app verify`, builds with their plans."""
    from bailing_tasks.steps import DO, step
    from bailing_tasks.wanted import wanted_images

    for recipe in recipes:
        yield _prefetch(run, wanted_images([recipe]), recipe.variant.platform, recipe.variant), None
    for lane, required in extra:
        for platform in lane.settings.platforms:
            if images := [image for image in required.images if image.platform == platform]:
                yield _prefetch(run, images, platform), None
    for planned, decision in builds:
        yield _build(run, planned, decision), planned
    for planned, _ in builds:
        if planned.recipe.variant.target == settings.app:
            yield step("verify", planned.recipe.variant, DO, "it is checked in each run"), None


def _prefetch(
    run: Run, images: Sequence[WantedImage], platform: Platform, variant: Variant | None = None
) -> Step:
    from bailing_tasks.kept import is_present
    from bailing_tasks.steps import prefetch_step

    engine = run.engine_for(platform)
    here = [image for image in images if is_present(engine, run.pins.get(image.key), image)]
    return prefetch_step(
        variant,
        platform,
        absent=[image for image in images if image not in here],
        unpinned=[image for image in here if image.key not in run.pins],
        count=len(images),
    )


def _build(run: Run, planned: BuildPlan, decision: Decision) -> Step:
    from bailing_tasks import emulation, whole_context
    from bailing_tasks.steps import DO, step

    platform = planned.recipe.variant.platform
    emulated = emulation.word(platform, run.engine_for(platform).platform)
    notes = whole_context.notes(planned.recipe, planned.inputs.files) + (
        (emulated,) if emulated and decision.action == "build" else ()
    )
    return step(
        "build",
        planned.recipe.variant,
        DO if decision.action == "build" else decision.action,
        decision.reason,
        changes=decision.changes,
        fingerprint=planned.fingerprint,
        notes=notes,
    )


def _inputs(planned: BuildPlan) -> dict[str, object]:
    from dataclasses import asdict

    return {"fingerprint": planned.fingerprint, "label": planned.label} | asdict(planned.inputs)


def _explain(run: Run, document: dict[str, object]) -> None:
    """Show all that one build is made from."""
    console = run.console
    console.say()
    console.say(f"{document['target']} {document['platform']}: {document['fingerprint']}")
    for title in ("instructions", "build_args", "images", "files"):
        found = document[title]
        assert isinstance(found, dict | tuple)
        console.say(f"{title.replace('_', ' ')} ({len(found)}):")
        if isinstance(found, dict):
            console.table((), [(f"  {name}", found[name] or "unknown") for name in sorted(found)])
            continue
        for text in found:
            console.say("  " + text.replace("\n", "\n    "))
