"""Gives the images that were built elsewhere, and pulled from a place, their names here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bailing_tasks.build_plan import BuildPlan, bases_id
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import PullError
from bailing_tasks.holding import give_lasting_name
from bailing_tasks.kept import held_name
from bailing_tasks.made import remember
from bailing_tasks.mirroring import Place, built_names
from bailing_tasks.names import current_name, local_name, registry_tag
from bailing_tasks.platforms import Platform
from bailing_tasks.published import made_from
from bailing_tasks.references import Reference
from bailing_tasks.resolver import Resolver
from bailing_tasks.settings import Settings
from bailing_tasks.state import Pin, State
from bailing_tasks.variants import Variant
from bailing_tasks.wanted import WantedImage


@dataclass(frozen=True, kw_only=True)
class Named:
    """An image that has its local name.

    Attributes:
        target: The target's name.
        platform: The platform.
        python: The Python version.
        image: The local name.
        pulled: What it was pulled as.
        same_inputs: Whether it was made from what this workspace has.
    """

    target: str
    platform: str
    python: str
    image: str
    pulled: str
    same_inputs: bool

    def __str__(self) -> str:
        inputs = "the same inputs" if self.same_inputs else "made from other inputs than are here"
        return f"{self.image} ({self.platform}): {self.pulled}, {inputs}"


def there(
    variant: Variant, at: Place, version: str, *, settings: Settings, resolver: Resolver
) -> WantedImage:
    """Return what a variant's image is called in a place: the first name that stands there.

    Where none does, or that cannot be found out, it is the likeliest. What is only another image
    under a name of its own is that image.

    Args:
        variant: What it is an image of.
        at: The place.
        version: The version; empty for `latest`.
        settings: The workspace's settings.
        resolver: Asks.
    """
    target = variant.target
    if target.from_image:
        return _wanted(variant, Reference.parse(target.from_image))
    names = [
        replace(name, tag=registry_tag(str(name.tag), variant.python, settings))
        for name in built_names(target, at, version, settings.versions)
    ]
    images = [_wanted(variant, name) for name in names]
    try:
        return next((image for image in images if resolver.has(image)), images[0])
    except PullError:
        return images[0]


def _wanted(variant: Variant, reference: Reference) -> WantedImage:
    return WantedImage(
        reference=reference, platform=variant.platform, named_at=(), targets=(variant.target.name,)
    )


def named(
    variant: Variant,
    image: WantedImage,
    plan: BuildPlan | None,
    *,
    pins: Mapping[tuple[str, str], Pin],
    engine: Engine,
    settings: Settings,
    host: Platform,
    state: State,
) -> Named | None:
    """Give a pulled image its local name; None where it is not here.

    One that was made from what this workspace has is taken for built here.

    Args:
        variant: What it is an image of.
        image: What it was pulled as.
        plan: How it would be built here; None where that is not known.
        pins: What images are pinned to.
        engine: The engine that has it.
        settings: The workspace's settings.
        host: The platform whose images have the plain names.
        state: Where is written down what it was made from.

    Raises:
        EngineError: The engine refuses.
    """
    pin = pins.get(image.key)
    held = held_name(engine, pin) if pin else None
    if held is None:
        return None
    name = local_name(variant, settings, host)
    engine.tag(held, current_name(variant, state.workspace))
    engine.tag(held, name)
    same = plan is not None and (bool(variant.target.from_image) or made_from(held, plan, engine))
    if plan and same:
        give_lasting_name(plan, engine, state, held)
        if found := engine.image(plan.kept):
            remember(plan, state, engine, found.id, bases_id(plan.recipe, engine))
    return Named(
        target=variant.target.name,
        platform=str(variant.platform),
        python=variant.python,
        image=name,
        pulled=str(image.reference),
        same_inputs=same,
    )


def command(
    variant: Variant,
    image: WantedImage,
    pins: Mapping[tuple[str, str], Pin],
    engine: Engine,
    *,
    settings: Settings,
    host: Platform,
) -> str:
    """Return the command that gives a pulled image its local name; arguments as for `named`."""
    pin = pins.get(image.key)
    pulled = pin.image if pin else str(image.reference)
    return engine.shown("tag", pulled, local_name(variant, settings, host))
