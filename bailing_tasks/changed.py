"""What an event would build: its filters of branches, tags and paths, for each target."""

from __future__ import annotations

from dataclasses import dataclass

from bailing_tasks import git, triggers
from bailing_tasks.events import PULL_REQUEST, PUSH, Event
from bailing_tasks.settings import Settings
from bailing_tasks.triggers import Verdict


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a push or a pull request brought.

    Attributes:
        files: The changed files, from the repository's root.
        commits: How many commits changed them.
    """

    files: tuple[str, ...]
    commits: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What an event builds.

    Attributes:
        event: The event.
        changes: What it brought; None where that does not count.
        targets: For each target, by name, whether it is built and why.
    """

    event: Event
    changes: Changes | None
    targets: dict[str, Verdict]


def decide(settings: Settings, event: Event) -> Decision:
    """Decide which targets an event builds, as GitHub would by filters from the settings.

    A push to a branch and a pull request are filtered by branch, then by path; the push of a tag by
    the tag alone. Other events are not filtered.

    Raises:
        UsageError: What the event is compared with is not in this clone.
    """
    verdict = _by_name(settings, event)
    compared = event.name == PULL_REQUEST or (event.name == PUSH and not event.tag)
    if not verdict.runs or not compared:
        return Decision(
            event=event,
            changes=None,
            targets={target.name: verdict for target in settings.targets},
        )
    folder = git.folder(settings.root)
    changes = Changes(
        files=git.changed_files(settings.root, event),
        commits=git.commit_count(settings.root, event),
    )
    return Decision(
        event=event,
        changes=changes,
        targets={
            target.name: triggers.decide(
                changes.files,
                paths=[triggers.from_root(pattern, folder) for pattern in target.triggers],
                commits=changes.commits,
            )
            for target in settings.targets
        },
    )


def _by_name(settings: Settings, event: Event) -> Verdict:
    """Decide by the branch or the tag alone: `ci.branches`, `ci.tags` or `ci.pull-requests`."""
    if not event.commit:
        return Verdict(runs=False, reason=f"{event.branch or event.tag} was deleted")
    if event.name == PULL_REQUEST:
        name, key, patterns = event.base_branch, "ci.pull-requests", settings.ci.pull_requests
    elif event.name == PUSH and event.tag:
        name, key, patterns = event.tag, "ci.tags", settings.ci.tags
    elif event.name == PUSH:
        name, key, patterns = event.branch, "ci.branches", settings.ci.branches
    else:
        return Verdict(runs=True, reason=f"a {event.name} is not filtered")
    pattern = triggers.deciding(patterns, name)
    if pattern is None:
        return Verdict(runs=False, reason=f"{key} does not include {name}")
    if not triggers.includes(patterns, name):
        return Verdict(runs=False, reason=f"{key} excludes {name}", pattern=pattern)
    reason = f"{key} includes {name}" + ("; files do not count for a tag" if event.tag else "")
    return Verdict(runs=True, reason=reason, pattern=pattern)
