"""What comes before images are built: the .env, the templates, the workspace's own commands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.building import print_commands
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bailing_tasks.settings import Settings

NAMED = 3
"""How many files are named."""


@command("json", "dry_run")
def configure(_context: Context, json: bool = False, dry_run: bool = False) -> None:
    """Bring .env up to date with .env.example: new names are added, values stay."""
    update_env(current(json=json, dry_run=dry_run))


@command("overwrite", "json", "dry_run")
def render(
    _context: Context, overwrite: bool = False, json: bool = False, dry_run: bool = False
) -> None:
    """Render the templates of the settings, from .env and the environment."""
    run = current(json=json, dry_run=dry_run)
    patterns = run.settings().templates
    if not patterns:
        run.console.say("no templates are set: `templates` in [tool.bailing-tasks]")
    render_templates(run, patterns, overwrite=overwrite)


def update_env(run: Run) -> None:
    """Bring `.env` up to date, or say what that would change. Values are not shown.

    Raises:
        UsageError: `.env` or its example is malformed, or cannot be read or written.
    """
    from bailing_tasks import dotenv

    if not run.dry_run:
        run.hold()
    file = dotenv.planned(run.root)
    if not run.dry_run:
        dotenv.write(run.root, file)
    say, would = run.console.say, "would be " if run.dry_run else ""
    if file.status == "new":
        say(f".env: {would}made from .env.example; look through its values")
    elif file.status == "changed":
        say(f".env: {would}added, with the values of .env.example: {', '.join(file.added)}")
    elif file.status == "unchanged":
        say(".env: unchanged")
    else:
        say("no .env.example: nothing to bring up to date")
    if file.removed:
        say(f"note: .env.example has no {', '.join(file.removed)}; .env keeps it")
    result = {"status": file.status, "added": list(file.added), "removed": list(file.removed)}
    run.report("configure", {"dry_run": run.dry_run, **result})


def render_templates(run: Run, patterns: Sequence[str], *, overwrite: bool = False) -> None:
    """Render templates, or say what that would change. What is in them is not shown.

    Raises:
        SettingsError: A pattern makes no sense.
        UsageError: A name is not defined, or a file cannot be read or written.
    """
    from collections import Counter

    from bailing_tasks import dotenv, rendering

    if not run.dry_run:
        run.hold()
    values = dotenv.variables(dotenv.planned(run.root), os.environ) if patterns else {}
    files = rendering.planned(run.root, patterns, values, overwrite=overwrite)
    if not run.dry_run:
        rendering.write(run.root, files)
    written = "would be written" if run.dry_run else "written"
    words = {rendering.NEW: written, rendering.CHANGED: written}
    for file in files:
        if file.status == rendering.KEPT:
            run.console.warn(
                f"{file.path}: kept, as it is not what was rendered: edited by hand\n"
                f"`invoke render --overwrite` renders {file.template} over it"
            )
        elif file.status != rendering.UNCHANGED:
            run.console.say(f"{file.path}: {words[file.status]}")
    if files:
        counts = Counter(words.get(file.status, file.status) for file in files)
        parts = (f"{counts[word]} {word}" for word in (written, "unchanged", "kept"))
        run.console.say(f"{len(files)} templates: {', '.join(parts)}")
    result = [{"path": f.path, "template": f.template, "status": f.status} for f in files]
    run.report("render", {"dry_run": run.dry_run, "files": result})


def prepare(run: Run, settings: Settings) -> None:
    """Render the templates and run the workspace's own commands, where the settings have any."""
    if settings.templates:
        render_templates(run, settings.templates)
    run_before_build(run, settings.before_build)


def note_templates(run: Run, settings: Settings) -> None:
    """Say which files are to be rendered before images are built.

    Raises:
        SettingsError: A pattern makes no sense.
        UsageError: A name is not defined, or a file cannot be read.
    """
    from bailing_tasks import dotenv, rendering

    if not settings.templates:
        return
    values = dotenv.variables(dotenv.planned(run.root), os.environ)
    files = rendering.planned(run.root, settings.templates, values)
    waiting = [each.path for each in files if each.status in (rendering.NEW, rendering.CHANGED)]
    if waiting:
        more = f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else ""
        run.console.say(
            f"note: {', '.join(waiting[:NAMED])}{more} will be rendered before images are built, "
            "which may change what they are made from"
        )


def run_before_build(run: Run, commands: Sequence[tuple[str, ...]]) -> None:
    """Run the workspace's own commands, or print them.

    Raises:
        BuildError: One failed, or could not be started.
        UsageError: `.env` is malformed, or cannot be read.
    """
    from dataclasses import asdict

    from bailing_tasks import before_build, dotenv, process

    if not commands:
        return
    if run.dry_run:
        print_commands(run, "before-build", [process.quote(argv) for argv in commands], "")
        return
    run.hold()
    variables = dotenv.variables(dotenv.planned(run.root), os.environ)
    done = before_build.run_commands(run.root, commands, variables, run.console)
    run.report("before-build", {"dry_run": False, "commands": [asdict(each) for each in done]})
