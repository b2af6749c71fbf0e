"""Images of random bytes in a registry, of 1 to 60 MB, some layers shared; made once."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import requests

NAMESPACE = "bailing-bench"
TAG = "1"
MB = 1_000_000
SMALLEST, LARGEST = 1 * MB, 60 * MB
BASES = ((40 * MB, 25 * MB), (15 * MB, 8 * MB))
"""From which size on an image stands on a shared layer, and how large that is."""
SHARES = (0.6, 0.3, 0.1)
"""How the rest of an image is spread over its own layers."""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in the registry.

    Attributes:
        name: Its repository and tag, without a host.
        layers: The bytes of each blob by digest, the configuration among them.
    """

    name: str
    layers: dict[str, int]


def unique_bytes(images: Sequence[Image]) -> int:
    """Return what has to come over the network for all of them, each blob once."""
    return sum({digest: n for image in images for digest, n in image.layers.items()}.values())


def ensure(registry: str, count: int) -> list[Image]:
    """Return so many images, the sizes evenly spread; what the registry has not is pushed."""
    pusher = _Pusher(f"http://{registry}/v2")
    step = (LARGEST - SMALLEST) / (count - 1)
    return [pusher.ensure(f"{count}-{n:02}", round(SMALLEST + n * step)) for n in range(count)]


class _Pusher:
    """Makes images in a registry by its HTTP API.

    Args:
        url: Where that is.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def ensure(self, name: str, size: int) -> Image:
        repository = f"{NAMESPACE}/{name}"
        url = f"{self._url}/{repository}/manifests/{TAG}"
        found = self._session.get(url, headers={"Accept": MANIFEST})
        manifest = found.json() if found.ok else self._push(repository, name, size)
        blobs = [manifest["config"], *manifest["layers"]]
        layers = {blob["digest"]: int(blob["size"]) for blob in blobs}
        return Image(name=f"{repository}:{TAG}", layers=layers)

    def _push(self, repository: str, name: str, size: int) -> dict[str, Any]:
        layers, plain = [], []
        for seed, part in _parts(name, size):
            content = _layer(seed, part)
            plain.append(_digest(content))
            layers.append(self._blob(repository, LAYER, gzip.compress(content, 1, mtime=0)))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [f"IMAGE={name}"]},
            "rootfs": {"type": "layers", "diff_ids": plain},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(repository, CONFIG, json.dumps(config).encode()),
            "layers": layers,
        }
        url = f"{self._url}/{repository}/manifests/{TAG}"
        self._session.put(
            url, data=json.dumps(manifest), headers={"Content-Type": MANIFEST}
        ).raise_for_status()
        return manifest

    def _blob(self, repository: str, kind: str, content: bytes) -> dict[str, Any]:
        began = self._session.post(f"{self._url}/{repository}/blobs/uploads/")
        began.raise_for_status()
        digest = _digest(content)
        place = began.headers["Location"]
        self._session.put(place, params={"digest": digest}, data=content).raise_for_status()
        return {"mediaType": kind, "digest": digest, "size": len(content)}


def _parts(name: str, size: int) -> Iterator[tuple[str, int]]:
    """Yield a seed and a size for each layer; the same seed is the same layer."""
    for least, part in BASES:
        if size >= least:
            yield f"base {part}", part
            size -= part
            break
    for number, share in enumerate(SHARES):
        yield f"{name} {number}", round(size * share)


def _layer(seed: str, size: int) -> bytes:
    content = random.Random(seed).randbytes(size)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(f"{seed.replace(' ', '-')}.bin")
        entry.size = size
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
