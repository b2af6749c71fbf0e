"""The parts of images, as the OCI image specification has them, wherever they are read from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from bailing_tasks import image_content, image_index
from bailing_tasks.engine.base import Image
from bailing_tasks.platforms import Platform
from bailing_tasks.references import is_sha256

CHUNK = 1 << 20
"""Bytes that are copied at once."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob as a manifest describes it.

    Attributes:
        digest: Its digest, `sha256:` and 64 hex digits.
        size: Its bytes.
    """

    digest: str
    size: int

    @classmethod
    def parse(cls, descriptor: Any) -> Blob:
        """Read a descriptor, which came from outside.

        Raises:
            ValueError: It is none, or has a digest that is no SHA-256.
        """
        digest, size = descriptor["digest"], descriptor["size"]
        if not is_sha256(str(digest)) or not isinstance(size, int) or size < 0:
            raise ValueError(f"no descriptor of a blob: {digest}, {size} bytes")
        return cls(digest=digest, size=size)

    @property
    def short(self) -> str:
        """The id that people are shown, as Docker shortens it."""
        return self.digest.partition(":")[2][:12]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an image consists of.

    Attributes:
        config: Its configuration.
        layers: Its layers, the lowest first.
    """

    config: Blob
    layers: tuple[Blob, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All that it names."""
        return (self.config, *self.layers)

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Read the manifest of an image for one platform.

        Raises:
            ValueError: It is none: an index, or something else.
        """
        try:
            document = json.loads(raw)
            return cls(
                config=Blob.parse(document["config"]),
                layers=tuple(map(Blob.parse, document["layers"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no manifest of an image ({error})") from error


class Blobs(Protocol):
    """Where the parts of images are read from, by their digests."""

    def has(self, blob: Blob) -> bool:
        """Whether a blob is there, in its whole length."""

    def read(self, digest: str) -> bytes:
        """Return a small blob, a manifest or a configuration; OSError where it is not there."""

    def open(self, digest: str) -> BinaryIO:
        """Open a blob of any size, which can be sought in; OSError where it is not there."""


def manifests(blobs: Blobs, digest: str) -> tuple[str, ...]:
    """Return the digests of what an image consists of: its manifest, then what attests it.

    Raises:
        OSError: It is not there.
        ValueError: It is none for one platform.
    """
    document = json.loads(blobs.read(digest))
    if not isinstance(document, dict):
        raise ValueError(f"no manifest of an image: {digest}")
    return image_index.parts(document) if "manifests" in document else (digest,)


def parts(blobs: Blobs, digest: str) -> tuple[str, ...]:
    """Return the digests of all blobs of an image, each once, its layers last.

    Raises:
        OSError: One of them is not there.
        ValueError: It is none for one platform.
    """
    found = _whole(blobs, digest)
    named = (blob.digest for manifest in found.values() for blob in manifest.blobs)
    return tuple(dict.fromkeys((digest, *found, *named)))


def described(blobs: Blobs, digest: str) -> Image:
    """Return what an image says of itself.

    Raises:
        OSError: A part of it is not there.
        ValueError: It is none for one platform.
        UsageError: It is for no platform that has a name.
    """
    manifest, *_ = _whole(blobs, digest).values()
    config = json.loads(blobs.read(manifest.config.digest))
    content = image_content.of_config(config)
    settings = config.get("config") or {}
    return Image(
        id=digest,
        content=content,
        platform=_platform(config),
        size=sum(blob.size for blob in manifest.blobs),
        user=settings.get("User") or "",
        labels=settings.get("Labels") or {},
        onbuild=tuple(settings.get("OnBuild") or ()),
    )


def _whole(blobs: Blobs, digest: str) -> dict[str, Manifest]:
    """Return the manifests of an image, by their digests, if all that they name is there."""
    found = {each: Manifest.parse(blobs.read(each)) for each in manifests(blobs, digest)}
    for manifest in found.values():
        for blob in manifest.blobs:
            if not blobs.has(blob):
                raise FileNotFoundError(f"{blob.digest} is not there")
    return found


def _platform(config: Mapping[str, Any]) -> Platform:
    parts = (config.get("os"), config.get("architecture"), config.get("variant"))
    return Platform.parse("/".join(str(part) for part in parts if part))
