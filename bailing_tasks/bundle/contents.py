"""The list of what a bundle holds. Pure.

A bundle is an OCI image layout in an archive (tar), with this list beside `index.json`. Of an image
that comes from a registry it has the index that it stood in as well, where that is known, whether
or not the other images of that index are there: its digest is how the image is known elsewhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from bailing_tasks.errors import BailingError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference, is_sha256
from bailing_tasks.state import Pin

NAME = "bailing-tasks.json"
SCHEMA = 1
"""Counted up when a list of this form can no longer be read as before."""

Item = TypeVar("Item", bound="External | Built")


@dataclass(frozen=True, kw_only=True)
class External:
    """An image that comes from a registry.

    Attributes:
        reference: The reference in canonical form.
        platform: The platform.
        pinned: The digest that it is pinned to.
        index_digest: The digest of the index it stands in; the same where there is no index.
        served_from: The repository that served it.
        resolved_at: When the registry was asked; empty if it was not.
        digest: The digest of its manifest in the bundle. It is not the pinned one where no registry
            has the image any more, and it is from an engine that keeps no manifests.
        size: The bytes of all that it consists of.
    """

    reference: str
    platform: str
    pinned: str
    index_digest: str
    served_from: str
    resolved_at: str
    digest: str
    size: int

    @property
    def pin(self) -> Pin:
        """What builds are bound to."""
        return Pin(
            reference=self.reference,
            platform=self.platform,
            digest=self.pinned,
            index_digest=self.index_digest,
            served_from=self.served_from,
            resolved_at=self.resolved_at,
        )

    @property
    def title(self) -> str:
        """The image for people."""
        return f"{Reference.parse(self.reference).familiar} ({self.platform})"


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image that the workspace builds.

    Attributes:
        target: The target.
        platform: The platform.
        python: The Python version; empty for a target that has none.
        version: The version of what it was built from; empty where there is none.
        name: The name that people use.
        kept: The name that is made from its fingerprint.
        label: What its label says of its fingerprint; what is another image under a name of its own
            has that one's label, or none.
        digest: The digest of its manifest, or of an index where something attests it.
        size: The bytes of all that it consists of.
    """

    target: str
    platform: str
    python: str
    version: str
    name: str
    kept: str
    label: str
    digest: str
    size: int

    @property
    def title(self) -> str:
        """The image for people."""
        return f"{self.name} ({self.platform})"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a bundle holds.

    Attributes:
        project: The folder of the workspace it was saved in, by its name.
        created: When what was built was committed, by RFC 3339; empty where nothing was.
        external: The images from registries.
        built: The images that were built.
    """

    project: str
    created: str
    external: tuple[External, ...]
    built: tuple[Built, ...]

    @property
    def images(self) -> tuple[External | Built, ...]:
        """All of them."""
        return (*self.external, *self.built)

    @property
    def digest(self) -> str:
        """The digest of the list, however it is written."""
        text = json.dumps(self.document(), sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def document(self) -> dict[str, Any]:
        """Return the list as it is written."""
        return {"schema": SCHEMA, **asdict(self)}


def parse(raw: bytes) -> Contents:
    """Read a list, which came from outside.

    Raises:
        UsageError: Another version of the tasks wrote it.
        ValueError: It is none.
    """
    document = json.loads(raw)
    if not isinstance(document, dict):
        raise ValueError(f"{NAME} is no object")
    if document.get("schema") != SCHEMA:
        raise UsageError(
            f"the bundle is of another form: {document.get('schema')!r}, not {SCHEMA}",
            remedy="use the version of the tasks that saved it, or save it anew with this one",
        )
    return Contents(
        project=_text(document, "project"),
        created=_text(document, "created"),
        external=tuple(_item(External, each) for each in _list(document, "external")),
        built=tuple(_item(Built, each) for each in _list(document, "built")),
    )


def _item(kind: type[Item], entry: Any) -> Item:
    """Read one image; each field has to be what it says."""
    names = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise ValueError(f"{NAME} has an image that is none: {entry!r}")
    for name in names:
        _CHECKS.get(name, _is_text)(entry[name])
    return kind(**entry)


def _is_text(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{NAME}: {value!r} is no text")


def _is_digest(value: object) -> None:
    if not isinstance(value, str) or not is_sha256(value):
        raise ValueError(f"{NAME}: {value!r} is no digest")


def _is_size(value: object) -> None:
    if type(value) is not int or value < 0:
        raise ValueError(f"{NAME}: {value!r} is no number of bytes")


def _is_reference(value: object) -> None:
    _is_text(value)
    _understood(Reference.parse, str(value))


def _is_platform(value: object) -> None:
    _is_text(value)
    _understood(Platform.parse, str(value))


def _understood(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except BailingError as error:
        raise ValueError(f"{NAME}: {error.message}") from error


_CHECKS: Mapping[str, Callable[[object], None]] = {
    "reference": _is_reference,
    "platform": _is_platform,
    "name": _is_reference,
    "kept": _is_reference,
    "pinned": _is_digest,
    "index_digest": _is_digest,
    "digest": _is_digest,
    "size": _is_size,
}


def _text(document: Mapping[str, Any], key: str) -> str:
    _is_text(document.get(key))
    return str(document[key])


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    found = document.get(key)
    if not isinstance(found, list):
        raise ValueError(f"{NAME} has no list {key!r}")
    return found
