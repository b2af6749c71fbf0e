"""Finds out what there is to do for an image: is it here, and what do registries say of it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import PullError
from bailing_tasks.kept import find
from bailing_tasks.resolver import Resolver
from bailing_tasks.state import Pin
from bailing_tasks.wanted import WantedImage


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is known of an image before it is pulled.

    Attributes:
        image: The image.
        pin: What it is pinned to; None where that is not known.
        held_as: The name under which the engine has the image of the pin; None where it has not.
        moved_name: The tag of the pin, where that names another image in the engine.
        sizes: The bytes of its layers, by the short id that engines show.
        moved_from: The index digest that it was pinned to before its tag was followed.
        moved_to: The index digest that its tag stands for now, if it is not followed there.
        error: Why nothing is known of it, or of where its tag stands.
    """

    image: WantedImage
    pin: Pin | None
    held_as: str | None = None
    moved_name: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    moved_from: str = ""
    moved_to: str = ""
    error: PullError | None = None

    @property
    def host(self) -> str:
        """The registry that it will come from."""
        served_from = self.pin.served_from if self.pin else ""
        return (served_from or self.image.reference.repository).partition("/")[0]

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.image.reference.familiar} ({self.image.platform})"


def look(engine: Engine, image: WantedImage, pin: Pin | None) -> Asked:
    """Return what an engine has of an image."""
    asked = Asked(image=image, pin=pin)
    return _looked(engine, asked, pin) if pin else asked


def _looked(engine: Engine, asked: Asked, pin: Pin) -> Asked:
    presence = find(engine, pin)
    return replace(asked, pin=pin, held_as=presence.name, moved_name=presence.moved)


def ask(engine: Engine, resolver: Resolver, asked: Asked, *, follow: bool) -> Asked:
    """Return what registries say of an image; failures are part of it.

    Args:
        engine: Who will hold it.
        resolver: Who asks.
        asked: What is known of it.
        follow: Whether a tag that has moved is followed.
    """
    image, pin = asked.image, asked.pin
    try:
        if pin and asked.held_as:
            moved_to = resolver.moved(pin, image)
            if not moved_to or not follow:
                return replace(asked, moved_to=moved_to)
            asked = replace(asked, pin=None, held_as=None, moved_from=pin.index_digest)
            pin = resolver.resolve(image)
        elif not pin or not pin.served_from:
            pin = resolver.resolve(image, pin.digest if pin else None)
        asked = _looked(engine, asked, pin)
        if asked.held_as:
            return asked
        described = resolver.described(pin, image)
        return replace(asked, pin=described.pin, sizes=described.sizes)
    except PullError as error:
        return replace(asked, error=error)
