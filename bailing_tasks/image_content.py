"""What makes two images the same, whoever is asked: their configuration and layers. Pure.

An engine's id for an image, and its digest in a registry, differ where only what attests it does:
that has times in it. Engines up to 26.1 do not say which image an index holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def of_config(config: Mapping[str, Any]) -> str:
    """Return a digest for an image by its configuration (OCI image specification, config).

    Raises:
        ValueError: It is none.
    """
    try:
        layers = config["rootfs"]["diff_ids"]
        return _digest(config, config.get("created"), layers, config.get("config"))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no configuration of an image ({error})") from error


def of_inspected(found: Mapping[str, Any]) -> str:
    """Return the same by what a Docker engine says of an image (`GET /images/NAME/json`)."""
    layers = (found.get("RootFS") or {}).get("Layers") or []
    platform = {"os": found.get("Os"), "architecture": found.get("Architecture")}
    return _digest(platform, found.get("Created"), layers, found.get("Config"))


def _digest(
    platform: Mapping[str, Any], created: object, layers: object, config: Mapping[str, Any] | None
) -> str:
    # Which fields are there though they are empty depends on who is asked.
    known = {key: value for key, value in (config or {}).items() if value}
    said = [platform.get("os"), platform.get("architecture"), created, layers, known]
    text = json.dumps(said, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
