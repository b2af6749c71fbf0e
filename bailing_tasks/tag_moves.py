"""Whether a tag that is published moves to another image, and why: never backwards. Pure.

A version stands for one image for good. `latest`, a branch and a line of versions (`1.2`) are what
people follow: a run that ends late takes none of them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bailing_tasks import versions
from bailing_tasks.events import Event
from bailing_tasks.settings import Settings
from bailing_tasks.tag_names import LATEST, VERSION_PARTS, Pattern
from bailing_tasks.versions import Version

SHORT = 7
"""How much of a commit people are shown, and `{sha}` is."""

VERSION = "version"
OTHER = "other"
BRANCH = "branch"
LINE = "line"
KINDS = (VERSION, OTHER, BRANCH, LINE, LATEST)
"""The kinds of tags, in the order in which they are moved."""

_WHOLE = {"major", "minor", "patch"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a tag stands in a registry.

    Attributes:
        revision: The commit that it was published for; empty if the image does not say; None if
            there is no such tag yet.
        descends: Whether the event's commit is that one or descends from it; None if the clone
            does not have it.
        precedes: Whether that one is a later commit, which descends from the event's.
        version: The version that it was published as; empty if the image does not say.
        is_tip: Whether the event's commit is where its branch stands at the remote; asked where the
            clone does not have the other one.
        unknown: Why nothing of this is known; empty if it is.
    """

    revision: str | None = None
    descends: bool | None = None
    precedes: bool = False
    version: str = ""
    is_tip: bool = False
    unknown: str = ""


@dataclass(frozen=True)
class Move:
    """Whether a tag moves, and why, in a sentence; None where that cannot be known yet."""

    moves: bool | None
    why: str


def kind_of(pattern: Pattern) -> str:
    """Return the kind of the tags that a pattern makes, one of `KINDS`."""
    names = set(pattern.names)
    if pattern.text == LATEST:
        return LATEST
    if "version" in names or "tag" in names or names >= _WHOLE:
        return VERSION
    if "branch" in names:
        return BRANCH
    return LINE if names & set(VERSION_PARTS) else OTHER


def moves(kind: str, standing: Standing, event: Event, settings: Settings) -> Move:
    """Return whether a tag of some kind moves from where it stands to what an event publishes.

    Args:
        kind: The kind of the tag.
        standing: Where it stands.
        event: What it is published for.
        settings: The workspace's settings.
    """
    if standing.unknown:
        return Move(None, standing.unknown)
    if standing.revision is None:
        return Move(True, "it is new")
    if kind == LATEST:
        return latest_moves(standing, event, settings, (event.tag,))
    if kind == VERSION:
        return _version(standing, event)
    if kind == BRANCH:
        return _branch(standing, event)
    if kind == LINE:
        return _line(standing, event, settings)
    return Move(True, f"{event} moves it")


def latest_moves(
    standing: Standing, event: Event, settings: Settings, tags: Sequence[str] | None
) -> Move:
    """Return whether `latest` moves for an event that may move it.

    Args:
        standing: Where it stands.
        event: The push of the default branch, or of a stable version.
        settings: The workspace's settings.
        tags: The Git tags of the repository; None if the clone may lack some.
    """
    version = versions.parse(event.tag, settings.versions) if event.tag else None
    if settings.latest == "version" and version:
        return _highest(event.tag, version, tags, standing, settings)
    return _follows(standing, event)


def _version(standing: Standing, event: Event) -> Move:
    if standing.revision == event.commit:
        # Whether it stands for the same build is known once that is uploaded.
        return Move(None, "it stands for a build of this commit")
    at = f"commit {standing.revision[:SHORT]}" if standing.revision else "an unknown commit"
    return Move(False, f"it stands for another image, of {at}")


def _branch(standing: Standing, event: Event) -> Move:
    """Whether a branch's tag follows it: not back, though a branch itself may be forced back."""
    at = f"it stands at commit {(standing.revision or '')[:SHORT]}"
    if standing.precedes:
        return Move(False, f"{at}, which is later than {event.commit[:SHORT]}")
    if standing.revision and standing.descends is None and not standing.is_tip:
        return Move(
            False,
            f"{at}, which this clone does not have, and the remote's branch is not at "
            f"{event.commit[:SHORT]} (`git fetch` brings what is there)",
        )
    return Move(True, f"{event} moves it")


def _line(standing: Standing, event: Event, settings: Settings) -> Move:
    """Whether a line of versions, such as `1.2`, goes on: it stays at its highest."""
    there = versions.parse(standing.version, settings.versions)
    ours = versions.parse(event.tag, settings.versions)
    if there and ours and there.order > ours.order:
        return Move(False, f"it stands at {standing.version}, a higher version")
    return Move(True, f"{event} moves it")


def _highest(
    tag: str, version: Version, tags: Sequence[str] | None, standing: Standing, settings: Settings
) -> Move:
    """Whether a stable version is the highest one, of the Git tags and of what is published."""
    if tags is None:
        return Move(
            False,
            f"no: whether {tag} is the highest version is not known, for this clone may lack Git "
            "tags (`git fetch --unshallow --tags` brings them)",
        )
    top = versions.highest((tag, standing.version, *tags), settings.versions) or tag
    above = versions.parse(top, settings.versions)
    if above and above.order > version.order:
        return Move(False, f"no: {top} is a higher version than {tag}")
    return Move(True, f"yes: {tag} is the highest stable version")


def _follows(standing: Standing, event: Event) -> Move:
    """Whether `latest` moves forward from where it stands."""
    what = (
        f"the Git tag {event.tag} is a stable version"
        if event.tag
        else f"{event.branch} is the default branch"
    )
    if standing.unknown:
        return Move(None, f"it is decided when it is pushed: {what}, but {standing.unknown}")
    if standing.revision is None:
        return Move(True, f"yes: {what}, and there is no {LATEST} yet")
    if not standing.revision:
        return Move(True, f"yes: {what}, and the image at {LATEST} does not say its commit")
    at = f"it stands at commit {standing.revision[:SHORT]}"
    if standing.descends is None:
        return Move(
            False,
            f"no: {at}, which this clone does not have (`git fetch --unshallow` brings the whole "
            "history; if it is in no branch any more, remove that tag from the registry)",
        )
    if not standing.descends:
        return Move(
            False, f"no: {at}, and commit {event.commit[:SHORT]} does not descend from that"
        )
    if standing.revision == event.commit:
        return Move(True, f"yes: {what}, and {at}, this one")
    return Move(True, f"yes: {what}, and {at}, which this one descends from")
