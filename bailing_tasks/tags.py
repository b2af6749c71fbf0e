"""Which tags an event publishes an image under: this project's policy. Pure.

A pattern of the settings makes a tag if the event has a value for each of its placeholders.
`latest` follows the default branch and stable versions, never backwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bailing_tasks import versions
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.events import Event
from bailing_tasks.names import registry_tag
from bailing_tasks.settings import Settings, Target
from bailing_tasks.tag_conflicts import Repository
from bailing_tasks.tag_names import LATEST, NAMES, VERSION_PARTS, Pattern
from bailing_tasks.versions import Version

SHORT = 7
"""How much of a commit people are shown, and `{sha}` is."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where `latest` stands in a registry.

    Attributes:
        revision: The commit that it was built from; empty if the image does not say; None if
            there is no `latest` yet.
        descends: Whether the event's commit is that one or descends from it; None if the clone
            does not have it.
        unknown: Why nothing of this is known; empty if it is.
    """

    revision: str | None = None
    descends: bool | None = None
    unknown: str = ""


_NOT_ASKED = Standing(unknown="no registry was asked where it stands")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What Git and the registry know beside an event.

    Attributes:
        date: The day of the event's commit (UTC), as `20240131`; empty if it is not known.
        branches: The branches of the repository.
        tags: The Git tags of the repository; None if the clone may lack some.
        latest: Where `latest` stands, by target.
    """

    date: str = ""
    branches: Sequence[str] = ()
    tags: Sequence[str] | None = ()
    latest: Mapping[str, Standing] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannedTag:
    """A tag that an image is to get.

    Attributes:
        tag: The tag.
        rule: The pattern that made it, of what, and what was repaired.
        python: The Python version of the image.
        undecided: Whether it is decided only when it is pushed.
    """

    tag: str
    rule: str
    python: str
    undecided: bool = False


@dataclass(frozen=True, kw_only=True)
class TargetTags:
    """The tags of one target.

    Attributes:
        target: The target's name.
        tags: Its tags, in the order of its patterns.
        latest: Why `latest` is among them or is not, in a sentence.
    """

    target: str
    tags: tuple[PlannedTag, ...]
    latest: str


@dataclass(frozen=True)
class _Latest:
    """Whether `latest` moves (None: that is decided later), and why."""

    moves: bool | None
    why: str


def planned_tags(settings: Settings, event: Event, facts: Facts) -> tuple[TargetTags, ...]:
    """Return the tags that each target gets for an event, for each Python of the settings.

    A pull request is never pushed: that it gets no tag is no error.

    Raises:
        SettingsError: A pattern is wrong, or two images of one repository would have one tag.
        UsageError: The event gives a target no tag, although it has patterns.
    """
    for target in settings.targets:
        for pattern in target.tags:
            Pattern(pattern).check(f"{target.name}.tags")
    policy = _Policy(settings, event, facts)
    planned = tuple(map(policy.of, settings.targets))
    _check_distinct(settings, planned)
    without = [
        target
        for target, made in zip(settings.targets, planned, strict=True)
        if target.tags and not made.tags and not policy.may_be_empty(target)
    ]
    if without:
        raise _no_tag(settings, event, without)
    return planned


class _Policy:
    """The policy for one event."""

    def __init__(self, settings: Settings, event: Event, facts: Facts) -> None:
        self._settings = settings
        self._event = event
        self._facts = facts
        self._version = versions.parse(event.tag, settings.versions) if event.tag else None
        self._values = _values(event, self._version, facts.date)
        self._bar = _bar(settings, event, self._version)

    def of(self, target: Target) -> TargetTags:
        """Return the tags of a target."""
        latest = self._latest(target)
        repository = self._repository(target)
        found = [
            tag
            for python in self._settings.python
            for text in target.tags
            if (tag := self._tag(Pattern(text), python, repository, latest))
        ]
        distinct: dict[tuple[str, str], PlannedTag] = {}
        for each in found:
            distinct.setdefault((each.tag, each.python), each)
        return TargetTags(target=target.name, tags=tuple(distinct.values()), latest=latest.why)

    def may_be_empty(self, target: Target) -> bool:
        """Whether no tag is fine: nothing is pushed, or `latest` alone stays where it is."""
        pushed = self._event.commit and not self._event.number
        return not pushed or (LATEST in target.tags and not self._bar)

    def _latest(self, target: Target) -> _Latest:
        if LATEST not in target.tags:
            return _Latest(False, f"no: it is not among {target.name}.tags")
        if self._bar:
            return _Latest(False, f"no: {self._bar}")
        if self._settings.latest == "version" and self._version:
            return _highest(self._event.tag, self._version, self._facts.tags, self._settings)
        return _standing(self._facts.latest.get(target.name, _NOT_ASKED), self._event)

    def _tag(
        self, pattern: Pattern, python: str, repository: Repository, latest: _Latest
    ) -> PlannedTag | None:
        if pattern.text == LATEST:
            tag = registry_tag(LATEST, python, self._settings)
            rule = f"{LATEST}: {self._following()}"
            made = PlannedTag(tag=tag, rule=rule, python=python, undecided=latest.moves is None)
            return None if latest.moves is False else made
        # A name that people follow is not for a pull request.
        followed = self._event.number and not pattern.names
        if not self._event.commit or followed or not pattern.applies(self._values):
            return None
        spelled = repository.spell(pattern, registry_tag("", python, self._settings))
        rule = "; ".join((f"{pattern.text}: {self._made_of(pattern)}", *spelled.repairs))
        return PlannedTag(tag=spelled.tag, rule=rule, python=python)

    def _following(self) -> str:
        """Return what `latest` follows here, for people."""
        if self._event.branch:
            return f"the default branch {self._event.branch}"
        highest = "the highest" if self._settings.latest == "version" else "a"
        return f"{highest} stable version, {self._event.tag}"

    def _repository(self, target: Target) -> Repository:
        """Return what is published where a target is."""
        names = [("branch", name) for name in self._facts.branches]
        names += [("tag", name) for name in self._facts.tags or ()]
        return Repository(
            patterns=[
                Pattern(text)
                for each in self._settings.targets
                if _place(each) == _place(target)
                for text in each.tags
            ],
            values=self._values,
            names=names,
            scheme=self._settings.versions,
            prerelease=bool(self._version and not self._version.is_stable),
        )

    def _made_of(self, pattern: Pattern) -> str:
        """Return what a tag is made of, for people."""
        event, version, names = self._event, self._version, set(pattern.names)
        if version and names & set(VERSION_PARTS):
            whole = "" if version.is_stable or "version" in names else ", whole: it is not stable"
            return f"version {version.text} of the Git tag {event.tag}{whole}"
        if names & set(NAMES):
            return f"the Git tag {event.tag}" if event.tag else f"the branch {event.branch}"
        if "number" in names:
            return f"pull request {event.number}"
        return f"commit {event.commit[:SHORT]}" if names else "whatever is pushed"


