"""The tasks about events: changed, tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bailing_tasks.changed import Decision
    from bailing_tasks.events import Event
    from bailing_tasks.refusals import Refused
    from bailing_tasks.settings import Settings
    from bailing_tasks.tags import TargetTags


@command("event", "base", "json")
def changed(_context: Context, event: str = "", base: str = "", json: bool = False) -> None:
    """Say which targets a push, a pull request or a tag would build, and why."""
    from bailing_tasks import needs
    from bailing_tasks.changed import decide
    from bailing_tasks.refusals import check

    run = current(json=json)
    settings = run.settings()
    decision = decide(settings, read_event(run, settings, event, base), onbuild=run.onbuild())
    refused = needs.refused(settings, onbuild=run.onbuild())
    show_changes(run, decision, refused)
    check(refused)


@command("event", "offline", "json")
def tags(_context: Context, event: str = "", offline: bool = False, json: bool = False) -> None:
    """List the tags that each target gets for an event, and why `latest` is among them or not."""
    run = current(json=json, offline=offline)
    settings = run.settings()
    happened = read_event(run, settings, event)
    run.console.say(str(happened))
    show_tags(run, settings, happened, at_top=True)


def show_tags(
    run: Run, settings: Settings, event: Event, *, at_top: bool = False
) -> tuple[TargetTags, ...]:
    """Show, report and return the tags that each target gets for an event."""
    from dataclasses import asdict

    from bailing_tasks.tagging import plan_tags

    planned = plan_tags(settings, event, offline=run.offline)
    run.console.table(
        ("target", "tag", "rule"),
        [(made.target, each.tag, each.rule) for made in planned for each in made.tags],
    )
    for why in dict.fromkeys(made.latest for made in planned):
        names = ", ".join(made.target for made in planned if made.latest == why)
        run.console.say(f"latest of {names}: {why}")
    targets = {
        made.target: {
            "tags": [{"tag": each.tag, "rule": each.rule} for each in made.tags],
            "latest": made.latest,
        }
        for made in planned
    }
    run.report("tags", {"event": asdict(event), "targets": targets}, at_top=at_top)
    return planned


def read_event(run: Run, settings: Settings, event: str, base: str = "") -> Event:
    """Return the event that a task was told, or the one that it runs for."""
    import os

    from bailing_tasks import event_sources

    return event_sources.read(
        event,
        root=run.root,
        settings=settings,
        environment=os.environ,
        base=base,
        say=run.console.say,
    )


def show_changes(run: Run, decision: Decision, refused: Sequence[Refused] = ()) -> None:
    """Show and report what an event builds, and what cannot be built."""
    from dataclasses import asdict

    from bailing_tasks import git
    from bailing_tasks.refusals import documents

    event, changes = decision.event, decision.changes
    compared = f", compared with {event.base[:7]}" if event.base else ""
    run.console.say(f"{event}{compared}")
    if changes:
        run.console.say(f"changed files: {len(changes.files)}, commits: {changes.commits}")
        if event.commit == git.head(run.root) and git.uncommitted(run.root):
            run.console.say("uncommitted changes are no part of it")
    run.console.table(
        ("target", "built", "why", "pattern"),
        [
            (name, "yes" if verdict.runs else "no", verdict.reason, verdict.pattern)
            for name, verdict in decision.targets.items()
        ],
    )
    for warning in decision.warnings:
        run.console.warn(warning)
    run.report(
        "changed",
        {
            "event": asdict(event),
            "files": len(changes.files) if changes else None,
            "commits": changes.commits if changes else None,
            "targets": {name: asdict(verdict) for name, verdict in decision.targets.items()},
            "warnings": list(decision.warnings),
            "refused": documents(refused),
        },
    )
