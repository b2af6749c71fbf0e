"""Images of a few bytes in a layout, and the list of a bundle that holds them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

from bailing_tasks.bundle.contents import Built, Contents, External
from bailing_tasks.engine.blobs import parts
from bailing_tasks.engine.layout import Layout
from bailing_tasks.image_index import MEDIA_TYPE, OCI_MANIFEST

REFERENCE = "docker.io/library/base:1"
PLATFORMS = ("linux/amd64", "linux/arm64")


def put(layout: Layout, content: bytes) -> dict[str, object]:
    """Put a blob into a layout; return its descriptor."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    layout.add(digest, io.BytesIO(content))
    return {"digest": digest, "size": len(content)}


def image(layout: Layout, platform: str, *layers: bytes) -> dict[str, object]:
    """Put an image into a layout; return the descriptor of its manifest."""
    layout.make()
    os, architecture = platform.split("/")
    config = {
        "os": os,
        "architecture": architecture,
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": put(layout, json.dumps(config).encode()),
        "layers": [put(layout, gzip.compress(layer, mtime=0)) for layer in layers],
    }
    described = {"os": os, "architecture": architecture}
    found = put(layout, json.dumps(manifest).encode())
    return {"mediaType": OCI_MANIFEST, **found, "platform": described}


def index(layout: Layout, *images: dict[str, object]) -> str:
    """Put an index into a layout; return its digest."""
    document = {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "manifests": list(images)}
    return str(put(layout, json.dumps(document).encode())["digest"])


def filled(folder: Path) -> tuple[Layout, Contents]:
    """Return a layout and the list of a bundle: a base for two platforms, and an app on it."""
    layout = Layout(folder)
    bases = [image(layout, platform, b"base" * 1000) for platform in PLATFORMS]
    of_both = index(layout, *bases)
    app = str(image(layout, PLATFORMS[0], b"base" * 1000, b"app")["digest"])
    external = tuple(
        External(
            reference=REFERENCE,
            platform=platform,
            pinned=str(base["digest"]),
            index_digest=of_both,
            served_from="docker.io/library/base",
            resolved_at="",
            digest=str(base["digest"]),
            size=_size(layout, str(base["digest"])),
        )
        for platform, base in zip(PLATFORMS, bases, strict=True)
    )
    built = Built(
        target="app",
        platform=PLATFORMS[0],
        python="3.11",
        version="1.2",
        name="app:latest",
        kept="localhost/app:fp-0123456789abcdef",
        label="app:linux/amd64:0123",
        digest=app,
        size=_size(layout, app),
    )
    contents = Contents(
        project="somewhere", created="2026-01-01T00:00:00+00:00", external=external, built=(built,)
    )
    return layout, contents


def without_index(contents: Contents) -> Contents:
    """Return a list whose images from registries stand in no index."""
    found = (replace(each, index_digest=each.pinned) for each in contents.external)
    return replace(contents, external=tuple(found))


def _size(layout: Layout, digest: str) -> int:
    return sum(layout.path(each).stat().st_size for each in parts(layout, digest))
