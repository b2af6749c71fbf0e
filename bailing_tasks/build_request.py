"""What BuildKit is asked for one build: each image by the name of its pin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bailing_tasks.dockerfile import ExternalImage
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine
from bailing_tasks.kept import held_name
from bailing_tasks.names import pin_name
from bailing_tasks.origin import EPOCH
from bailing_tasks.recipes import Recipe, image_key
from bailing_tasks.references import DEFAULT_TAG
from bailing_tasks.settings import Settings
from bailing_tasks.state import Pin

FRONTEND_ARG = "BUILDKIT_SYNTAX"
"""The build argument that names the frontend in place of the `# syntax=` line."""

Pins = Mapping[tuple[str, str], Pin]


def request(
    settings: Settings,
    recipe: Recipe,
    pins: Pins,
    engine: Engine,
    *,
    sources: Mapping[tuple[str, str], str],
    dockerfile: Path,
    labels: Mapping[str, str],
    staged: str,
    epoch: str,
) -> buildx.BuildRequest:
    """Return what BuildKit is asked.

    Args:
        settings: The workspace's settings.
        recipe: What is built.
        pins: What the external images are bound to.
        engine: Where it is built.
        sources: Where each image comes from, by `sources`.
        dockerfile: The copy of the Dockerfile, on names of our own.
        labels: The image's labels.
        staged: The name that the image gets.
        epoch: The time that is written into it, in seconds since 1970; empty for that of the build.
    """
    target = recipe.variant.target
    frontend, frontend_context = _frontend(recipe, pins, engine)
    return buildx.BuildRequest(
        builder=engine.builder,
        docker_context=engine.docker_context,
        dockerfile=dockerfile,
        context=settings.root / target.context,
        stage=target.stage,
        platform=recipe.variant.platform,
        build_args={**({EPOCH: epoch} if epoch else {}), **recipe.build_args, **frontend},
        build_contexts=contexts(recipe, sources) | frontend_context,
        secrets=_secrets(settings, recipe),
        labels=labels,
        destination=engine.destination(staged),
        provenance=_provenance(settings, engine),
        scanner=_scanner(recipe, pins, engine),
    )


def sources(recipe: Recipe, pins: Pins, engine: Engine) -> dict[tuple[str, str], str]:
    """Return where each image of a build comes from, as buildx names contexts."""
    external = {
        image_key(image): engine.source(_name(pins[image_key(image)], engine))
        for image in recipe.images
        if image_key(image) in pins
    }
    return external | own_sources(recipe, engine)


def contexts(recipe: Recipe, sources: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Return the named contexts of a build.

    Args:
        recipe: What is built.
        sources: Where images come from, by `sources` or `own_sources`.
    """
    images = (*recipe.images, *(each.image for each in recipe.own))
    return {
        name: sources[image_key(image)]
        for image in images
        if image_key(image) in sources
        for name in context_names(image)
    }


def context_names(image: ExternalImage) -> tuple[str, ...]:
    """Return what a build calls an image: the name of its pin, which the copy has in its place.

    What ONBUILD of a base names is in no file, so no copy can call it otherwise: it keeps its name,
    as buildx writes it.
    """
    name = pin_name(*image_key(image))
    if all(each.kind != "ONBUILD" for each in image.mentions):
        return (name,)
    return (name, image.reference.familiar.removesuffix(f":{DEFAULT_TAG}"))


def own_sources(recipe: Recipe, engine: Engine) -> dict[tuple[str, str], str]:
    """Return where each image of the workspace is at this moment, as buildx names contexts."""
    return {
        image_key(each.image): engine.source(recipe.bases[each.base.key])
        for each in recipe.own
        if each.base.key in recipe.bases
    }


def _frontend(recipe: Recipe, pins: Pins, engine: Engine) -> tuple[dict[str, str], dict[str, str]]:
    """Return the argument that names the frontend, and where that is if it is no image's name.

    It is named as its registry has it: before BuildKit 0.12 no context is heeded here, and the
    registry is asked.
    """
    if recipe.frontend is None or image_key(recipe.frontend) not in pins:
        return {}, {}
    pin = pins[image_key(recipe.frontend)]
    name = _name(pin, engine)
    source = engine.source(name)
    if source == f"docker-image://{name}":
        return {FRONTEND_ARG: name}, {}
    return {FRONTEND_ARG: pin.image}, {pin.image: source}


def _name(pin: Pin, engine: Engine) -> str:
    """Return what a build takes for a pin: what is here, else what a registry has."""
    return held_name(engine, pin) or pin.image


def _provenance(settings: Settings, engine: Engine) -> str:
    return settings.provenance if engine.attests and settings.provenance != "none" else ""


def _scanner(recipe: Recipe, pins: Pins, engine: Engine) -> str:
    """Return what BuildKit finds the scanner by; it heeds no context there."""
    if recipe.scanner is None:
        return ""
    pin = pins.get(image_key(recipe.scanner))
    if pin is None:
        return str(recipe.scanner.reference)
    name = _name(pin, engine)
    return name if engine.source(name) == f"docker-image://{name}" else pin.image


def _secrets(settings: Settings, recipe: Recipe) -> dict[str, str]:
    """Return the secrets of a target, files by their whole path."""
    return {
        name: place if place.startswith("env:") else str(settings.root / Path(place).expanduser())
        for name, place in recipe.variant.target.secrets.items()
    }
