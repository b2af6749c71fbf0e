"""What an image in a registry says of itself: labels and annotations; it is not pulled for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bailing_tasks.engine.answers import LARGEST, Failed, checked_digest, read
from bailing_tasks.engine.layout import Manifest
from bailing_tasks.engine.registry import Registries
from bailing_tasks.errors import PullError
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
            # What describes an image, its provenance for one, is listed for no known platform.
            of_images = [each for each in document["manifests"] if _is_image(each)]
            raw = registries.manifest(reference, of_images[0]["digest"], source)
        config = Manifest.parse(raw).config
        if config.size > LARGEST:
            raise ValueError("its configuration is too large")
        with registries.blob(
            reference, config.digest, source, start=0, stall=registries.limits.stall
        ) as response:
            read(response, registries.limits, failed)
            checked_digest(response, config.digest, failed)
            found = response.json()["config"].get("Labels") or {}
            return {str(name): str(value) for name, value in {**found, **annotations}.items()}
    except PullError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise failed(f"the answer is no image ({error})", sign="digest") from error


def _is_image(entry: Mapping[str, Any]) -> bool:
    return (entry.get("platform") or {}).get("os") != "unknown"
