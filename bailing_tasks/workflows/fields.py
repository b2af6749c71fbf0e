"""The small languages of a build's options: paths, pairs, platforms, outputs, caches. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from bailing_tasks.errors import UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.workflows.contexts import WORKSPACE
from bailing_tasks.workflows.expressions import UNKNOWN, Truth, either

DEFAULT_FILE = "Dockerfile"
DEFAULT_CONTEXT = "{{defaultContext}}"
"""What Docker's actions call the repository at the commit of the run."""

_OF_ONE_RUN = ("inline", "local")
"""Caches that stand in the image, or on the machine of the job."""


def inside(folder: str, path: str) -> str:
    """Return a path from the repository's root, `.` for the root; unknown where it is elsewhere.

    Args:
        folder: The working folder, from the root.
        path: The path, as it is written.
    """
    if path.startswith(DEFAULT_CONTEXT):
        folder, path = "", path.removeprefix(DEFAULT_CONTEXT).lstrip(":")
    if UNKNOWN in path or "://" in path or path == "-" or path.startswith("git@"):
        return UNKNOWN
    if path.startswith(WORKSPACE):
        folder, path = "", path.removeprefix(WORKSPACE).lstrip("/")
    found = posixpath.normpath(posixpath.join(folder, path))
    return UNKNOWN if found.startswith(("/", "../")) or found == ".." else found


def pairs(values: Iterable[str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return `NAME=VALUE` by name; a name alone has its value from the environment."""
    found = {}
    for value in values:
        name, has_value, text = value.partition("=")
        found[name.strip()] = text if has_value else variables.get(name, UNKNOWN)
    return found


def platforms(values: Iterable[str]) -> tuple[str, ...]:
    """Return platforms in their normal form, of lists with commas; each once."""
    parts = (part.strip() for value in values for part in value.split(","))
    return tuple(dict.fromkeys(map(_platform, filter(None, parts))))


def _platform(text: str) -> str:
    try:
        return UNKNOWN if UNKNOWN in text else str(Platform.parse(text))
    except UsageError:
        return text


def to_registry(outputs: Iterable[str]) -> Truth:
    """Return whether one of buildx's outputs pushes."""
    result: Truth = False
    for output in outputs:
        options = pairs(output.split(","), {})
        kind = options.get("type")
        pushes = kind == "registry" or (kind == "image" and options.get("push") == "true")
        result = either(result, None if UNKNOWN in output else pushes)
    return result


def pushed_names(outputs: Iterable[str], tags: Sequence[str]) -> tuple[str, ...]:
    """Return the names under which an image is pushed: its tags, and those that outputs give it.

    One that is pushed by digest has no tag yet: a later job gives it one.
    """
    given = [pairs(output.split(","), {}) for output in outputs]
    names = [*tags, *(each["name"] for each in given if each.get("name"))]
    if any(each.get("push-by-digest") == "true" for each in given):
        return tuple(dict.fromkeys(f"{name.partition(':')[0]}:{UNKNOWN}" for name in names))
    return tuple(dict.fromkeys(names))


def caches(values: Iterable[str]) -> tuple[str, ...]:
    """Return what tells each cache that is written from others; those of one run are left out."""
    return tuple(filter(None, map(_cache, values)))


def _cache(value: str) -> str:
    if "=" not in value:
        return f"type=registry,ref={value}"
    options = pairs(value.split(","), {})
    kind = options.get("type", "registry")
    if kind in _OF_ONE_RUN:
        return ""
    if kind == "gha":
        return f"type=gha,scope={options.get('scope', 'buildkit')}"
    names = ("ref",) if kind == "registry" else ("bucket", "name", "prefix", "account_url")
    return ",".join([f"type={kind}", *(f"{name}={options.get(name, '')}" for name in names)])
