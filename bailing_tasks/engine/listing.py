"""What a Docker engine says of the names of an image. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bailing_tasks.engine.base import Held

NOTHING = "<none>"
"""What engines before 25.0 say of what has no name."""


def held(said: Mapping[str, Any]) -> Held:
    """Read the answer to `GET /images/{name}/json`.

    A digest is a name only where no tag is of the same repository: the containerd store shows one
    for each tag.
    """
    tags = [name for name in said["RepoTags"] or () if not name.startswith(NOTHING)]
    known = {NOTHING, *(name.rpartition(":")[0] for name in tags)}
    digests = (name for name in said["RepoDigests"] or () if name.partition("@")[0] not in known)
    return Held(
        id=said["Id"],
        names=(*tags, *digests),
        size=said["Size"],
        labels=(said.get("Config") or {}).get("Labels") or {},
    )
