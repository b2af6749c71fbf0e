"""How published tags are spelled: patterns, what a registry takes, and named repairs. Pure.

What no tag may hold becomes `-`, as docker/metadata-action does it (Image name and tag
sanitization). Tags that are too long, begin with `.` or `-`, or are kept for others are repaired
as well, and each repair has a name.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bailing_tasks import versions
from bailing_tasks.errors import SettingsError

LATEST = "latest"
LIMIT = 128
"""The most characters of a tag (the OCI distribution specification)."""
LEAST = 24
"""The least room that a pattern has to leave for a name."""
HASH = 8

VERSION_PARTS = ("version", "major", "minor", "patch")
NAMES = ("branch", "tag")
"""Placeholders for names that Git lets people choose nearly freely."""
FREE = ("version", *NAMES)
"""Placeholders for what may be of any length."""
PLACEHOLDERS = (*VERSION_PARTS, *NAMES, "sha", "date", "number")

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_VERSION_PART = re.compile(
    r"\{{(?:{0})\}}(?:[^{{}}]*\{{(?:{0})\}})*".format("|".join(VERSION_PARTS))
)
_OUTSIDE = re.compile(r"[^a-zA-Z0-9._-]+")
_KEPT = re.compile(r"(?:fp|id)-[0-9a-f]{16}|cache-.*")
"""What these tasks publish for themselves: images by fingerprint, and BuildKit's cache."""
_PYTHON = re.compile(r"-py[0-9]+\.[0-9]+$")


