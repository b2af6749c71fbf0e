"""What an image in a registry says of itself, labels and annotations; it is not pulled for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bailing_tasks import image_content
from bailing_tasks.engine.answers import LARGEST, Failed, checked_digest, read
from bailing_tasks.engine.blobs import Manifest
from bailing_tasks.engine.registry import Registries
from bailing_tasks.errors import PullError
from bailing_tasks.image_index import is_image
from bailing_tasks.references import Reference


def read_labels(registries: Registries, reference: Reference) -> Mapping[str, str]:
    """Return what an image at its own registry says of itself: its labels.

    Of an index, those of its first image, and over them the annotations of the index: an image that
    was not built anew has the label of an earlier commit.

    Raises:
        AbsentError: There is no such image.
        PullError: The registry cannot be asked, or answers with something else.
    """
    source = registries.origin(reference)
    failed = Failed(reference=reference, platform="", host=source.host)
    digest = registries.head(reference, source)
    if digest is None:
        raise failed("it does not say which digest the tag has", sign="digest")
    raw = registries.manifest(reference, digest, source)
    try:
        document = json.loads(raw)
        annotations = document.get("annotations") or {}
        if "manifests" in document:
            of_images = [each for each in document["manifests"] if is_image(each)]
            raw = registries.manifest(reference, of_images[0]["digest"], source)
        # An image need not say how it runs, nor anything of itself.
        said = _config(registries, reference, Manifest.parse(raw)).get("config") or {}
        found = said.get("Labels") or {}
        return {str(name): str(value) for name, value in {**found, **annotations}.items()}
    except PullError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise failed(f"the answer is no image ({error})", sign="digest") from error


def read_content(registries: Registries, reference: Reference, manifest: Manifest) -> str:
    """Return what makes an image at its own registry the same as another, by `image_content`.

    Raises:
        PullError: The registry cannot be asked, or answers with something else.
    """
    source = registries.origin(reference)
    failed = Failed(reference=reference, platform="", host=source.host)
    try:
        return image_content.of_config(_config(registries, reference, manifest))
    except ValueError as error:
        raise failed(f"the answer is no image ({error})", sign="digest") from error


def _config(registries: Registries, reference: Reference, manifest: Manifest) -> dict[str, Any]:
    """Return the configuration of an image at its own registry.

    Raises:
        PullError: The registry cannot be asked.
        ValueError: It is none.
    """
    source = registries.origin(reference)
    config = manifest.config
    if config.size > LARGEST:
        raise ValueError("its configuration is too large")
    failed = Failed(reference=reference, platform="", host=source.host)
    stall = registries.limits.stall
    with registries.blob(reference, config.digest, source, start=0, stall=stall) as response:
        read(response, registries.limits, failed)
        checked_digest(response, config.digest, failed)
        found = response.json()
    if not isinstance(found, dict):
        raise ValueError("its configuration is no object")
    return found