def _values(event: Event, version: Version | None, date: str) -> dict[str, str]:
    """Return a value for each placeholder that an event has."""
    found = {
        "branch": event.branch,
        "tag": event.tag,
        "sha": event.commit[:SHORT],
        "date": date,
        "number": event.number,
    }
    if version:
        found |= {"version": version.text, "major": str(version.major)}
        found |= {"minor": str(version.minor), "patch": str(version.patch)}
    return {name: value for name, value in found.items() if value}


def _bar(settings: Settings, event: Event, version: Version | None) -> str:
    """Return why an event of this kind never moves `latest`; empty if it may."""
    if not event.commit:
        return f"{event.branch or event.tag} was deleted, and nothing is pushed"
    if event.number:
        return "a pull request never moves it, and nothing is pushed"
    if event.tag:
        if version is None:
            return f"the Git tag {event.tag} is no version ({settings.versions})"
        return "" if version.is_stable else f"{version.text} is not a stable version"
    if settings.latest == "version":
        return 'it stands for the highest stable version (latest = "version"), not for a branch'
    if event.branch != settings.default_branch:
        return f"{event.branch} is not the default branch ({settings.default_branch})"
    return ""


def _highest(tag: str, version: Version, tags: Sequence[str] | None, settings: Settings) -> _Latest:
    """Whether a stable version is the highest one."""
    if tags is None:
        return _Latest(
            False,
            f"no: whether {tag} is the highest version is not known, for this clone may lack Git "
            "tags (`git fetch --unshallow --tags` brings them)",
        )
    top = versions.highest((tag, *tags), settings.versions) or tag
    above = versions.parse(top, settings.versions)
    if above and above.order > version.order:
        return _Latest(False, f"no: {top} is a higher version than {tag}")
    return _Latest(True, f"yes: {tag} is the highest stable version")


def _standing(standing: Standing, event: Event) -> _Latest:
    """Whether `latest` moves forward from where it stands."""
    what = (
        f"the Git tag {event.tag} is a stable version"
        if event.tag
        else f"{event.branch} is the default branch"
    )
    if standing.unknown:
        return _Latest(None, f"it is decided when it is pushed: {what}, but {standing.unknown}")
    if standing.revision is None:
        return _Latest(True, f"yes: {what}, and there is no {LATEST} yet")
    if not standing.revision:
        return _Latest(True, f"yes: {what}, and the image at {LATEST} does not say its commit")
    at = f"it stands at commit {standing.revision[:SHORT]}"
    if standing.descends is None:
        return _Latest(
            False,
            f"no: {at}, which this clone does not have (`git fetch --unshallow` brings the whole "
            "history; if it is in no branch any more, remove that tag from the registry)",
        )
    if not standing.descends:
        return _Latest(
            False, f"no: {at}, and commit {event.commit[:SHORT]} does not descend from that"
        )
    if standing.revision == event.commit:
        return _Latest(True, f"yes: {what}, and {at}, this one")
    return _Latest(True, f"yes: {what}, and {at}, which this one descends from")


def _place(target: Target) -> str:
    return target.repository or target.image


def _check_distinct(settings: Settings, planned: Sequence[TargetTags]) -> None:
    """Make sure that no tag is for two images."""
    seen: dict[tuple[str, str], str] = {}
    for target, made in zip(settings.targets, planned, strict=True):
        for each in made.tags:
            image = f"{target.name} (Python {each.python})"
            other = seen.setdefault((_place(target), each.tag), image)
            if other != image:
                raise SettingsError(
                    f"{other} and {image} would both be {_place(target)}:{each.tag}",
                    cause=f"by the rule {each.rule}",
                    remedy=f"give {target.name}.tags another pattern, or {target.name}.repository "
                    "another name",
                )


def _no_tag(settings: Settings, event: Event, without: Sequence[Target]) -> UsageError:
    keys = " and ".join(f"{target.name}.tags" for target in without)
    if event.tag:
        what, placeholder = f"the Git tag {event.tag}", "{tag}"
        cause = f"it is no version ({settings.versions}), and no pattern there takes another name"
        rename = "name the Git tag as a version, such as v1.2.3, or "
        if versions.parse(event.tag, settings.versions):
            cause, rename = "no pattern there takes a version like this", ""
    else:
        what, placeholder = f"the branch {event.branch}", "{branch}"
        cause, rename = "no pattern there takes a branch", ""
    return UsageError(
        f"{what} makes no tag by {keys}: there would be nothing to push",
        cause=cause,
        remedy=f"{rename}add a pattern with {placeholder} to {keys}",
    )
