"""Plans a release: its tags by the policy, with where each stands in the registry now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from bailing_tasks import git, versions
from bailing_tasks.errors import RegistryError, SettingsError, UsageError
from bailing_tasks.events import BRANCHES, TAGS, Event
from bailing_tasks.events import PUSH as GITHUB_PUSH
from bailing_tasks.references import Reference
from bailing_tasks.release.model import (
    ROLLBACK,
    Index,
    Key,
    Plan,
    ReleaseTag,
    Seen,
    in_order,
)
from bailing_tasks.release.publisher import read_index
from bailing_tasks.release.registry import Registry
from bailing_tasks.settings import Settings, Target
from bailing_tasks.tag_moves import BRANCH, LINE, VERSION, Move, moves
from bailing_tasks.tag_names import LATEST
from bailing_tasks.tagging import git_facts
from bailing_tasks.tags import TargetTags, planned_tags


def tags_of(
    events: Iterable[Event], plan: Callable[[Event], Sequence[TargetTags]]
) -> dict[Event, Sequence[TargetTags]]:
    """Return the tags of each event; that one of several makes none is no error.

    Raises:
        UsageError: None of them makes any.
        SettingsError: A pattern is wrong, or two images of one repository would have one tag.
    """
    found: dict[Event, Sequence[TargetTags]] = {}
    failed: list[UsageError] = []
    for event in events:
        try:
            found[event] = plan(event)
        except SettingsError:
            raise
        except UsageError as error:
            failed.append(error)
    if failed and not found:
        raise failed[0]
    return found


def release_tags(
    settings: Settings, planned: Mapping[Event, Sequence[TargetTags]], keys: Collection[Key]
) -> tuple[ReleaseTag, ...]:
    """Return the tags of a release in the order in which they move, each once.

    Args:
        settings: The workspace's settings.
        planned: For each event, the tags that the policy gives each target.
        keys: The targets and Pythons that are released.
    """
    targets = {target.name: target for target in settings.targets}
    found = {
        tag.name: tag
        for event, made in planned.items()
        for of in made
        for tag in _of_target(targets[of.target], of, event)
        if tag.key in keys
    }
    return in_order(found.values())


def _of_target(target: Target, made: TargetTags, event: Event) -> Iterable[ReleaseTag]:
    for each in made.tags:
        yield ReleaseTag(
            target=target.name,
            python=each.python,
            reference=Reference.parse(f"{target.repository}:{each.tag}"),
            kind=each.kind,
            rule=each.rule,
            event=event,
        )


class Policy:
    """Says whether a tag of a push moves, by where it stands when that is asked.

    Args:
        registry: Asks where it stands.
        settings: The workspace's settings.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    def __call__(self, tag: ReleaseTag) -> Move:
        """Return whether a tag moves.

        Raises:
            RegistryError: It could not be asked.
        """
        root, commit = self._settings.root, tag.event.commit
        standing = self._registry.standing(tag.reference, root, commit)
        if tag.kind == BRANCH and standing.revision and standing.descends is None:
            standing = replace(standing, is_tip=self._tip(tag.event) == commit)
        return moves(tag.kind, standing, tag.event, self._settings)

    def _tip(self, event: Event) -> str | None:
        """Return where an event's branch stands at the remote now; None where that is not known."""
        with contextlib.suppress(UsageError):
            return git.remote_refs(self._settings.root).get(event.ref)
        return None

    def see(self, tags: Sequence[ReleaseTag]) -> tuple[Seen, ...]:
        """Return where tags stand now, and whether they move from there."""
        return tuple(
            Seen(tag=tag, digest=self._registry.digest(tag.reference), move=self(tag))
            for tag in tags
        )


def rollback(
    settings: Settings, version: str, registry: Registry, targets: Sequence[Target]
) -> tuple[Plan, dict[Key, Index]]:
    """Return the plan that lets moving tags go back to a version, and what they go back to.

    Those are `latest`, the default branch's tags, and the version's lines (`1.2` for 1.2.3), of the
    targets and Pythons that were released as that version.

    Args:
        settings: The workspace's settings, with every platform and Python.
        version: The version, with or without a leading `v`.
        registry: Asks what is published.
        targets: What goes back.

    Raises:
        UsageError: It is no stable version, or nothing would go back.
        RegistryError: It is not published, or not whole, for a platform.
    """
    found = versions.parse(version, settings.versions)
    if found is None or not found.is_stable:
        raise UsageError(
            f"{version} is no stable version ({settings.versions})",
            cause="`latest` never stands for another" if found else "",
            remedy="name one that was released, such as 1.2.3",
        )
    every = _tags_of_version(settings, version)
    wanted = _keys(settings, targets)
    released = {tag.key: tag for tag in every if tag.kind == VERSION and tag.key in wanted}
    digests = {key: registry.digest(tag.reference) for key, tag in released.items()}
    if not any(digests.values()):
        names = ", ".join(tag.name for tag in released.values()) or f"a tag for {version}"
        raise RegistryError(
            f"{names} is not published",
            remedy="go back to a version that is in the registry",
        )
    indexes = {
        key: read_index(
            registry, replace(released[key].reference, tag=None, digest=digest), settings.platforms
        )
        for key, digest in digests.items()
        if digest
    }
    moving = [
        replace(tag, rule=f"goes back to {released[tag.key].name}")
        for tag in every
        if tag.kind in (LATEST, BRANCH, LINE) and tag.key in indexes
    ]
    if not moving:
        raise UsageError("no tag goes back: no pattern makes one that people follow")
    title = f"rollback to {version}"
    return Plan(kind=ROLLBACK, title=title, tags=in_order(moving), annotations={}), indexes


def _tags_of_version(settings: Settings, version: str) -> tuple[ReleaseTag, ...]:
    """Return the tags that a version has, and those of the default branch."""
    tagged = Event(name=GITHUB_PUSH, ref=TAGS + version, commit="0" * 40)
    pushed = Event(name=GITHUB_PUSH, ref=BRANCHES + settings.default_branch, commit="0" * 40)
    facts = git_facts(settings.root, pushed)
    by_branch = replace(settings, latest="branch")
    planned = tags_of((pushed, tagged), lambda event: planned_tags(by_branch, event, facts))
    return release_tags(settings, planned, _keys(settings, settings.targets))


def _keys(settings: Settings, targets: Iterable[Target]) -> set[Key]:
    """Return what targets have an index for: each Python."""
    return {(target.name, python) for target in targets for python in settings.pythons_of(target)}
