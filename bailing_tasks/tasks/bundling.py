"""The tasks for machines without a network: bundle-save, bundle-load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import foreseen, print_commands
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.bundle.gathering import Gatherer
    from bailing_tasks.bundle.loading import Loading
    from bailing_tasks.bundle.reading import Bundle
    from bailing_tasks.engine.base import Engine
    from bailing_tasks.prefetch import Prefetcher
    from bailing_tasks.settings import Settings
    from bailing_tasks.wanted import WantedImage


@command("file", "json", "dry_run", name="bundle-save")
def bundle_save(_context: Context, file: str, json: bool = False, dry_run: bool = False) -> None:
    """Write one file with every external and every built image, for machines without a network."""
    from bailing_tasks.bundle.contents import Contents
    from bailing_tasks.bundle.gathering import FOLDER, Gatherer, check_built
    from bailing_tasks.bundle.writing import checked, write
    from bailing_tasks.units import size

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(["all"], ["all"])
    path = checked(_path(file))
    gatherer = Gatherer(folder=run.state.folder / FOLDER, console=run.console)
    if not run.dry_run:
        run.hold()
    engines, wanted, prefetcher = _sources(run, settings, gatherer)
    if run.dry_run:
        lines = gatherer.commands(wanted, engines, prefetcher, _plans(run, settings))
        print_commands(run, "bundle-save", [*lines, f"# writes {path}"], "nothing to save")
        return
    gatherer.pin(wanted, engines, prefetcher)
    plans = _plans(run, settings)
    check_built(plans)
    external = gatherer.external(wanted, engines, prefetcher)
    built = gatherer.built(plans, settings.version)
    contents = Contents(project=settings.name, created=_time(run), external=external, built=built)
    _warn_of_contexts(run, settings, path)
    run.console.say(f"writing {path}")
    written = write(path, contents, gatherer.layout)
    gatherer.clear()
    held = sum(image.size for image in contents.images)
    run.console.say(
        f"{path}: {size(written)}; {len(external)} images from registries and {len(built)} that "
        f"were built, {size(held)} in all; what they share is in it once"
    )
    run.report(
        "bundle-save",
        {"file": str(path), "bytes": written, "images_bytes": held, **contents.document()},
    )


@command("file", "to", "json", "dry_run", name="bundle-load")
def bundle_load(
    _context: Context, file: str, to: str = "", json: bool = False, dry_run: bool = False
) -> None:
    """Bring what bundle-save wrote into the engine, or into a registry: no network is needed."""
    from bailing_tasks.bundle import ownership, reading

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(["all"], ["all"])
    path = _path(file)
    if not run.dry_run:
        run.hold()
    run.console.say(f"checking {path}")
    with reading.opened(path) as bundle:
        contents = bundle.contents
        ownership.check(contents, settings)
        run.console.say(
            f"{path}: {len(contents.external)} images from registries and {len(contents.built)} "
            f"built ones of {contents.project}"
            + (f", from {contents.created}" if contents.created else "")
        )
        if to:
            _send(run, settings, bundle, path, to)
        else:
            _load(run, settings, bundle, path)


def _send(run: Run, settings: Settings, bundle: Bundle, path: Path, to: str) -> None:
    """Bring a bundle into a registry."""
    from bailing_tasks import mirroring
    from bailing_tasks.bundle import sending

    place = mirroring.place(to)
    todo = sending.sendings(bundle, settings, place)
    if run.dry_run:
        lines = [f"# sends {each.name} to {each.destination}: {each.digest}" for each in todo]
        print_commands(run, "bundle-load", lines, "it holds nothing")
        return
    done = sending.send(bundle, todo, settings.plain_http, run.console)
    sent, present = done.count(sending.SENT), done.count(sending.PRESENT)
    run.console.say(f"bundle-load: {sent} sent, {present} present")
    images = [
        {
            "name": str(each.destination),
            "platforms": [image.platform for image in each.images],
            "digest": each.digest,
            "status": status,
        }
        for each, status in zip(todo, done, strict=True)
    ]
    counts = {"sent": sent, "present": present}
    run.report("bundle-load", {"file": str(path), "to": str(place), **counts, "images": images})


def _load(run: Run, settings: Settings, bundle: Bundle, path: Path) -> None:
    """Bring a bundle into the engines of a run."""
    from bailing_tasks.bundle import loading

    new = loading.pins(bundle, run.state.pins(), run.locked or {}, run.console)
    todo = _loadings(run, settings, bundle)
    if run.dry_run:
        lines = [line for each in todo for line in loading.commands(each, str(path))]
        lines += [f"# pins {pin.reference} ({pin.platform}) to {pin.digest}" for pin in new]
        print_commands(run, "bundle-load", lines, "all of it is here")
        return
    done = loading.load(bundle, todo, run.console)
    _record(run, [each for each, did in zip(todo, done, strict=True) if did == loading.LOADED])
    if new:
        run.state.keep_pin(*new)
        run.read_anew()
    loaded, present = done.count(loading.LOADED), done.count(loading.PRESENT)
    run.console.say(f"bundle-load: {loaded} loaded, {present} present")
    images = [
        {
            "name": each.name,
            "names": list(each.others),
            "platform": each.image.platform,
            "builder": each.engine.builder,
            "digest": each.image.digest,
            "bytes": each.image.size,
            "status": status,
        }
        for each, status in zip(todo, done, strict=True)
    ]
    counts = {"loaded": loaded, "present": present, "pinned": len(new)}
    run.report("bundle-load", {"file": str(path), **counts, "images": images})


def _record(run: Run, loaded: Sequence[Loading]) -> None:
    """Record which of its images this workspace has loaded."""
    from bailing_tasks.holding import record

    for each in loaded:
        image = None if each.pin else each.engine.image(each.name)
        if image:
            record(run.state, each.engine, image.id)


def _loadings(run: Run, settings: Settings, bundle: Bundle) -> list[Loading]:
    """Return what is brought where: an image from a registry to each engine that builds on it."""
    from bailing_tasks.bundle import loading, ownership
    from bailing_tasks.names import local_name
    from bailing_tasks.platforms import Platform

    wanting: dict[tuple[str, str], list[Engine]] = {}
    for lane, images in run.wanted(settings):
        for image in images:
            wanting.setdefault(image.key, []).append(lane.engine)
    variants = [(image, ownership.variant(image, settings)) for image in bundle.contents.built]
    return [
        loading.external(bundle, image, engine)
        for image in bundle.contents.external
        for engine in wanting.get(image.pin.key) or [run.engine_for(Platform.parse(image.platform))]
    ] + [
        loading.built(
            bundle,
            image,
            run.engine_for(variant.platform),
            variant.target,
            local_name(variant, settings, run.host),
        )
        for image, variant in variants
    ]


def _sources(
    run: Run, settings: Settings, gatherer: Gatherer
) -> tuple[Sequence[Engine], Sequence[WantedImage], Prefetcher]:
    """Return the engines, every image from a registry, and what brings those."""
    from bailing_tasks import needs
    from bailing_tasks.lanes import Lane

    engines = [lane.engine for lane in run.lanes(settings)]
    platforms = [engine.platform for engine in engines]
    required = needs.required_anywhere(settings, platforms, onbuild=run.onbuild())
    wanted = required.checked()
    place = gatherer.engine(run.host, settings.plain_http)
    lane = Lane(engine=place, settings=settings, console=run.console)
    return engines, wanted, run.prefetcher(lane)


def _plans(run: Run, settings: Settings) -> list[tuple[BuildPlan, Engine]]:
    """Return how each image of the workspace is made, and where it is."""
    steps = foreseen(run, settings, run.targets(settings), force=False)
    return [(plan, run.engine_for(plan.recipe.variant.platform)) for plan, _ in steps]


def _path(file: str) -> Path:
    from pathlib import Path

    return Path.cwd() / Path(file).expanduser()


def _warn_of_contexts(run: Run, settings: Settings, path: Path) -> None:
    """Warn of a bundle that a build would copy: it would be one of its inputs."""
    for target in run.targets(settings):
        context = (settings.root / target.context).resolve()
        if not target.from_image and path.is_relative_to(context):
            run.console.warn(
                f"{path.name} is in the build context of {target.name}: what copies all of that "
                "has it as well\nname a place outside of the workspace"
            )
            return


def _time(run: Run) -> str:
    """Return the time of what was built, by RFC 3339: a bundle of the same is the same."""
    from bailing_tasks.origin import rfc3339

    return rfc3339(int(run.origin.epoch)) if run.origin.epoch.isdecimal() else ""
