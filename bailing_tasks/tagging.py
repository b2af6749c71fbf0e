"""Plans the tags of an event: asks Git and, for `latest`, the registries; the policy decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bailing_tasks import git
from bailing_tasks.errors import AbsentError, PullError, UsageError
from bailing_tasks.events import Event
from bailing_tasks.image_index import said_of_it
from bailing_tasks.names import REVISION_LABEL, VERSION_LABEL
from bailing_tasks.origin import rfc3339
from bailing_tasks.parallel import in_parallel
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings, Target
from bailing_tasks.tag_moves import Standing
from bailing_tasks.tag_names import LATEST
from bailing_tasks.tags import Facts, TargetTags, planned_tags

if TYPE_CHECKING:
    from bailing_tasks.engine.registry import Registries

ASKING_SECONDS = 5.0
"""How long registries may take to say where `latest` stands."""


def plan_tags(settings: Settings, event: Event, *, offline: bool) -> tuple[TargetTags, ...]:
    """Return the tags that each target is to get for an event.

    Registries are asked only where it depends on them whether `latest` moves.

    Args:
        settings: The workspace's settings.
        event: The event.
        offline: Whether no registry may be asked.

    Raises:
        SettingsError: A pattern is wrong, or two images of one repository would have one tag.
        UsageError: There is no Git repository, or the event gives a target no tag.
    """
    facts = git_facts(settings.root, event)
    planned = planned_tags(settings, event, facts)
    undecided = {made.target for made in planned if any(tag.undecided for tag in made.tags)}
    targets = [target for target in settings.targets if target.name in undecided]
    if not targets:
        return planned
    if offline:
        latest: Mapping[str, Standing] = {
            name: Standing(unknown="no registry is asked (--offline)") for name in undecided
        }
    else:
        latest = standings(settings, event, targets)
    return planned_tags(settings, event, replace(facts, latest=latest))


def index_annotations(settings: Settings, event: Event) -> dict[str, str]:
    """Return what an index says of itself when it is published for an event.

    The version of a commit without a tag is `git describe`'s; created is when it was committed, so
    that two runs for one commit make the same index.

    Raises:
        UsageError: The event's commit is not here.
    """
    root = settings.root
    return said_of_it(
        revision=event.commit,
        source=settings.source,
        version=event.tag or git.describe(root, event.commit),
        created=rfc3339(git.commit_time(root, event.commit)),
        licenses=settings.licenses,
    )


def git_facts(root: Path, event: Event) -> Facts:
    """Return what Git knows beside an event.

    Raises:
        UsageError: There is no Git repository.
    """
    date = ""
    if event.commit and git.commit_of(root, event.commit):
        made = datetime.fromtimestamp(git.commit_time(root, event.commit), UTC)
        date = f"{made:%Y%m%d}"
    return Facts(
        date=date,
        branches=git.branches(root),
        # A checkout of one commit comes without the tags of others.
        tags=None if git.is_shallow(root) else git.tags(root),
    )


def standings(settings: Settings, event: Event, targets: list[Target]) -> Mapping[str, Standing]:
    """Return where `latest` stands, by target; registries that do not answer are not waited for."""
    silent = Standing(unknown=f"no registry answered within {ASKING_SECONDS:.0f} s")
    found = {target.name: silent for target in targets}
    for target, standing in in_parallel(
        lambda target: _standing(settings, event, target),
        targets,
        jobs=len(targets),
        within=ASKING_SECONDS,
    ):
        found[target.name] = standing
    return found


def read_standing(
    registries: Registries, root: Path, commit: str, reference: Reference
) -> Standing:
    """Ask a registry where a tag stands, and Git how that commit and another one follow each other.

    Raises:
        PullError: The registry cannot be asked, or what it has is no image.
    """
    from bailing_tasks.engine.labels import read_labels

    try:
        labels = read_labels(registries, reference)
    except AbsentError:
        return Standing()
    revision = labels.get(REVISION_LABEL, "")
    return Standing(
        revision=revision,
        descends=_descends(root, revision, commit),
        precedes=revision != commit and bool(_descends(root, commit, revision)),
        version=labels.get(VERSION_LABEL, ""),
    )


def _standing(settings: Settings, event: Event, target: Target) -> Standing:
    """Ask a target's registry for the commit of its `latest`, and Git whether it is behind."""
    from bailing_tasks.engine.registry import Registries

    if not target.repository:
        return Standing(unknown=f"{target.name}.repository is not set")
    name = f"{target.repository}:{LATEST}"
    try:
        registries = Registries(settings.plain_http)
        return read_standing(registries, settings.root, event.commit, Reference.parse(name))
    except PullError as error:
        # What follows in parentheses is the registry's or the system's own text.
        cause = error.cause.partition(" (")[0]
        return Standing(unknown=f"where it stands is not known: {cause}")


def _descends(root: Path, older: str, newer: str) -> bool | None:
    """Whether a commit descends from another; None where the clone cannot tell."""
    if not all(each and git.commit_of(root, each) for each in (older, newer)):
        return None
    try:
        return git.is_ancestor(root, older, newer)
    except UsageError:
        return None
