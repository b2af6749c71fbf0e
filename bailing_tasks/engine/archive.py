"""An image as one archive, which Docker engines load.

It is an OCI image layout, and has beside it what engines before 25.0 look for (the Docker image
specification, v1.2: `manifest.json`).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from bailing_tasks.engine.blobs import CHUNK, Blobs, Manifest, manifests, parts
from bailing_tasks.image_index import OCI_MANIFEST

IMAGE_NAME = "io.containerd.image.name"
"""The annotation by which containerd names what it takes in."""

VERSION = {"imageLayoutVersion": "1.0.0"}
"""What `oci-layout` says."""
END = bytes(2 * tarfile.BLOCKSIZE)
"""What an archive ends with."""


def archive(blobs: Blobs, digest: str, name: str) -> Iterator[bytes]:
    """Yield the archive of an image in pieces, however big its layers are.

    Args:
        blobs: Where the image is.
        digest: The digest of its manifest, or of the index that lists what attests it as well.
        name: The name, with a tag, that the engine gives it.

    Raises:
        OSError: Not all of it is there.
        ValueError: The digest is of no image for one platform, or it is damaged.
    """
    manifest, *_ = manifests(blobs, digest)
    yield from text("oci-layout", VERSION)
    yield from text("index.json", _index(blobs.read(digest), digest, name))
    yield from text("manifest.json", _docker(Manifest.parse(blobs.read(manifest)), name))
    for each in parts(blobs, digest):
        yield from blob(blobs, each)
    yield END


def text(name: str, document: Any) -> Iterator[bytes]:
    """Yield a member of an archive: a JSON document."""
    yield from _member(name, io.BytesIO((json.dumps(document, indent=1) + "\n").encode()))


def blob(blobs: Blobs, digest: str) -> Iterator[bytes]:
    """Yield a member of an archive: a blob.

    Raises:
        OSError: It is not there.
        ValueError: It is damaged.
    """
    found = hashlib.sha256()
    with blobs.open(digest) as file:
        yield from _member(place(digest), file, found.update)
    if f"sha256:{found.hexdigest()}" != digest:
        raise ValueError(f"the blob {digest} is damaged: it has sha256:{found.hexdigest()}")


def _member(
    name: str, file: BinaryIO, look: Callable[[bytes], None] = lambda piece: None
) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    # One block, also for what is larger than 8 GiB.
    yield header.tobuf(format=tarfile.GNU_FORMAT)
    while piece := file.read(CHUNK):
        look(piece)
        yield piece
    yield bytes(-header.size % tarfile.BLOCKSIZE)


def place(digest: str) -> str:
    """Return where an OCI image layout has a blob."""
    return f"blobs/{digest.replace(':', '/')}"


def _index(raw: bytes, digest: str, name: str) -> dict[str, Any]:
    entry = {
        "mediaType": json.loads(raw).get("mediaType", OCI_MANIFEST),
        "digest": digest,
        "size": len(raw),
        "annotations": {IMAGE_NAME: name},
    }
    return {"schemaVersion": 2, "manifests": [entry]}


def _docker(manifest: Manifest, name: str) -> list[dict[str, Any]]:
    layers = [place(layer.digest) for layer in manifest.layers]
    return [{"Config": place(manifest.config.digest), "RepoTags": [name], "Layers": layers}]
