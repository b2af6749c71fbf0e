"""Indexes: one image for several platforms, as the OCI image specification has them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
SAID = (REVISION_LABEL, SOURCE_LABEL, VERSION_LABEL, CREATED_LABEL, LICENSES_LABEL)
"""What images and indexes say of where they came from."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One platform's image in a registry.

    Attributes:
        platform: The platform.
        digest: The digest of its manifest.
        size: The manifest's bytes.
        media_type: What the manifest is.
    """

    platform: Platform
    digest: str
    size: int
    media_type: str


def entry(platform: Platform, raw: bytes) -> Entry:
    """Return what an index says of a platform's manifest.

    Raises:
        ValueError: It is no JSON object.
    """
    media_type = dict(json.loads(raw)).get("mediaType", OCI_MANIFEST)
    return Entry(platform=platform, digest=digest(raw), size=len(raw), media_type=media_type)


def index(entries: Sequence[Entry], annotations: Mapping[str, str]) -> bytes:
    """Return an index, the same bytes for the same content.

    It is OCI's also where the images have Docker's media types: only OCI's has annotations. The
    specification lets its entries be of other types.

    Args:
        entries: The images; the first one is what a client takes that knows no better.
        annotations: What the index says of itself.
    """
    document = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE,
        "manifests": [_described(entry) for entry in entries],
        **({"annotations": dict(sorted(annotations.items()))} if annotations else {}),
    }
    return (json.dumps(document, indent=2) + "\n").encode()


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
