"""Names that would meet in one tag: who keeps it, and who gets another. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bailing_tasks.tag_names import NAMES, VERSION_PARTS, Pattern, Speller, Spelling, kept


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What is published to one image repository.

    Attributes:
        patterns: The patterns of all targets that are published there; the first keeps a tag.
        values: A value for each placeholder that the event has.
        names: Each branch and Git tag there is, as (`branch` or `tag`, name).
        scheme: How Git tags name versions.
        prerelease: Whether the event is about a version that is not stable.
    """

    patterns: Sequence[Pattern]
    values: Mapping[str, str]
    names: Sequence[tuple[str, str]]
    scheme: str
    prerelease: bool

    def spell(self, pattern: Pattern, suffix: str) -> Spelling:
        """Return the tag of a pattern for the event, apart from those of all other names.

        Of two names that meet in a tag the one that is spelled like it keeps it, else the one of
        the earlier pattern; the other gets a hash of the whole name. If a pattern makes both from
        names that are spelled otherwise, both get one.

        Args:
            pattern: One of `patterns`, each of whose placeholders the event has.
            suffix: What the tag ends in.
        """
        speller = Speller(suffix=suffix, taken=self._taken)
        spelled = speller.spell(self.meant(pattern), self.values)
        own = {(kind, self.values[kind]) for kind in NAMES if kind in pattern.names}
        claim = (bool(spelled.repairs), self.patterns.index(pattern))
        for kind, name in self.names if own else ():
            if (kind, name) in own:
                continue
            for place, theirs in enumerate(self.patterns):
                values = {**self.values, kind: name}
                if kind not in theirs.names or not theirs.applies(values):
                    continue
                made = speller.spell(self.meant(theirs), values)
                if made.tag == spelled.tag and claim >= (bool(made.repairs), place):
                    whose = f"the {'Git tag' if kind == 'tag' else kind} {name}"
                    return speller.spell(self.meant(pattern), self.values, meets=whose)
        return spelled

    def meant(self, pattern: Pattern) -> Pattern:
        """Return what a pattern means for the event's version."""
        return pattern.of_prerelease() if self.prerelease else pattern

    def _taken(self, tag: str) -> bool:
        """Whether a tag is kept, or made of something else than a name for another event."""
        return tag not in self._of_version and (
            kept(tag) or any(pattern.makes(tag, self.scheme) for pattern in self._nameless)
        )

    @functools.cached_property
    def _nameless(self) -> list[Pattern]:
        return [pattern for pattern in self.patterns if not set(pattern.names) & set(NAMES)]

    @functools.cached_property
    def _of_version(self) -> set[str]:
        """The tags of the event's own version: a Git tag may have them by its name as well."""
        return {
            self.meant(pattern).filled(self.values)
            for pattern in self._nameless
            if set(pattern.names) & set(VERSION_PARTS) and pattern.applies(self.values)
        }
