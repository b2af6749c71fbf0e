"""Indexes: one image for several platforms, as the OCI image specification has them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bailing_tasks.names import (
    CREATED_LABEL,
    LICENSES_LABEL,
    REVISION_LABEL,
    SOURCE_LABEL,
    VERSION_LABEL,
)
from bailing_tasks.platforms import Platform

MEDIA_TYPE = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
"""What a manifest is that does not say it."""
UNKNOWN = "unknown"
KIND = "vnd.docker.reference.type"
OF = "vnd.docker.reference.digest"
"""By these annotations an index says what attests which image."""
SAID = (REVISION_LABEL, SOURCE_LABEL, VERSION_LABEL, CREATED_LABEL, LICENSES_LABEL)
"""What images and indexes say of where they came from."""


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """What is said of an image beside it: its provenance, what is in it.

    Attributes:
        digest: The digest of its manifest.
        size: The manifest's bytes.
        media_type: What the manifest is.
    """

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One platform's image in a registry.

    Attributes:
        platform: The platform.
        digest: The digest of its manifest.
        size: The manifest's bytes.
        media_type: What the manifest is.
        attested_by: What says how it was made, and what is in it.
    """

    platform: Platform
    digest: str
    size: int
    media_type: str
    attested_by: tuple[Attestation, ...] = ()


def entry(platform: Platform, raw: bytes, listed: bytes | None = None) -> Entry:
    """Return what an index says of a platform's manifest.

    Args:
        platform: The platform.
        raw: The manifest.
        listed: The index that it came in, which lists what attests it.

    Raises:
        ValueError: One of them is no JSON object.
    """
    found = digest(raw)
    return Entry(
        platform=platform,
        digest=found,
        size=len(raw),
        media_type=dict(json.loads(raw)).get("mediaType", OCI_MANIFEST),
        attested_by=attestations(dict(json.loads(listed)), found) if listed else (),
    )


def index(entries: Sequence[Entry], annotations: Mapping[str, str]) -> bytes:
    """Return an index, the same bytes for the same content.

    It is OCI's also where the images have Docker's media types: only OCI's has annotations. The
    specification lets its entries be of other types.

    What attests images comes after all of them, as BuildKit lists it (its documentation,
    attestation-storage.md).

    Args:
        entries: The images; the first one is what a client takes that knows no better.
        annotations: What the index says of itself.
    """
    document = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE,
        "manifests": [
            *(_described(entry) for entry in entries),
            *(_attesting(each, entry) for entry in entries for each in entry.attested_by),
        ],
        **({"annotations": dict(sorted(annotations.items()))} if annotations else {}),
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def is_image(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of an index is an image: what attests one is for no known platform."""
    return (entry.get("platform") or {}).get("os") != UNKNOWN


def images(raw: bytes) -> frozenset[str]:
    """Return the digests of the images that an index lists; none where it is no index.

    Raises:
        ValueError: It is no JSON object.
    """
    listed = dict(json.loads(raw)).get("manifests") or []
    return frozenset(str(each["digest"]) for each in listed if is_image(each))


def attestations(document: Mapping[str, Any], image: str) -> tuple[Attestation, ...]:
    """Return what attests the image with a digest, by an index or manifest that came from outside.

    Raises:
        ValueError: It is none.
    """
    try:
        return tuple(
            Attestation(
                digest=str(entry["digest"]),
                size=int(entry["size"]),
                media_type=str(entry["mediaType"]),
            )
            for entry in document.get("manifests", ())
            if (entry.get("annotations") or {}).get(OF) == image
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no index ({error})") from error


def parts(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the digests of an index's one image and of what attests it, in this order.

    Raises:
        ValueError: It is no index of one image.
    """
    try:
        (image,) = (str(entry["digest"]) for entry in document["manifests"] if is_image(entry))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no index ({error})") from error
    return (image, *(each.digest for each in attestations(document, image)))


def digest(raw: bytes) -> str:
    """Return the digest that registries have for a manifest or an index."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def said_of_it(
    *,
    revision: str = "",
    source: str = "",
    version: str = "",
    created: str = "",
    licenses: str = "",
) -> dict[str, str]:
    """Return what is known (OCI image specification, annotations), for an image or an index.

    The labels of an image name the commit that it was built from. The annotations of an index name
    the one that it was published for: what is the same stays the same image.

    Args:
        revision: The commit.
        source: Where the source code is.
        version: The version.
        created: When that was, by RFC 3339.
        licenses: An SPDX license expression.
    """
    found = {
        REVISION_LABEL: revision,
        SOURCE_LABEL: source,
        VERSION_LABEL: version,
        CREATED_LABEL: created,
        LICENSES_LABEL: licenses,
    }
    return {key: value for key, value in found.items() if value}


def _attesting(attestation: Attestation, entry: Entry) -> dict[str, object]:
    return {
        "mediaType": attestation.media_type,
        "digest": attestation.digest,
        "size": attestation.size,
        "annotations": {OF: entry.digest, KIND: "attestation-manifest"},
        "platform": {"architecture": UNKNOWN, "os": UNKNOWN},
    }


def _described(entry: Entry) -> dict[str, object]:
    platform = entry.platform
    named = {"architecture": platform.architecture, "os": platform.os}
    named |= {"variant": platform.variant} if platform.variant else {}
    return {
        "mediaType": entry.media_type,
        "digest": entry.digest,
        "size": entry.size,
        "platform": named,
    }
