"""What a prefetch can be expected to run into, before it pulls anything. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bailing_tasks.units import size

UNPACKED = 3.0
"""How much more space an image takes that is unpacked, beside what came: a rule of thumb."""


def space(layers: Mapping[str, int], free: int | None) -> list[str]:
    """Return what to say about disk space.

    Args:
        layers: The bytes of each layer that is to come, as far as that is known; the engine may
            have some of them.
        free: The free bytes where they go; None where that is not known.
    """
    needed = sum(layers.values())
    if free is None or needed * UNPACKED < free:
        return []
    text = (
        f"the disk may not suffice: {size(needed)} are to come, about {size(needed * UNPACKED)} "
        f"unpacked, and {size(free)} are free where the engine keeps images\n"
        "`docker system df` shows what takes space"
    )
    return [text]


def pulls(hosts: Iterable[str], remaining: Mapping[str, int]) -> list[str]:
    """Return what to say about hosts that allow fewer pulls than are needed.

    Args:
        hosts: The host of each image that is to come.
        remaining: How many pulls a host still allows, for those that say so.
    """
    needed = Counter(hosts)
    return [
        f"{host} allows {remaining[host]} more pulls for now, and {count} images are to come\n"
        f"log in with `docker login {host}`, wait, or name a mirror in the settings"
        for host, count in sorted(needed.items())
        if remaining.get(host, count) < count
    ]
