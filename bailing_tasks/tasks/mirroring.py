"""The tasks for networks that reach one registry alone: mirror-push, pull-all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import fetch, print_commands
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.pipeline import chooser
from bailing_tasks.tasks.refusing import plans_of, warn_of
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.lanes import Lane
    from bailing_tasks.mirroring import Place
    from bailing_tasks.outcomes import Outcome
    from bailing_tasks.refusals import Refused
    from bailing_tasks.settings import Settings
    from bailing_tasks.variants import Key, Variant
    from bailing_tasks.wanted import WantedImage


@command("place", "json", "dry_run", name="mirror-push")
def mirror_push(_context: Context, place: str, json: bool = False, dry_run: bool = False) -> None:
    """Copy every external image, all platforms, to REGISTRY/PROJECT, registry to registry."""
    from dataclasses import asdict, replace

    from bailing_tasks import locking, mirroring, needs
    from bailing_tasks.engine.copying import Copies
    from bailing_tasks.mirror_push import Mirror
    from bailing_tasks.refusals import check, documents
    from bailing_tasks.retry import retried

    run = current(json=json, dry_run=dry_run)
    to = mirroring.place(place)
    settings = run.settings(["all"], ["all"])
    lanes = run.lanes(settings)
    platforms = [lane.engine.platform for lane in lanes]
    wanted, refused = needs.required_anywhere(settings, platforms, onbuild=run.onbuild())
    warn_of(run, refused)
    # What an engine has under a name alone, as a prefetch may have found it, no registry knows.
    pins = locking.bind(run.state.pins(), run.locked or {})
    copies = mirroring.copies(wanted, pins, to, settings.mirror_names)
    elsewhere = replace(settings, mirrors=mirroring.without(settings.mirrors, to))
    mirror = Mirror(
        resolver=run.resolver(replace(lanes[0], settings=elsewhere)),
        registries=Copies(settings.plain_http),
        console=run.console,
        jobs=settings.prefetch.jobs,
    )
    if run.dry_run:
        nothing = f"{len(copies)} images, all present"
        print_commands(run, "mirror-push", mirror.commands(copies), nothing)
        check(refused)
        return
    if copies:  # one that cannot be reached is not tried for each image
        retried(lambda: mirror.registries.standing(copies[0].destination), lambda *_: None)
    with run.console.group(f"mirror-push: {len(copies)} images to {to}"):
        result = mirror.push(copies)
    run.console.say(f"mirror-push: {result}")
    hosts = {image.reference.host for image in wanted}
    lines = mirroring.mirrors_setting(hosts, to, settings.mirror_names)
    if result.counts()["failed"] < len(copies):
        run.console.say("on the other network, in pyproject.toml:")
        for line in lines:
            run.console.say(f"  {line}".rstrip())
    mirrors = mirroring.mirrors(hosts, to, settings.mirror_names)
    documented = {"mirrors": mirrors, "refused": documents(refused)}
    run.report("mirror-push", {**result.counts(), **asdict(result), **documented})
    result.check()
    check(refused)


@command(
    "place",
    "platform",
    "python",
    "jobs",
    "timeout",
    "on_failure",
    "strict",
    "json",
    "dry_run",
    name="pull-all",
)
def pull_all(
    _context: Context,
    place: str,
    platform: list[str],
    python: list[str],
    jobs: str = "",
    timeout: str = "",
    on_failure: str = "",
    strict: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Pull every external image, and every image built here, from REGISTRY/PROJECT."""
    from bailing_tasks import mirroring
    from bailing_tasks.refusals import check

    run = current(json=json, dry_run=dry_run)
    at = mirroring.place(place)
    settings = run.settings(platform, python, jobs=jobs, timeout=timeout)
    mirroring.check_distinct([each for each in settings.targets if not each.from_image], at)
    choose = chooser(run, "stop" if strict else on_failure)
    refused = _externals(run, settings, at, choose)
    _built(run, settings, at, choose)
    check(refused)