@dataclass(frozen=True)
class Pattern:
    """A pattern of the tags that a target is published under.

    Attributes:
        text: As it stands in the settings.
    """

    text: str

    @property
    def _pieces(self) -> list[str]:
        return _PLACEHOLDER.split(self.text)

    @property
    def names(self) -> list[str]:
        """Its placeholders in order."""
        return self._pieces[1::2]

    @property
    def literal(self) -> str:
        """What it holds beside its placeholders."""
        return "".join(self._pieces[::2])

    def begins_with(self, name: str) -> bool:
        """Whether nothing stands before a placeholder."""
        return self.text.startswith(f"{{{name}}}")

    def applies(self, values: Mapping[str, str]) -> bool:
        """Whether there is a value for each of its placeholders."""
        return all(name in values for name in self.names)

    def of_prerelease(self) -> Pattern:
        """Return what it means for a pre-release: the full version wherever a part of it stands."""
        return Pattern(_VERSION_PART.sub("{version}", self.text))

    def filled(self, values: Mapping[str, str]) -> str:
        """Return its text with a value for each placeholder."""
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self.text)

    def makes(self, tag: str, scheme: str) -> bool:
        """Whether it makes a tag of some version, commit, date or number."""
        return any(
            re.fullmatch(_shape(pattern, scheme), tag) for pattern in (self, self.of_prerelease())
        )

    def check(self, key: str) -> None:
        """Make sure that tags can be made of it.

        Args:
            key: The setting that it stands in.

        Raises:
            SettingsError: It has an unknown placeholder, or something that no tag may have.
        """
        for name in self.names:
            if name not in PLACEHOLDERS:
                near = difflib.get_close_matches(name, PLACEHOLDERS, n=1, cutoff=0.5)
                known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                raise SettingsError(
                    f"{key}: {{{name}}} in {self.text!r} is no placeholder",
                    remedy=f"perhaps you meant {{{near[0]}}}" if near else f"there are {known}",
                )
        if cause := self._broken():
            raise SettingsError(
                f"{key}: no tag can be made of {self.text!r}",
                cause=cause,
                remedy="write it as in {version} or builder-{version}: letters, digits, _ . - and "
                "placeholders",
            )

    def _broken(self) -> str:
        room = LIMIT - len(self.literal) - LEAST * len(self.names)
        if not self.text:
            return "it is empty"
        if _OUTSIDE.search(self.literal):
            return "a tag may not hold what stands in it"
        if self._pieces[0][:1] in (".", "-"):
            return "a tag may not begin with . or -"
        if room < 0:
            return f"a tag has at most {LIMIT} characters"
        if _KEPT.fullmatch(self.text):
            return "such tags are kept for images by fingerprint and for caches"
        return ""


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How one tag is spelled.

    Attributes:
        tag: The tag.
        repairs: What was done to make it one, for people; empty where nothing was.
    """

    tag: str
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Speller:
    """Spells tags.

    Attributes:
        suffix: What each tag ends in, `-py3.12` perhaps.
        taken: Whether a tag is made by another rule, so that a name may not take it.
    """

    suffix: str
    taken: Callable[[str], bool]

    def spell(self, pattern: Pattern, values: Mapping[str, str], *, meets: str = "") -> Spelling:
        """Return the tag that a pattern makes of values.

        Args:
            pattern: The pattern.
            values: A value for each of its placeholders.
            meets: Whose tag it would be as well, if anybody's; it gets a hash then.
        """
        repairs: list[str] = []
        filled = {name: _clean(pattern, name, values[name], repairs) for name in pattern.names}
        tag = pattern.filled(filled)
        named = [name for name in filled if name in NAMES]
        if named and self.taken(tag):
            filled[named[0]] = f"{named[0]}-{filled[named[0]]}"
            repairs.append(f"{tag} is kept for others")
        free = [name for name in pattern.names if name in FREE]
        reason = f"{meets} has that tag" if meets else ""
        if free and pattern.text.endswith("}") and _PYTHON.search(tag):
            reason = "its end is kept for another Python"
        fixed = sum(len(filled[name]) for name in pattern.names if name not in FREE)
        room = LIMIT - len(self.suffix) - len(pattern.literal) - fixed
        for name in dict.fromkeys(free):
            share = room // len(free)
            if len(filled[name]) > share:
                repairs.append(f"cut to {LIMIT} characters, with a hash")
            elif reason:
                repairs.append(f"with a hash: {reason}")
            else:
                continue
            start = filled[name][: share - HASH - 1].rstrip(".-")
            filled[name] = f"{start}-{_hash(name, values[name])}"
        tag = pattern.filled(filled) + self.suffix
        return Spelling(tag=tag, repairs=tuple(dict.fromkeys(repairs)))


def _clean(pattern: Pattern, name: str, value: str, repairs: list[str]) -> str:
    """Return a value as a part of a tag."""
    text = sanitized(value)
    if text != value:
        repairs.append("- for what no tag may hold")
    if pattern.begins_with(name) and text[:1] in (".", "-"):
        text = text.lstrip(".-")
        repairs.append("no tag begins with . or -")
    return text or f"{name}-{_hash(name, value)}"


@functools.cache
def _shape(pattern: Pattern, scheme: str) -> str:
    """Return a regular expression for what a pattern makes."""
    looks = {
        "version": versions.SHAPES[scheme],
        **dict.fromkeys(("major", "minor", "patch", "number"), "[0-9]+"),
        "sha": "[0-9a-f]{7}",
        "date": "[0-9]{8}",
    }
    pieces = _PLACEHOLDER.split(pattern.text)
    return "".join(
        f"(?:{looks[piece]})" if number % 2 else re.escape(piece)
        for number, piece in enumerate(pieces)
    )


def sanitized(text: str) -> str:
    """Return a text with `-` for each run of characters that no tag may hold."""
    return _OUTSIDE.sub("-", text)


def kept(tag: str) -> bool:
    """Whether a tag is never a branch's or a Git tag's: `latest`, and what these tasks need."""
    return tag == LATEST or _KEPT.fullmatch(tag) is not None


def _hash(kind: str, name: str) -> str:
    """Return a short hash of a name; a branch and a Git tag of one name have two."""
    return hashlib.sha256(f"{kind} {name}".encode(errors="backslashreplace")).hexdigest()[:HASH]
