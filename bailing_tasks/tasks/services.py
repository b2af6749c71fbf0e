"""The tasks for many images: services, build-service, build-all, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from bailing_tasks.tasks.batching import Wishes, build_targets, outlook
from bailing_tasks.tasks.building import fetch, named_target
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.pipeline import chooser
from bailing_tasks.tasks.pointing import report_names
from bailing_tasks.tasks.preparing import (
    note_templates,
    prepare,
    render_templates,
    run_before_build,
    update_env,
)
from bailing_tasks.tasks.refusing import buildable, unread
from bailing_tasks.tasks.run import Run, current
from bailing_tasks.tasks.several import WordsTask

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bailing_tasks.lanes import Lane
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.refusals import Refusal
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.variants import Variant
    from bailing_tasks.wanted import WantedImage

NO_SERVICES = (
    'there are no services: name their Dockerfiles, such as services = ["src/*/Dockerfile"] in '
    "[tool.bailing-tasks]"
)


@command("platform", "json")
def services(_context: Context, platform: list[str], json: bool = False) -> None:
    """List the services: their images, and what each is built on. No engine is asked."""
    from bailing_tasks import needs
    from bailing_tasks.order import in_order
    from bailing_tasks.refusals import check, documents, split

    run = current(json=json)
    settings = run.settings(platform)
    host = needs.machine()
    onbuild = run.onbuild()
    readings = [
        each
        for one in settings.services
        for each in needs.recipes(settings, one, host, onbuild=onbuild)
    ]
    described: dict[str, dict[str, Any]] = {}
    for reading in readings:
        found = described.setdefault(reading.variant.target.name, _described(reading))
        for key in ("external", "needs"):  # which may differ from platform to platform
            found[key] = sorted({*found[key], *_described(reading)[key]})
    _, refused = split(
        in_order(readings, lambda need: needs.read(settings, need, host, onbuild=onbuild))
    )
    if described:
        headings = ("service", "made from", "context", "image", "external images", "needs")
        names = {each.variant.target.name for each in refused}
        run.console.table(headings, [_row(each, names) for each in described.values()])
    else:
        run.console.say(NO_SERVICES)
    listed = {"services": list(described.values()), "refused": documents(refused)}
    run.report("services", listed)
    check(refused)


@command(
    "names",
    "platform",
    "force",
    "jobs",
    "keep_going",
    "strict",
    "frozen",
    "offline",
    "json",
    "dry_run",
    name="build-service",
    klass=WordsTask,
)
def build_service(
    _context: Context,
    names: list[str],
    platform: list[str],
    force: bool = False,
    jobs: str = "",
    keep_going: bool = False,
    strict: bool = False,
    frozen: bool = False,
    offline: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Build services, after what they are built on and the base images of all of it."""
    from bailing_tasks.refusals import check

    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    settings = run.settings(platform)
    chosen = [named_target(settings, name) for name in dict.fromkeys(names)]
    wishes = Wishes.read(jobs=jobs, force=force, keep_going=keep_going)
    prepare(run, settings)
    _, refused = _wanted(run, settings, chosen)
    if not keep_going:
        check(refused)
    fetch(
        run,
        lambda: _wanted(run, settings, chosen)[0],
        choose=chooser(run, "stop" if strict else ""),
        refused=refused,
    )
    build_targets(run, "build-service", settings, chosen, wishes)