def _externals(
    run: Run, settings: Settings, at: Place, choose: Callable[[Sequence[Outcome]], str]
) -> Sequence[Refused]:
    """Bring the external images, from the place first; return what could not be read."""
    from dataclasses import replace

    from bailing_tasks.kept import is_present
    from bailing_tasks.mirroring import through

    if not run.dry_run:
        run.hold()
    required = run.required(settings)
    parts = [(lane, found.images) for lane, found in required]
    refused = [each for _, found in required for each in found.refused]
    hosts = {image.reference.host for _, images in parts for image in images}
    for lane, images in parts:
        for image in images:
            pin = run.pins.get(image.key)
            if pin and not is_present(lane.engine, pin, image):
                # The same image, but from the place.
                run.pins[image.key] = replace(pin, served_from="")
    lanes = [
        (replace(lane, settings=through(lane.settings, at, hosts)), images)
        for lane, images in parts
    ]
    fetch(run, lambda: lanes, choose=choose, refused=refused)
    return refused


def _built(
    run: Run, settings: Settings, at: Place, choose: Callable[[Sequence[Outcome]], str]
) -> None:
    """Bring the images that are built elsewhere, and give them their names here."""
    from dataclasses import asdict

    from bailing_tasks import pull_all

    host, lanes = run.host, run.lanes(settings)
    found = [(lane, variant, image) for lane in lanes for variant, image in _there(run, lane, at)]
    # What is only another image under a name of its own came as such.
    built = [(lane, image) for lane, variant, image in found if not variant.target.from_image]
    parts = [(lane, [image for its, image in built if its is lane]) for lane in lanes]
    fetch(run, lambda: parts, refresh=True, choose=choose, name="pull-built")
    if run.dry_run:
        lines = [
            pull_all.command(variant, image, run.pins, lane.engine, settings=settings, host=host)
            for lane, variant, image in found
        ]
        print_commands(run, "pull-all", lines, "nothing is built here")
        return
    plans = _plans(run, settings)
    # Each after what it is built on, as they are planned.
    order = {key: number for number, key in enumerate(plans)}
    found.sort(key=lambda each: order.get(each[1].key, len(order)))
    names = [
        pull_all.named(
            variant,
            image,
            plans.get(variant.key),
            pins=run.pins,
            engine=lane.engine,
            settings=settings,
            host=host,
            state=run.state,
        )
        for lane, variant, image in found
    ]
    here = [each for each in names if each]
    for each in here:
        run.console.say(str(each))
    run.report("pull-all", {"images": [asdict(each) for each in here]})


def _there(run: Run, lane: Lane, at: Place) -> list[tuple[Variant, WantedImage]]:
    """Return what the images of a lane are called in a place."""
    from bailing_tasks.parallel import in_parallel
    from bailing_tasks.pull_all import there
    from bailing_tasks.variants import variants

    settings, resolver = lane.settings, run.resolver(lane)
    version = settings.version or run.origin.named
    wanted = [
        variant
        for target in run.targets(settings)
        for variant in variants(settings, target, lane.engine.platform)
    ]
    found = in_parallel(
        lambda variant: there(variant, at, version, settings=settings, resolver=resolver),
        wanted,
        jobs=settings.prefetch.jobs,
    )
    names = {variant.key: image for variant, image in found}
    return [(variant, names[variant.key]) for variant in wanted]


def _plans(run: Run, settings: Settings) -> dict[Key, BuildPlan]:
    """Return how the images would be built here, as far as that can be told."""
    from contextlib import suppress

    from bailing_tasks.errors import BailingError
    from bailing_tasks.refusals import split

    plans: list[BuildPlan] = []
    with suppress(BailingError):
        readings = run.recipes(settings, *run.targets(settings))
        plans, _ = split(plans_of(run, settings, run.in_order(settings, readings)))
    return {plan.recipe.variant.key: plan for plan in plans}
