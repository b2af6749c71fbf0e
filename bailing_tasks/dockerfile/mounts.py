"""``RUN --mount``: its fields, and what BuildKit refuses in them.

The rules are those of ``commands_runmount.go`` in BuildKit's instructions: once when the file is
read, when only ``from`` counts, and once when the instruction is carried out, with variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bailing_tasks.dockerfile.dialect import Unknown
from bailing_tasks.dockerfile.text import Refused, from_raw, lower
from bailing_tasks.dockerfile.values import check_bool, check_size, check_unsigned

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_WITH_OWNER = ("secret", "ssh", "cache")
_VARIABLE = re.compile(r"\$[^\n]")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a RUN.

    Attributes:
        type: One of TYPES.
        origin: Its ``from``; empty where it has none.
        source: The path in what it mounts.
        target: Where it is mounted.
        origin_at: Where the text of ``from`` stands in the mount's text, start and end.
    """

    type: str = "bind"
    origin: str = ""
    source: str = ""
    target: str = ""
    origin_at: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Field:
    text: str
    start: int


def declared_origin(text: str) -> Mount:
    """The ``from`` of a mount, as the file has it.

    Raises:
        Refused: The fields are malformed, or ``from`` holds a variable.
    """
    mount = Mount()
    for field in _fields(text):
        key, equals, value = field.text.partition("=")
        if not equals or lower(key) != "from":
            continue
        if _VARIABLE.search(value):
            raise Refused(
                "the from of a mount holds a variable, which BuildKit does not expand there",
                "name it in a stage of its own (FROM ${NAME} AS name), and mount from=name",
            )
        start = field.start + len(key) + 1
        mount = Mount(origin=value, origin_at=(start, start + len(value)))
    return mount


def parse_mount(text: str, expand: Callable[[str], str], unknown: Unknown) -> Mount:
    """A mount as it is carried out.

    Args:
        text: Its fields.
        expand: Expands variables.
        unknown: Called for a field or a type that another frontend may know.

    Raises:
        Refused: A field is malformed, or does not go with the mount's type.
    """
    seen: dict[str, str] = {"type": "bind"}
    for field in _fields(text):
        key, equals, value = field.text.partition("=")
        key = _ALIASES.get(lower(key), lower(key))
        if not equals:
            _check_bare(key, field.text, seen["type"])
            continue
        value = expand(value)
        if key not in _CHECKS:
            unknown(
                Refused(f"a mount has no field {from_raw(key)!r}", "remove it, or correct its name")
            )
            continue
        _CHECKS[key](key, value, seen["type"])
        seen[key] = lower(value) if key in ("type", "sharing") else value
    _check_together(seen)
    return Mount(seen["type"], seen.get("from", ""), seen.get("source", ""), seen.get("target", ""))


def check_device(text: str) -> None:
    """A value of ``--device``: a name, and whether it is required.

    Raises:
        Refused: A field is unknown or malformed.
    """
    named = False
    for field in _fields(text):
        key, equals, value = field.text.partition("=")
        key = lower(key)
        if key == "required":
            if equals:
                check_bool("required of a device", value)
        elif named:
            raise Refused(
                f"a device has no field {from_raw(field.text)!r}", "write name=…,required=true"
            )
        else:
            named = bool(value if key == "name" and equals else field.text)


def _fields(text: str) -> list[_Field]:
    """The first record of CSV (Go's ``encoding/csv``), with where each field stands."""
    if not text:
        raise Refused("a mount holds no fields", "write it as in --mount=type=cache,target=/cache")
    fields: list[_Field] = []
    position = 0
    while True:
        if text.startswith('"', position):
            field, position = _quoted_field(text, position + 1)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            field, position = _Field(text[position:end], position), end
            if '"' in field.text:
                raise Refused("a bare \" stands in a mount's field", "quote the whole field")
        fields.append(field)
        if position >= len(text):
            return fields
        position += 1


def _quoted_field(text: str, start: int) -> tuple[_Field, int]:
    parts: list[str] = []
    position = start
    while True:
        end = text.find('"', position)
        if end < 0:
            raise Refused("a quoted field of a mount is not closed", 'close it with "')
        parts.append(text[position:end])
        if text.startswith('""', end):
            parts.append('"')
            position = end + 2
        elif end + 1 == len(text) or text[end + 1] == ",":
            return _Field("".join(parts), start), end + 1
        else:
            raise Refused("text follows a quoted field of a mount", "put a comma after the quote")


def _check_bare(key: str, text: str, kind: str) -> None:
    """A field with no value."""
    if key in ("readonly", "readwrite"):
        return
    if key != "required":
        raise Refused(f"the field {from_raw(text)!r} of a mount has no value", "write key=value")
    _check_required(key, "true", kind)


def _check_nothing(_key: str, _value: str, _kind: str) -> None:
    """Any value will do."""


def _check_type(_key: str, value: str, _kind: str) -> None:
    if lower(value) not in TYPES:
        raise Refused(f"{from_raw(value)!r} is no type of mount", f"use one of {', '.join(TYPES)}")


def _check_sharing(_key: str, value: str, _kind: str) -> None:
    if lower(value) not in _SHARING:
        raise Refused(
            f"{from_raw(value)!r} is no way to share a cache", f"use one of {', '.join(_SHARING)}"
        )


def _check_bool(key: str, value: str, _kind: str) -> None:
    check_bool(f"{key} of a mount", value)


def _check_required(key: str, value: str, kind: str) -> None:
    if kind not in ("secret", "ssh"):
        raise Refused(f"a mount of type {kind} has no field {key}", "remove it, or put type first")
    _check_bool(key, value, kind)


def _check_env(key: str, _value: str, kind: str) -> None:
    if kind != "secret":
        raise Refused(f"a mount of type {kind} has no field {key}", "remove it, or put type first")


def _check_size(key: str, value: str, kind: str) -> None:
    if kind != "tmpfs":
        raise Refused(f"a mount of type {kind} has no field {key}", "remove it, or put type first")
    check_size(f"{key} of a mount", value)


def _check_number(key: str, value: str, _kind: str) -> None:
    check_unsigned(f"{key} of a mount", value, 8 if key == "mode" else 10)


def _check_together(seen: dict[str, str]) -> None:
    """Fields that exclude one another, or need one another."""
    kind = seen["type"]
    for key in ("mode", "uid", "gid"):
        if key in seen and kind not in _WITH_OWNER:
            raise Refused(f"a mount of type {kind} has no field {key}", f"remove {key}")
    if kind == "secret":
        if seen.get("from"):
            raise Refused("a secret comes from no image", "remove from")
        if not (seen.get("source") or seen.get("target") or seen.get("id")):
            raise Refused("a secret mount names no secret", "add id=name")
        if seen.get("source") and seen.get("id"):
            raise Refused("a secret mount has both source and id", "leave one of them")
    if seen.get("sharing") and kind != "cache":
        raise Refused(f"a mount of type {kind} cannot be shared", "remove sharing")


_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_CHECKS: dict[str, Callable[[str, str, str], None]] = {
    "type": _check_type,
    "from": _check_nothing,
    "source": _check_nothing,
    "target": _check_nothing,
    "readonly": _check_bool,
    "readwrite": _check_bool,
    "required": _check_required,
    "size": _check_size,
    "env": _check_env,
    "id": _check_nothing,
    "sharing": _check_sharing,
    "mode": _check_number,
    "uid": _check_number,
    "gid": _check_number,
}