@command(
    "platform",
    "python",
    "force",
    "jobs",
    "keep_going",
    "overwrite",
    "strict",
    "frozen",
    "offline",
    "json",
    "dry_run",
    name="build-all",
)
def build_all(
    _context: Context,
    platform: list[str],
    python: list[str],
    force: bool = False,
    jobs: str = "",
    keep_going: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    frozen: bool = False,
    offline: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Prefetch all base images, bring configuration up to date, render templates, build all."""
    from bailing_tasks.refusals import Refusal, check, split

    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    run.overwrite = overwrite
    settings = run.settings(platform, python)
    wishes = Wishes.read(jobs=jobs, force=force, keep_going=keep_going)
    console = run.console
    _, refused = split(buildable(run, settings, run.targets(settings), prepared=False))
    if not (keep_going or settings.before_build):  # which may write Dockerfiles
        check(refused)
    console.say("==> step 1 of 4: base images")
    files = [each for each in unread(run, settings) if not isinstance(each, Refusal)]
    choose = chooser(run, "stop" if strict else "")
    fetch(run, lambda: run.wanted(settings), choose=choose, refused=[*refused, *files])
    console.say("==> step 2 of 4: configuration")
    update_env(run)
    console.say("==> step 3 of 4: templates")
    render_templates(run, settings.templates, overwrite=overwrite)
    run_before_build(run, settings.before_build)
    console.say("==> step 4 of 4: images")
    run.read_settings_anew()
    settings = run.settings(platform, python)
    build_targets(run, "build-all", settings, run.targets(settings), wishes)
    check(files)


@command("platform", "offline", "json")
def status(
    _context: Context, platform: list[str], offline: bool = False, json: bool = False
) -> None:
    """Tell of each image of each platform whether it is up to date, or why not."""
    from bailing_tasks.names import local_name
    from bailing_tasks.refusals import check, documents

    run = current(json=json, offline=offline)
    settings = run.settings(platform or ["all"], ["all"])
    steps, refused = outlook(run, settings)
    elsewhere = report_names(run, [plan for plan, _ in steps])
    found = [
        _state(
            plan.recipe.variant,
            plan.name,
            decision.reason,
            kept=plan.kept,
            points_elsewhere=plan.recipe.variant.key in elsewhere,
            up_to_date=decision.action == "skip",
            fingerprint=plan.fingerprint,
        )
        for plan, decision in steps
    ] + [
        _state(each.variant, local_name(each.variant, settings, run.host), each.reason)
        for each in refused
    ]
    run.console.table(
        ("image", "platform", "status", "why"),
        [
            (
                str(each["image"]),
                str(each["platform"]),
                "up to date" if each["up_to_date"] else "not up to date",
                str(each["reason"]),
            )
            for each in found
        ],
    )
    current_ones = sum(bool(each["up_to_date"]) for each in found)
    run.console.say(f"{current_ones} of {len(found)} up to date")
    run.report("status", {"images": found, "refused": documents(refused)})
    note_templates(run, settings)
    check(refused)


def _state(
    variant: Variant,
    image: str,
    reason: str,
    *,
    kept: str = "",
    points_elsewhere: bool = False,
    up_to_date: bool = False,
    fingerprint: str = "",
) -> dict[str, Any]:
    """Return what `status` says of one image, as plain data."""
    return {
        "target": variant.target.name,
        "platform": str(variant.platform),
        "python": variant.python,
        "image": image,
        "kept": kept,
        "points_elsewhere": points_elsewhere,
        "up_to_date": up_to_date,
        "reason": reason,
        "fingerprint": fingerprint,
    }


def _wanted(
    run: Run, settings: Settings, chosen: Sequence[Target]
) -> tuple[list[tuple[Lane, Sequence[WantedImage]]], list[Refusal]]:
    """Return the external images of targets and of what they need, and what is refused of them."""
    from bailing_tasks.refusals import split
    from bailing_tasks.wanted import wanted_images

    parts: list[tuple[Lane, Sequence[WantedImage]]] = []
    refused: list[Refusal] = []
    for lane in run.lanes(settings):
        recipes, of_lane = split(buildable(run, lane.settings, chosen))
        parts.append((lane, wanted_images(recipes)))
        refused += of_lane
    return parts, refused


def _described(reading: Recipe | Refusal) -> dict[str, Any]:
    from bailing_tasks.refusals import split

    target = reading.variant.target
    recipes, _ = split([reading])  # one, or none
    arguments = [each.build_args for each in recipes] or [target.build_args]
    return {
        "name": target.name,
        "dockerfile": target.dockerfile,
        "stage": target.stage,
        "from_image": target.from_image,
        "context": target.context,
        "image": f"{target.image}:{target.tag}",
        "repository": target.repository,
        "build_args": dict(*arguments),
        "external": sorted({i.reference.familiar for each in recipes for i in each.external}),
        "needs": sorted({need.target.name for each in recipes for need in each.needs}),
    }


def _row(service: dict[str, Any], refused: Collection[str]) -> tuple[str, ...]:
    made_from = service["dockerfile"] or f"(image) {service['from_image']}"
    stage = f" ({service['stage']})" if service["stage"] else ""
    return (
        service["name"],
        f"{made_from}{stage}",
        service["context"] if service["dockerfile"] else "-",
        service["image"],
        ", ".join(service["external"]) or ("refused" if service["name"] in refused else "-"),
        ", ".join(service["needs"]) or "-",
    )
