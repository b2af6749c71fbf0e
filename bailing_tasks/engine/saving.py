"""Images as archives, in and out of a Docker engine, through the Docker SDK.

The containerd store gives an image as it has it. The classic store keeps layers unpacked, and would
give them so, under a manifest of its own: they are packed again, and a layer that has come from a
registry already is named as the registry has it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from bailing_tasks.engine.archive import archive
from bailing_tasks.engine.base import Engine, Image, Layers
from bailing_tasks.engine.blobs import CHUNK, Blob, Blobs, Manifest, manifests
from bailing_tasks.engine.layout import Layout
from bailing_tasks.engine.sdk import opened, sdk_errors
from bailing_tasks.engine.transport import engine_error
from bailing_tasks.errors import EngineError
from bailing_tasks.image_index import OCI_MANIFEST, digest
from bailing_tasks.references import is_sha256
from bailing_tasks.state import write_in_one_step

if TYPE_CHECKING:
    import docker

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LARGEST = 8 << 20
"""The most bytes of a configuration; registries take no manifest above 4 MiB."""
GZIP = 16 + zlib.MAX_WBITS
"""What makes zlib write the gzip format, with no time and no name in it."""


def load(connected: Callable[[], docker.APIClient], blobs: Blobs, image: str, name: str) -> None:
    """Have an engine take in an image.

    Args:
        connected: Returns the engine's connection.
        blobs: Where it is.
        image: The digest of its manifest, or of the index that lists what attests it as well.
        name: The name that it gets.

    Raises:
        EngineError: The engine refuses it, or failed; or the image is not whole.
    """
    message = f"{name} could not be loaded"
    try:
        with sdk_errors(message):
            client: Any = connected()  # the stubs take it for a file
            for document in client.load_image(archive(blobs, image, name)):
                if "error" in document:
                    raise engine_error(message, str(document["error"]))
    except (OSError, ValueError) as error:
        raise engine_error(message, str(error)) from error


def save(
    connected: Callable[[], docker.APIClient],
    engine: Engine,
    name: str,
    layout: Layout,
    layers: Layers,
) -> str:
    """Write an image into a layout; return its digest there.

    Args:
        connected: Returns the engine's connection.
        engine: The engine.
        name: The image.
        layout: Where to.
        layers: The layers that are there, which the classic store's need not come again.

    Raises:
        EngineError: It is not there, or the engine refuses or failed.
        OSError: The layout cannot be written to.
    """
    image = engine.image(name)
    if image is None:
        raise EngineError(f"{name} cannot be saved", cause="the engine does not have it")
    layout.make()
    if not engine.keeps_digests:
        return _repacked(connected, name, image, layout, layers)
    _copy(connected, name, layout)
    return image.id


def _copy(connected: Callable[[], docker.APIClient], name: str, layout: Layout) -> None:
    """Write an image of the containerd store into a layout, byte for byte."""
    message = f"{name} could not be saved"
    with sdk_errors(message), opened(connected().get_image(name)) as saved:
        for member in saved:
            found = f"sha256:{member.name.removeprefix('blobs/sha256/')}"
            if not is_sha256(found) or layout.has(Blob(digest=found, size=member.size)):
                continue
            try:
                layout.add(found, _content(saved, member))
            except ValueError as error:
                raise engine_error(message, str(error)) from error


def _repacked(
    connected: Callable[[], docker.APIClient],
    name: str,
    image: Image,
    layout: Layout,
    layers: Layers,
) -> str:
    """Write an image of the classic store into a layout; return the digest of its manifest."""
    config = b""
    message = f"{name} could not be saved"
    with sdk_errors(message), opened(connected().get_image(name)) as saved:
        for member in saved:
            known = f"sha256:{member.name.removeprefix('blobs/sha256/')}" in layers
            if not member.isreg() or known:
                continue
            file = _content(saved, member)
            if member.size > LARGEST:
                _pack(iter(functools.partial(file.read, CHUNK), b""), layout, layers)
                continue
            raw = file.read()
            if digest(raw) == image.id:
                config = raw
            else:
                _pack([raw], layout, layers)
    try:
        found = [layers[each] for each in json.loads(config)["rootfs"]["diff_ids"]]
    except (KeyError, TypeError, ValueError) as error:
        raise engine_error(message, f"what the engine gave is not whole ({error})") from error
    return _manifest(config, found, layout)


def layers_of(blobs: Blobs, image: str) -> Layers:
    """Return the layers of an image, by the digests of their content.

    Raises:
        OSError: It is not there.
        ValueError: It is none for one platform.
    """
    raw = blobs.read(manifests(blobs, image)[0])
    config = json.loads(blobs.read(Manifest.parse(raw).config.digest))
    return dict(zip(config["rootfs"]["diff_ids"], json.loads(raw)["layers"], strict=True))


def _pack(pieces: Iterable[bytes], layout: Layout, layers: Layers) -> None:
    """Pack a layer and add it to a layout."""
    content, packed, size = hashlib.sha256(), hashlib.sha256(), 0
    packing = zlib.compressobj(wbits=GZIP)
    partial = layout.partial("packing")
    with partial.open("wb") as file:

        def put(piece: bytes) -> None:
            nonlocal size
            file.write(piece)
            packed.update(piece)
            size += len(piece)

        for piece in pieces:
            content.update(piece)
            put(packing.compress(piece))
        put(packing.flush())
        file.flush()
        os.fsync(file.fileno())
    found = f"sha256:{packed.hexdigest()}"
    partial.replace(layout.path(found))
    descriptor = {"mediaType": LAYER_TYPE, "digest": found, "size": size}
    layers.setdefault(f"sha256:{content.hexdigest()}", descriptor)


def _manifest(config: bytes, layers: list[Any], layout: Layout) -> str:
    """Write configuration and manifest of an image; return the manifest's digest."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": CONFIG_TYPE, "digest": digest(config), "size": len(config)},
        "layers": layers,
    }
    raw = json.dumps(document).encode()
    for each in (config, raw):
        write_in_one_step(layout.path(digest(each)), each)
    return digest(raw)


def _content(saved: Any, member: Any) -> BinaryIO:
    return cast("BinaryIO", saved.extractfile(member))
