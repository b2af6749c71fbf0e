"""An image of a layout as one archive, which Docker engines load.

It is an OCI image layout, and has beside it what engines before 25.0 look for (the Docker image
specification, v1.2: `manifest.json`).
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bailing_tasks.engine.answers import CHUNK
from bailing_tasks.engine.layout import Layout, Manifest
from bailing_tasks.image_index import OCI_MANIFEST

IMAGE_NAME = "io.containerd.image.name"
"""The annotation by which containerd names what it takes in."""

_BLOCK = tarfile.BLOCKSIZE


def archive(layout: Layout, digest: str, name: str) -> Iterator[bytes]:
    """Yield the archive of an image in pieces, however big its layers are.

    Args:
        layout: Where the image is.
        digest: The digest of its manifest.
        name: The name, with a tag, that the engine gives it.

    Raises:
        OSError: The layout does not have all of it.
        ValueError: The digest is of no image's manifest.
    """
    raw = layout.path(digest).read_bytes()
    manifest = Manifest.parse(raw)
    yield from _text("oci-layout", {"imageLayoutVersion": "1.0.0"})
    yield from _text("index.json", _index(raw, digest, name))
    yield from _text("manifest.json", _docker(manifest, name))
    for digest_of in dict.fromkeys((digest, *(blob.digest for blob in manifest.blobs))):
        yield from _file(_place(digest_of), layout.path(digest_of))
    yield bytes(2 * _BLOCK)


def _index(raw: bytes, digest: str, name: str) -> dict[str, Any]:
    entry = {
        "mediaType": json.loads(raw).get("mediaType", OCI_MANIFEST),
        "digest": digest,
        "size": len(raw),
        "annotations": {IMAGE_NAME: name},
    }
    return {"schemaVersion": 2, "manifests": [entry]}


def _docker(manifest: Manifest, name: str) -> list[dict[str, Any]]:
    layers = [_place(layer.digest) for layer in manifest.layers]
    return [{"Config": _place(manifest.config.digest), "RepoTags": [name], "Layers": layers}]


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _text(name: str, document: Any) -> Iterator[bytes]:
    content = json.dumps(document).encode()
    yield _header(name, len(content))
    yield from _padded(io.BytesIO(content))


def _file(name: str, path: Path) -> Iterator[bytes]:
    yield _header(name, path.stat().st_size)
    with path.open("rb") as file:
        yield from _padded(file)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf()


def _padded(file: Any) -> Iterator[bytes]:
    size = 0
    while piece := file.read(CHUNK):
        size += len(piece)
        yield piece
    yield bytes(-size % _BLOCK)
