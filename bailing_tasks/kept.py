"""The images of pins in an engine: under which name, and tagged so that they stay."""

from __future__ import annotations

from dataclasses import replace

from bailing_tasks.engine.base import Engine
from bailing_tasks.names import kept_name
from bailing_tasks.platforms import Platform
from bailing_tasks.state import Pin
from bailing_tasks.wanted import WantedImage


def held_name(engine: Engine, pin: Pin) -> str | None:
    """Return the name under which an engine has the image of a pin; None where it has it not.

    The tag that keeps it comes first: no registry is asked for a name under `localhost`.
    """
    names = (kept_name(*pin.key, pin.digest), pin.image)
    return next(
        (name for name in names if _holds(engine, name, Platform.parse(pin.platform))), None
    )


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


def by_its_name(engine: Engine, image: WantedImage) -> Pin | None:
    """Keep what an engine has under an image's own name, and return it as a pin for one run.

    Its digest is the engine's id for it, which no registry knows.
    """
    name = image.reference.familiar
    found = engine.image(name)
    if found is None or not image.platform.takes(found.platform):
        return None
    engine.tag(name, kept_name(*image.key, found.id))
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
    return _holds(engine, image.reference.familiar, image.platform)


def _holds(engine: Engine, name: str, platform: Platform) -> bool:
    found = engine.image(name)
    return found is not None and platform.takes(found.platform)
