"""The tasks for networks that reach one registry alone: mirror-push, pull-all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import chooser, fetch, print_commands
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.lanes import Lane
    from bailing_tasks.mirroring import Place
    from bailing_tasks.settings import Settings
    from bailing_tasks.variants import Variant
    from bailing_tasks.wanted import WantedImage


@command("place", "json", "dry_run", name="mirror-push")
def mirror_push(
    _context: Context, place: str, json: bool = False, dry_run: bool = False
) -> None:
    """Copy every external image, all platforms, to REGISTRY/PROJECT, registry to registry."""
    from dataclasses import asdict, replace

    from bailing_tasks import locking, mirroring, needs
    from bailing_tasks.engine.copying import Copies
    from bailing_tasks.mirror_push import Mirror

    run = current(json=json, dry_run=dry_run)
    to = mirroring.place(place)
    settings = run.settings(["all"], ["all"])
    lanes = run.lanes(settings)
    wanted = needs.wanted_anywhere(settings, [lane.engine.platform for lane in lanes])
    # What an engine has under a name alone, as a prefetch may have found it, no registry knows.
    pins = locking.bind(run.state.pins(), run.locked or {})
    copies = mirroring.copies(wanted, pins, to, mirror_names(settings))
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
        return
    with run.console.group(f"mirror-push: {len(copies)} images to {to}"):
        result = mirror.push(copies)
    run.console.say(f"mirror-push: {result}")
    hosts = {image.reference.host for image in wanted}
    lines = mirroring.mirrors_setting(hosts, to, mirror_names(settings))
    run.console.say("on the other network, in pyproject.toml:")
    for line in lines:
        run.console.say(f"  {line}".rstrip())
    mirrors = mirroring.mirrors(hosts, to, mirror_names(settings))
    run.report("mirror-push", {**result.counts(), **asdict(result), "mirrors": mirrors})
    result.check()


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

    run = current(json=json, dry_run=dry_run)
    at = mirroring.place(place)
    settings = run.settings(platform, python, jobs=jobs, timeout=timeout)
    wish = "stop" if strict else on_failure
    _externals(run, settings, at, wish)
    _built(run, settings, at, wish)


def mirror_names(settings: Settings) -> Mapping[str, str]:
    """Return the folders of a mirror that the settings name, by host."""
    return getattr(settings, "mirror_names", {})


def _externals(run: Run, settings: Settings, at: Place, wish: str) -> None:
    """Bring the external images, through the mirror."""
    from dataclasses import replace

    from bailing_tasks.kept import is_present
    from bailing_tasks.mirroring import through

    if not run.dry_run:
        run.hold()
    parts = run.wanted(settings)
    hosts = {image.reference.host for _, images in parts for image in images}
    from_there = through(settings, at, hosts, mirror_names(settings))
    for lane, images in parts:
        for image in images:
            pin = run.pins.get(image.key)
            if pin and not is_present(lane.engine, pin, image):
                # The same image, from wherever the settings of this run say.
                run.pins[image.key] = replace(pin, served_from="")
    fetch(run, [(_through(lane, from_there), images) for lane, images in parts], choose=chooser(run, wish))


def _through(lane: Lane, settings: Settings) -> Lane:
    """Return a lane whose images come from the mirrors of some settings."""
    from dataclasses import replace

    mirrors, prefetch = settings.mirrors, settings.prefetch
    return replace(lane, settings=replace(lane.settings, mirrors=mirrors, prefetch=prefetch))


def _built(run: Run, settings: Settings, at: Place, wish: str) -> None:
    """Bring the images that the workspace builds, and give them their names."""
    parts = [(lane, _there(run, lane, at)) for lane in run.lanes(settings)]
    fetch(
        run,
        [(lane, list(found.values())) for lane, found in parts],
        refresh=True,
        choose=chooser(run, wish),
        name="pull-all",
    )
