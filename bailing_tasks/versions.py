"""Versions as Git tags name them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SEMVER = "semver"
PEP440 = "pep440"

_NUMBER = r"(?:0|[1-9][0-9]*)"
_WORD = r"[0-9]*[a-zA-Z-][0-9a-zA-Z-]*"
_PRE = rf"(?:{_NUMBER}|{_WORD})(?:\.(?:{_NUMBER}|{_WORD}))*"
_SEMVER = re.compile(
    rf"v?(?P<release>{_NUMBER}\.{_NUMBER}\.{_NUMBER})(?:-(?P<pre>{_PRE}))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_LONGEST = 256
_LARGEST = 2**53 - 1

SHAPES = {
    SEMVER: r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?",
    PEP440: r"(?:[0-9]+-)?[0-9]+(?:\.[0-9]+)*"
    r"(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?",
}
"""For each scheme, how a published version looks."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version that a Git tag names.

    Attributes:
        text: The version, in the scheme's normal form: `1.2.3-rc.1` of `v1.2.3-rc.1+build.5`.
        major: Its first number.
        minor: Its second number; 0 where it has none.
        patch: Its third number; 0 where it has none.
        is_stable: Whether it is meant for everybody: semver's have no pre-release part, PEP 440's
            are no pre-, post- or development release.
        order: Compares versions of one scheme by precedence.
    """

    text: str
    major: int
    minor: int
    patch: int
    is_stable: bool
    order: Any


def parse(tag: str, scheme: str) -> Version | None:
    """Return the version that a Git tag names; None where it names none.

    Semver is what node-semver's strict `valid` takes, as docker/metadata-action does: `v1.2.3`,
    but not `1.2`, `V1.2.3` or `app-v1.2.3`; build metadata drops out. PEP 440 is what `packaging`
    takes.
    """
    return _semver(tag) if scheme == SEMVER else _pep440(tag)


def highest(tags: Iterable[str], scheme: str) -> str | None:
    """Return the Git tag of the highest stable version; None where there is none."""
    found = ((version, tag) for tag in tags if (version := parse(tag, scheme)))
    stable = [(version.order, tag) for version, tag in found if version.is_stable]
    return max(stable, key=lambda each: each[0], default=(None, None))[1]


def _semver(tag: str) -> Version | None:
    match = _SEMVER.fullmatch(tag)
    if match is None or len(tag) > _LONGEST:
        return None
    numbers = [int(number) for number in match["release"].split(".")]
    if max(numbers) > _LARGEST:
        return None
    pre = match["pre"]
    return Version(
        text=match["release"] + (f"-{pre}" if pre else ""),
        major=numbers[0],
        minor=numbers[1],
        patch=numbers[2],
        is_stable=pre is None,
        order=(*numbers, pre is None, _precedence(pre or "")),
    )


def _precedence(pre: str) -> list[tuple[bool, int, str]]:
    """Numbers compare as numbers and come before words (Semantic Versioning 2.0.0, 11.4)."""
    return [
        (False, int(part), "") if part.isdecimal() else (True, 0, part) for part in pre.split(".")
    ]


def _pep440(tag: str) -> Version | None:
    from packaging.version import Version as Pep440

    try:
        found = Pep440(tag)
    except ValueError:
        return None
    return Version(
        text=str(found),
        major=found.major,
        minor=found.minor,
        patch=found.micro,
        is_stable=not (found.is_prerelease or found.is_postrelease),
        order=found,
    )
