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
from bailing_tasks.tag_moves import SHORT, Move, Standing, kind_of, latest_moves
from bailing_tasks.tag_names import LATEST, NAMES, VERSION_PARTS, Pattern
from bailing_tasks.versions import Version

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
        kind: What kind of tag it is, one of `tag_moves.KINDS`.
        undecided: Whether it is decided only when it is pushed.
    """

    tag: str
    rule: str
    python: str
    kind: str
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
            for python in self._settings.pythons_of(target)
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

    def _latest(self, target: Target) -> Move:
        if LATEST not in target.tags:
            return Move(False, f"no: it is not among {target.name}.tags")
        if self._bar:
            return Move(False, f"no: {self._bar}")
        standing = self._facts.latest.get(target.name, _NOT_ASKED)
        return latest_moves(standing, self._event, self._settings, self._facts.tags)

    def _tag(
        self, pattern: Pattern, python: str, repository: Repository, latest: Move
    ) -> PlannedTag | None:
        if pattern.text == LATEST:
            tag = registry_tag(LATEST, python, self._settings)
            rule = f"{LATEST}: {self._following()}"
            if latest.moves is False:
                return None
            undecided = latest.moves is None
            return PlannedTag(tag=tag, rule=rule, python=python, kind=LATEST, undecided=undecided)
        # A name that people follow is not for a pull request.
        followed = self._event.number and not pattern.names
        if not self._event.commit or followed or not pattern.applies(self._values):
            return None
        spelled = repository.spell(pattern, registry_tag("", python, self._settings))
        rule = "; ".join((f"{pattern.text}: {self._made_of(pattern)}", *spelled.repairs))
        return PlannedTag(tag=spelled.tag, rule=rule, python=python, kind=self._kind(pattern))

    def _kind(self, pattern: Pattern) -> str:
        """Return the kind of tag that a pattern makes: all of a pre-release's are versions."""
        unstable = bool(self._version and not self._version.is_stable)
        return kind_of(pattern.of_prerelease() if unstable else pattern)

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


def _place(target: Target) -> str:
    return target.repository or target.image


def _check_distinct(settings: Settings, planned: Sequence[TargetTags]) -> None:
    """Make sure that no tag is for two images."""
    seen: dict[tuple[str, str], str] = {}
    for target, made in zip(settings.targets, planned, strict=True):
        for each in made.tags:
            image = f"{target.name} (Python {each.python})" if each.python else target.name
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
