"""The task that tells what a run would do: plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import foreseen, named_target
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.preparing import note_templates
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.decision import Decision
    from bailing_tasks.platforms import Platform
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

    from bailing_tasks import steps

    run = current(json=json, offline=offline)
    settings = run.settings(platform, python)
    explained = named_target(settings, explain) if explain else None
    found: list[Step] = []
    inputs: list[dict[str, object]] = []
    for each, planned in _steps(run, settings, force=force):
        found.append(each)
        if planned and planned.recipe.variant.target == explained:
            inputs.append({"target": each.target, "platform": each.platform} | _inputs(planned))
    run.console.table(("step", "target", "platform", "python", "action", "why"), steps.rows(found))
    for note in dict.fromkeys(note for each in found for note in each.notes):
        run.console.say(f"note: {note}")
    note_templates(run, settings)
    for document in inputs:
        _explain(run, document)
    result: dict[str, object] = {"steps": [asdict(each) for each in found]}
    run.report("plan", result | ({"inputs": inputs} if explain else {}))


def _steps(run: Run, settings: Settings, *, force: bool) -> Iterator[tuple[Step, BuildPlan | None]]:
    """Yield the steps of `prefetch build-builder build-app verify`, builds with their plans."""
    from bailing_tasks import needs
    from bailing_tasks.steps import DO, step
    from bailing_tasks.wanted import wanted_images

    builds = list(foreseen(run, settings, run.targets(settings), force=force))
    for planned, _ in builds:
        recipe = planned.recipe
        yield _prefetch(run, wanted_images([recipe]), recipe.variant.platform, recipe.variant), None
    for lane in run.lanes(settings):
        extra = needs.named_by_no_dockerfile(lane.settings, lane.engine.platform)
        for platform in lane.settings.platforms:
            if images := [image for image in extra if image.platform == platform]:
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
