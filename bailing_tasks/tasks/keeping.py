"""The tasks about what builds leave behind: history, clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import current

if TYPE_CHECKING:
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
