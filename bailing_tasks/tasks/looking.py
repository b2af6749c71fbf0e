"""The tasks that only look: images, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bailing_tasks.engine.base import Engine
    from bailing_tasks.needs import Required
    from bailing_tasks.refusals import Refused
    from bailing_tasks.settings import Settings
    from bailing_tasks.wanted import WantedImage


@command("dockerfile", "target", "platform", "python", "build_arg", "all_stages", "json")
def images(
    _context: Context,
    dockerfile: list[str],
    platform: list[str],
    python: list[str],
    build_arg: list[str],
    target: str = "",
    all_stages: bool = False,
    json: bool = False,
) -> None:
    """List the external images of all targets: platform, where named, present or not."""
    import os
    from pathlib import Path

    from bailing_tasks import needs
    from bailing_tasks.refusals import check

    run = current(json=json)
    settings = run.settings(platform, python)
    arguments = needs.build_arguments(build_arg, os.environ)
    paths = [os.path.relpath(Path.cwd() / path, run.root) for path in dockerfile]

    def required(settings: Settings, engine: Engine | None) -> Required:
        host = engine.platform if engine else needs.machine()
        if paths:
            return needs.of_dockerfiles(
                settings, host, paths, stage=target, build_args=arguments, all_stages=all_stages
            )
        chosen = needs.narrowed(settings, stage=target, build_args=arguments)
        return needs.required(chosen, host, all_stages=all_stages, onbuild=run.onbuild(engine))

    found: dict[tuple[str, str], tuple[WantedImage, bool | None]] = {}
    refused: list[Refused] = []
    for engine, of_engine in _engines(run, settings):
        of_one = required(of_engine, engine)
        refused += of_one.refused
        for image in of_one.images:
            here = _presence(run, engine, image)
            if image.key in found:  # in the engines of several platforms
                here = here and found[image.key][1]
            found[image.key] = (image, here)
    _show_images(run, [found[key] for key in sorted(found)], refused)
    check(refused)


def _show_images(
    run: Run, images: Sequence[tuple[WantedImage, bool | None]], refused: Sequence[Refused]
) -> None:
    from bailing_tasks.refusals import documents

    found = [
        {
            "reference": str(image.reference),
            "platform": str(image.platform),
            "named_at": list(image.named_at),
            "targets": list(image.targets),
            "present": present,
        }
        for image, present in images
    ]
    words = {True: "yes", False: "no", None: "unknown"}
    run.console.table(
        ("image", "platform", "named at", "needed by", "present"),
        [
            (
                image.reference.familiar,
                str(image.platform),
                ", ".join(image.named_at),
                ", ".join(image.targets),
                words[present],
            )
            for image, present in images
        ],
    )
    run.report("images", {"images": found, "refused": documents(refused)})


@command("platform", "python", "json")
def settings(_context: Context, platform: list[str], python: list[str], json: bool = False) -> None:
    """List every setting with its value and where it came from."""
    import json as json_format
    from contextlib import suppress

    from bailing_tasks import installed
    from bailing_tasks.configuration import flatten
    from bailing_tasks.errors import SettingsError

    run = current(json=json)
    found = run.settings(platform, python)
    derived = _triggers(run, found)
    origins = {**found.origins, **dict.fromkeys(derived, "Dockerfile")}
    with suppress(SettingsError):  # ci-write reports it
        install = installed.install(found)
        derived[installed.KEY], origins[installed.KEY] = install.command, install.origin
    values = flatten(found) | derived
    run.console.table(
        ("setting", "from", "value"),
        [
            (key, origins[key], value if isinstance(value, str) else json_format.dumps(value))
            for key, value in values.items()
        ],
    )
    run.report(
        "settings",
        {
            "settings": {
                key: {"value": value, "origin": origins[key]} for key, value in values.items()
            }
        },
    )


def _triggers(run: Run, settings: Settings) -> dict[str, Any]:
    """Return the triggers of builder and app that follow from Dockerfiles, by their keys."""
    from contextlib import suppress

    from bailing_tasks.errors import DockerfileError, UsageError
    from bailing_tasks.trigger_reader import TriggerReader

    reader = TriggerReader(settings, onbuild=run.onbuild())
    found = {}
    for target in settings.pair:
        with suppress(DockerfileError, UsageError):  # what builds it says so
            found[f"{target.name}.triggers"] = list(reader.of(target).paths)
    return {key: paths for key, paths in found.items() if not settings.given[key]}


def _engines(run: Run, settings: Settings) -> list[tuple[Engine | None, Settings]]:
    """Return the engines, each with the settings of its platforms.

    None, and a word about it, where one cannot be asked.
    """
    from bailing_tasks.errors import EngineError

    try:
        return [(lane.engine, lane.settings) for lane in run.lanes(settings)]
    except EngineError as error:
        run.console.say(f"presence is unknown: {error.message}")
        return [(None, settings)]


def _presence(run: Run, engine: Engine | None, image: WantedImage) -> bool | None:
    from bailing_tasks.kept import is_present

    return is_present(engine, run.pins.get(image.key), image) if engine else None
