"""The images of pins in an engine: under which name, and tagged so that they stay.

A name only says where to look: another program may have given it to another image. What counts is
the content, by the digests of a pin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.names import kept_name
from bailing_tasks.platforms import Platform
from bailing_tasks.state import Pin
from bailing_tasks.wanted import WantedImage


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Whether an engine has the image of a pin.

    Attributes:
        name: The name under which it has it; None where it does not.
        moved: The tag of the pin, where that names another image; empty otherwise.
    """

    name: str | None = None
    moved: str = ""


def find(engine: Engine, pin: Pin) -> Presence:
    """Look for the image of a pin, by the tag that retains it, then as its registry names it.

    The tag comes first: no registry is asked for a name under `localhost`.
    """
    tag, moved = kept_name(*pin.key, pin.digest), ""
    for name in (tag, pin.image):
        image = engine.image(name)
        if image and is_of(engine, image, pin):
            return Presence(name=name, moved=moved)
        if image and name == tag and not _is_content(engine, image, pin):
            moved = tag
    return Presence(moved=moved)


def moved_message(tag: str, title: str) -> str:
    """Return the message for the tag of a pin that names another image.

    Args:
        tag: The tag.
        title: The image that is pinned, for people.
    """
    return f"{tag} does not name the image that {title} is pinned to"


def held_name(engine: Engine, pin: Pin) -> str | None:
    """Return the name under which an engine has the image of a pin; None where it does not."""
    return find(engine, pin).name


def is_of(engine: Engine, image: Image, pin: Pin) -> bool:
    """Whether an engine's image is that of a pin, by its content and platform."""
    platform = Platform.parse(pin.platform)
    return _is_content(engine, image, pin) and platform.takes(image.platform)


def _is_content(engine: Engine, image: Image, pin: Pin) -> bool:
    """Compare digests: an engine's id is that of a manifest or index, or of a configuration.

    The classic store knows the digests that it has pulled an image by, and checked. The containerd
    store derives them from names, which proves nothing.
    """
    if image.id in (pin.digest, pin.config_digest, pin.repacked):
        return True
    return pin.digest in image.digests and not engine.keeps_digests


def keep(engine: Engine, pin: Pin, image: WantedImage, held_as: str | None = None) -> bool:
    """Tag the image of a pin, so that `docker image prune` leaves it; return whether it is there.

    Args:
        engine: The engine.
        pin: The pin.
        image: What it is of.
        held_as: The name under which the engine has it, where that is known.

    Raises:
        EngineError: The engine refuses.
    """
    name = held_as or held_name(engine, pin)
    if name == pin.image:
        for new in tags(engine, pin, image):
            engine.tag(name, new)
    return name is not None


def tags(engine: Engine, pin: Pin, image: WantedImage) -> list[str]:
    """Return the tags an image gets; its own name among them where nothing else has that."""
    names = [kept_name(*pin.key, pin.digest)]
    if image.reference.tag and image.platform == engine.platform:
        own = str(replace(image.reference, digest=None))
        names += [] if engine.image(own) else [own]
    return names


def completed(engine: Engine, pin: Pin) -> Pin:
    """Return the pin of an image that is here with its configuration's digest.

    The classic store knows that: it is the image's id.
    """
    if pin.config_digest or engine.keeps_digests:
        return pin
    name = held_name(engine, pin)
    image = engine.image(name) if name else None
    return replace(pin, config_digest=image.id) if image else pin


def by_its_name(engine: Engine, image: WantedImage) -> Pin | None:
    """Keep what an engine has under an image's own name, and return it as a pin for one run.

    Its digest is the engine's id for it, which no registry knows.
    """
    name = image.reference.familiar
    found = engine.image(name)
    if found is None or not image.platform.takes(found.platform):
        return None
    engine.tag(found.id, kept_name(*image.key, found.id))
    reference, platform = image.key
    return Pin(
        reference=reference,
        platform=platform,
        digest=found.id,
        index_digest=found.id,
        served_from="",
        resolved_at="",
    )


def is_present(engine: Engine, pin: Pin | None, image: WantedImage) -> bool:
    """Whether an engine has an image for its platform: by its pin, else under its own name."""
    if pin:
        return held_name(engine, pin) is not None
    found = engine.image(image.reference.familiar)
    return found is not None and image.platform.takes(found.platform)
