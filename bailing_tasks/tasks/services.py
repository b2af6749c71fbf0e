"""The tasks for many images: services, build-service, build-all, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import fetch, foreseen, named_target
from bailing_tasks.tasks.building_services import Wishes, build_services
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bailing_tasks.recipes import Recipe
    from bailing_tasks.settings import Settings


@command("platform", "json")
def services(_context: Context, platform: list[str], json: bool = False) -> None:
    """List the services: their images, and what each is built on."""
    run = current(json=json)
    settings = run.settings(platform)
    recipes = [each for target in settings.services for each in run.recipes(settings, target)]
    if not recipes:
        run.console.say(
            'there are no services: name their Dockerfiles, services = ["src/*/Dockerfile"] in '
            "[tool.bailing-tasks]"
        )
    else:
        run.console.table(
            ("service", "made from", "context", "image", "external images", "needs"),
            list(dict.fromkeys(map(_row, recipes))),
        )
    run.report("services", {"services": [_described(recipe) for recipe in recipes]})
    run.in_order(settings, recipes)


@command(
    "platform",
    "force",
    "jobs",
    "keep_going",
    "frozen",
    "offline",
    "strict",
    "json",
    "dry_run",
    name="build-service",
    several="names",
)
def build_service(
    _context: Context,
    names: list[str],
    platform: list[str],
    force: bool = False,
    jobs: str = "",
    keep_going: bool = False,
    frozen: bool = False,
    offline: bool = False,
    strict: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Build services, and before them what they are built on; their base images come first."""
    run = current(json=json, dry_run=dry_run, frozen=frozen, offline=offline)
    settings = run.settings(platform)
    chosen = [named_target(settings, name) for name in dict.fromkeys(names)]
    wishes = Wishes.read(force=force, jobs=jobs, keep_going=keep_going, strict=strict)
    fetch(run, _wanted(run, settings, chosen), choose=wishes.choose)
    build_services(run, "build-service", settings, chosen, wishes)


def _wanted(run, settings, chosen):
    ...
