"""A target's fingerprint: the digest of everything that decides what a build of it makes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VERSION = 2
"""Counted up when the fingerprint of the same inputs changes."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a build of one target for one platform is made from.

    Attributes:
        instructions: The instructions of the stages it reaches.
        build_args: Build arguments.
        images: For each external image, by reference and platform, the digest it is built on, empty
            where none is known; for `builder` and a platform, the name of the builder image.
        platform: The platform.
        build_platform: The platform it is built on, where an instruction asks for it; else empty.
        files: For each context file that a stage reads, its digest.
    """

    instructions: Sequence[str]
    build_args: Mapping[str, str]
    images: Mapping[str, str]
    platform: str
    build_platform: str
    files: Mapping[str, str]


def fingerprint(inputs: Inputs) -> str:
    """Return 64 hex digits, the same for the same inputs on every machine."""
    document = {"version": VERSION, **vars(inputs)}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()
