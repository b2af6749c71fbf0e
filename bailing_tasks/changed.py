"""What an event would build: its filters of branches, tags and paths, for each target."""

from __future__ import annotations

from dataclasses import dataclass

from bailing_tasks import git, needs, triggers
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.events import PULL_REQUEST, PUSH, Event
from bailing_tasks.github_paths import EVERYTHING
from bailing_tasks.recipes import OnBuildLookup, unknown
from bailing_tasks.settings import Settings, Target
from bailing_tasks.target_triggers import TargetTriggers, Written
from bailing_tasks.trigger_reader import TriggerReader
from bailing_tasks.triggers import MOST_COMMITS, MOST_FILES, Verdict


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a push or a pull request brought.

    Attributes:
        files: The changed files, from the repository's root, in Git's order.
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
        warnings: Where GitHub may do otherwise.
    """

    event: Event
    changes: Changes | None
    targets: dict[str, Verdict]
    warnings: tuple[str, ...] = ()


def decide(settings: Settings, event: Event, *, onbuild: OnBuildLookup = unknown) -> Decision:
    """Decide which targets an event builds: by the settings' filters, and by what they read.

    A push to a branch and a pull request are filtered by branch, then by file; the push of a tag by
    the tag alone. Other events are not filtered.

    Args:
        settings: The workspace's settings.
        event: What happened.
        onbuild: Returns what an external image adds to the stages that are built on it.

    Raises:
        UsageError: What the event is compared with is not in this clone.
    """
    targets = needs.targets(settings, needs.machine())
    verdict = _by_name(settings, event)
    compared = event.name == PULL_REQUEST or (event.name == PUSH and not event.tag)
    if not verdict.runs or not compared:
        return Decision(
            event=event,
            changes=None,
            targets={target.name: verdict for target in targets},
        )
    reader = TriggerReader(settings, git.folder(settings.root), onbuild=onbuild)
    changes = Changes(
        files=git.changed_files(settings.root, event),
        commits=git.commit_count(settings.root, event),
    )
    found = {target.name: _triggers(reader, target) for target in targets}
    verdicts = {name: each.decide(changes.files, changes.commits) for name, each in found.items()}
    return Decision(
        event=event,
        changes=changes,
        targets=verdicts,
        warnings=tuple(
            f"GitHub may not start the workflow of {name}: it looks at the first {MOST_FILES} of "
            f"{len(changes.files)} changed files, and none of those builds it\n"
            f"start it by hand (workflow_dispatch), or run `invoke ci-run --target {name}`"
            for name, verdict in verdicts.items()
            if verdict.runs and _is_out_of_sight(found[name], changes)
        ),
    )


def _triggers(reader: TriggerReader, target: Target) -> TargetTriggers:
    """Return what builds a target: any file, where it is refused because of its files."""
    try:
        return reader.of(target)
    except (DockerfileError, UsageError):  # what reports refused targets says why
        return TargetTriggers(own=Written(patterns=(EVERYTHING,)), needed={})


def _is_out_of_sight(target: TargetTriggers, changes: Changes) -> bool:
    """Whether GitHub sees no file that builds a target among the first ones."""
    if changes.commits > MOST_COMMITS:
        return False
    return not any(triggers.includes(target.paths, file) for file in changes.files[:MOST_FILES])


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
