"""`images.lock`: each external image of a workspace with the digest it is built on. Pure.

TOML, sorted, one line an image and platform, so that a change of it can be reviewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bailing_tasks import toml
from bailing_tasks.errors import BailingError, UsageError
from bailing_tasks.outcomes import short
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference, is_sha256

NAME = "images.lock"
VERSION = 1
"""Counted up when a file of this form can no longer be read as before."""

HEADER = """\
# The images that builds take from registries. `invoke lock` writes this file,
# `invoke lock --update` follows tags that have moved.
"""
FIELDS = ("reference", "platform", "digest", "index-digest")
CONFIG_DIGEST = "config-digest"
"""A further field, which files of earlier versions do not have."""

Key = tuple[str, str]
"""Canonical reference and platform."""


@dataclass(frozen=True, kw_only=True)
class Locked:
    """What one image is locked to.

    Attributes:
        reference: The reference in canonical form.
        platform: The platform, such as `linux/amd64`.
        digest: The digest of that platform's manifest.
        index_digest: The digest of the index it stands in; the same where there is no index.
        config_digest: The digest of its configuration; empty where that is not known.
    """

    reference: str
    platform: str
    digest: str
    index_digest: str
    config_digest: str = ""

    @property
    def key(self) -> Key:
        """What is locked."""
        return (self.reference, self.platform)


def parse(text: str) -> dict[Key, Locked]:
    """Read the file's text.

    Raises:
        UsageError: It is no such file; what is wrong with it is said.
    """
    try:
        document = toml.loads(text)
    except ValueError as error:
        raise _damaged("it is no TOML", str(error)) from error
    if document.get("version") != VERSION:
        raise _damaged(f"its version is not {VERSION}", "another version of the tasks wrote it")
    entries = document.get("images", [])
    if not isinstance(entries, list) or set(document) - {"version", "images"}:
        raise _damaged("it holds something else than a list of images", "")
    found = [_entry(entry) for entry in entries]
    locked = {each.key: each for each in found}
    if len(locked) < len(found):
        raise _damaged("it holds an image twice for one platform", "")
    return locked


def render(locked: Iterable[Locked]) -> str:
    """Return the file's text."""
    lines = [
        "  { "
        + ", ".join(f'{field} = "{value}"' for field, value in _fields(each).items())
        + " },\n"
        for each in sorted(locked, key=lambda each: each.key)
    ]
    return f"{HEADER}version = {VERSION}\nimages = [\n{''.join(lines)}]\n"


def _fields(locked: Locked) -> dict[str, str]:
    found = {field: getattr(locked, field.replace("-", "_")) for field in (*FIELDS, CONFIG_DIGEST)}
    return {field: value for field, value in found.items() if value}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How one lock differs from an older one.

    Attributes:
        added: What only the new one has.
        removed: What only the old one has.
        moved: What both have, with another digest: old and new.
        completed: What both have, where only the new one has the digest of the configuration.
    """

    added: tuple[Locked, ...]
    removed: tuple[Locked, ...]
    moved: tuple[tuple[Locked, Locked], ...]
    completed: tuple[Locked, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved or self.completed)


def difference(old: Mapping[Key, Locked], new: Mapping[Key, Locked]) -> Difference:
    """Return how a new lock differs from an old one, sorted by image."""
    changed = [
        (old[key], new[key]) for key in sorted(old.keys() & new.keys()) if old[key] != new[key]
    ]
    completed = [b for a, b in changed if replace(a, config_digest=b.config_digest) == b]
    return Difference(
        added=tuple(new[key] for key in sorted(new.keys() - old.keys())),
        removed=tuple(old[key] for key in sorted(old.keys() - new.keys())),
        moved=tuple((a, b) for a, b in changed if b not in completed),
        completed=tuple(completed),
    )


def describe(changes: Difference) -> list[str]:
    """Return a line for each change."""
    lines = [f"added    {_title(each)}: {short(each.digest)}" for each in changes.added]
    lines += [f"removed  {_title(each)}" for each in changes.removed]
    lines += [
        f"moved    {_title(new)}: {short(old.digest)} -> {short(new.digest)}"
        for old, new in changes.moved
    ]
    return lines + [
        f"recorded {_title(each)}: the digest of its configuration" for each in changes.completed
    ]


def report(locked: Mapping[Key, Locked], changes: Difference) -> dict[str, Any]:
    """Return a lock and its changes as plain data."""
    return {
        "images": [asdict(locked[key]) for key in sorted(locked)],
        "added": [asdict(each) for each in changes.added],
        "removed": [asdict(each) for each in changes.removed],
        "moved": [{"old": asdict(old), "new": asdict(new)} for old, new in changes.moved],
        "recorded": [asdict(each) for each in changes.completed],
    }


def _title(locked: Locked) -> str:
    return f"{Reference.parse(locked.reference).familiar} ({locked.platform})"


def _entry(entry: Any) -> Locked:
    if not isinstance(entry, Mapping) or set(entry) - {CONFIG_DIGEST} != set(FIELDS):
        raise _damaged(f"{entry!r} is no image", f"an image has {', '.join(FIELDS)}")
    for field, value in entry.items():
        if not isinstance(value, str) or (field.endswith("digest") and not is_sha256(value)):
            raise _damaged(f"{field} = {value!r} is no {field}", "")
    try:
        reference, platform = Reference.parse(entry["reference"]), Platform.parse(entry["platform"])
    except BailingError as error:
        raise _damaged(error.message, error.cause) from error
    return Locked(
        reference=str(reference),
        platform=str(platform),
        digest=entry["digest"],
        index_digest=entry["index-digest"],
        config_digest=entry.get(CONFIG_DIGEST, ""),
    )


def _damaged(message: str, cause: str) -> UsageError:
    return UsageError(
        f"{NAME} cannot be used: {message}",
        cause=cause,
        remedy="take it from the version control, or remove it and run `invoke lock`",
    )
