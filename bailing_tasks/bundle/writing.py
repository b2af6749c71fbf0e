"""Writes a bundle: checked while it is written, and under its name once it is whole.

The same content makes the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bailing_tasks.bundle.contents import NAME, Built, Contents, External
from bailing_tasks.engine.archive import END, VERSION, blob, text
from bailing_tasks.engine.blobs import Blobs, parts
from bailing_tasks.engine.layout import REF_NAME
from bailing_tasks.errors import UsageError
from bailing_tasks.image_index import MEDIA_TYPE, OCI_MANIFEST
from bailing_tasks.platforms import Platform

LIST = "io.bailing-tasks.list"
"""The annotation of `index.json` that has the digest of the list."""


def blobs_of(contents: Contents, blobs: Blobs) -> tuple[str, ...]:
    """Return the digests of all that a bundle holds, each once, sorted.

    Raises:
        OSError: Some of it is not there.
        ValueError: Something is no image.
    """
    found = {each for image in contents.images for each in parts(blobs, image.digest)}
    found |= {
        image.index_digest for image in contents.external if _is_there(blobs, image.index_digest)
    }
    return tuple(sorted(found))


def index(contents: Contents, blobs: Blobs) -> dict[str, Any]:
    """Return what any reader of OCI image layouts finds the images by; it checks the list as well.

    Raises:
        OSError: An image is not there.
        ValueError: Something is no image.
    """
    return {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE,
        "manifests": [_entry(image, blobs) for image in contents.images],
        "annotations": {LIST: contents.digest},
    }


def checked(path: Path) -> Path:
    """Return the place of a bundle, links followed, before anything is gathered for it.

    Raises:
        UsageError: No file can be made there, or one that is no bundle would be lost.
    """
    place, remedy = path.resolve(), "name a file in a folder that is there and can be written to"
    if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        cause = f"{place.parent} is no folder that can be written to"
        raise UsageError(f"{path} cannot be written", cause=cause, remedy=remedy)
    if not place.exists():
        return place
    if not place.is_file():
        raise UsageError(f"{path} cannot be written", cause="it is no file", remedy=remedy)
    begins = b"".join(text("oci-layout", VERSION))
    try:
        with place.open("rb") as file:
            found = file.read(len(begins))
    except OSError as error:
        raise UsageError(f"{path} cannot be read", cause=str(error), remedy=remedy) from error
    if found not in (b"", begins):
        raise UsageError(
            f"{path} is there already, and is no bundle",
            cause="it would be lost",
            remedy="remove it, or name another file",
        )
    return place


def write(path: Path, contents: Contents, blobs: Blobs) -> int:
    """Write a bundle; return its bytes.

    Raises:
        UsageError: The file cannot be written, or a blob is damaged.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            for piece in _pieces(contents, blobs):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        partial.replace(path)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be written",
            cause=str(error),
            remedy="free disk space there, or name another place; what is damaged is named above",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return size


def _pieces(contents: Contents, blobs: Blobs) -> Iterator[bytes]:
    yield from text("oci-layout", VERSION)
    yield from text(NAME, contents.document())
    yield from text("index.json", index(contents, blobs))
    for digest in blobs_of(contents, blobs):
        yield from blob(blobs, digest)
    yield END


def _entry(image: External | Built, blobs: Blobs) -> dict[str, Any]:
    raw, platform = blobs.read(image.digest), Platform.parse(image.platform)
    named = {"os": platform.os, "architecture": platform.architecture}
    name = image.reference if isinstance(image, External) else image.name
    return {
        "mediaType": json.loads(raw).get("mediaType", OCI_MANIFEST),
        "digest": image.digest,
        "size": len(raw),
        "platform": named | ({"variant": platform.variant} if platform.variant else {}),
        "annotations": {REF_NAME: name},
    }


def _is_there(blobs: Blobs, digest: str) -> bool:
    try:
        blobs.read(digest)
    except OSError:
        return False
    return True
