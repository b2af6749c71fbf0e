"""The tasks about what builds leave behind: history, clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.asking import ask
from bailing_tasks.tasks.building import print_commands
from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bailing_tasks.cleaning import Removal
    from bailing_tasks.engine.base import Engine
    from bailing_tasks.history import Build


@command("last", "json")
def history(_context: Context, last: str = "20", json: bool = False) -> None:
    """List the last builds, the newest last: when, result, seconds and reason."""
    from dataclasses import asdict

    from bailing_tasks.errors import UsageError

    run = current(json=json)
    if not last.isdecimal() or not int(last):
        raise UsageError(f"--last {last} is no number of builds", remedy="--last 20 lists twenty")
    found = run.history.read(int(last))
    run.console.table(
        ("when", "target", "platform", "result", "seconds", "why"), list(map(_row, found))
    )
    run.report("history", {"builds": [asdict(build) for build in found]})


def _row(build: Build) -> tuple[str, ...]:
    from datetime import datetime

    target = f"{build.target} (Python {build.python})" if build.python else build.target
    why = "; ".join(filter(None, (build.reason, build.cause.partition("\n")[0])))
    when = datetime.fromisoformat(build.began).astimezone()
    return (
        f"{when:%Y-%m-%d %H:%M:%S}",
        target,
        build.platform,
        build.result,
        f"{build.seconds:.1f}",
        why,
    )


@command("all", "yes", "json", "dry_run")
def clean(
    _context: Context,
    all: bool = False,  # noqa: A002
    yes: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Remove the images that were built here and that a later build has superseded."""
    from bailing_tasks.cleaning import commands
    from bailing_tasks.units import size

    run = current(json=json, dry_run=dry_run)
    if not run.dry_run:
        run.hold()
    found = _removals(run, everything=all)
    left = {engine: count for engine in found if (count := engine.collect(dry_run=True))}
    each = [(engine, removal) for engine, of_one in found.items() for removal in of_one]
    _show(run, [removal for _, removal in each])
    if run.dry_run:
        lines = [line for engine, removal in each for line in commands(engine, removal)]
        lines += [f"# frees {size(count)} that no image needs" for count in left.values()]
        print_commands(run, "clean", lines, "nothing to remove")
        return
    if each or left:
        total = size(sum(removal.size for _, removal in each) + sum(left.values()))
        question = f"remove {len(each)} images ({total}, less what others share)?"
        ask(run, question, yes=yes, does="removes them")
    _remove(run, each, list(found))


def _removals(run: Run, *, everything: bool) -> dict[Engine, tuple[Removal, ...]]:
    """Return for each engine of the workspace what is to go."""
    from bailing_tasks.cleaning import removals, repositories
    from bailing_tasks.holding import recorded

    settings = run.settings(["all"], ["all"])
    return {
        lane.engine: removals(
            lane.engine.images(repositories(settings.targets)),
            settings.targets,
            recorded(run.state, lane.engine),
            workspace=run.state.workspace,
            everything=everything,
        )
        for lane in run.lanes(settings)
    }


def _show(run: Run, found: Sequence[Removal]) -> None:
    from bailing_tasks.units import size

    rows = [
        (", ".join(each.names), each.target, each.platform, size(each.size), _why(each))
        for each in found
    ]
    run.console.table(("image", "target", "platform", "size", "why") if rows else (), rows)


def _why(removal: Removal) -> str:
    stays = f"; stays as {', '.join(removal.stays_as)}" if removal.stays_as else ""
    return f"{removal.why}{stays}"


def _remove(run: Run, found: Sequence[tuple[Engine, Removal]], engines: Sequence[Engine]) -> None:
    from dataclasses import asdict

    from bailing_tasks.cleaning import remove
    from bailing_tasks.holding import forget
    from bailing_tasks.made import forget_all
    from bailing_tasks.units import size

    gone, kept = [], []
    images: dict[Engine, list[str]] = {}
    if any(removal.releases for _, removal in found):
        forget_all(run.state)
    for engine, removal in found:
        if cause := remove(engine, removal):
            run.console.warn(f"{removal.names[-1]} stays\n{cause}")
            kept.append({**asdict(removal), "cause": cause})
            continue
        gone.append(asdict(removal))
        if not removal.stays_as:
            images.setdefault(engine, []).append(removal.image)
    for engine, of_one in images.items():
        forget(run.state, engine, of_one)
    freed = sum(engine.collect(dry_run=False) for engine in engines)
    done = f"{len(gone)} images removed" if found else "nothing to remove"
    run.console.say(f"{done}, {size(freed)} freed here" if freed else done)
    run.report("clean", {"removed": gone, "kept": kept, "freed_bytes": freed})
