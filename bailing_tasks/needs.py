"""What a workspace needs from outside, without an engine to ask."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from bailing_tasks.platforms import Platform
from bailing_tasks.prefetch import WantedImage, wanted_images
from bailing_tasks.recipes import Recipe, Variant, read_recipe
from bailing_tasks.settings import Settings, Target


def machine() -> Platform:
    """Return this machine's platform, which stands for the engine's where none is asked."""
    return Platform.from_machine(platform.machine())


def recipes(settings: Settings, target: Target, host: Platform) -> list[Recipe]:
    """Read the recipes of a target for each chosen platform and Python.

    Raises:
        DockerfileError: The Dockerfile is missing, or BuildKit would refuse it.
    """
    return [
        read_recipe(settings, Variant(target=target, platform=chosen, python=python), host)
        for python in settings.chosen_pythons()
        for chosen in settings.chosen_platforms(host)
    ]


def wanted(settings: Settings, host: Platform) -> tuple[WantedImage, ...]:
    """Return every external image of all targets, once a platform."""
    return wanted_images(
        recipe for target in settings.targets for recipe in recipes(settings, target, host)
    )


def standin_needs(settings: Settings) -> tuple[Sequence[str], Sequence[str]]:
    """Return the references and platforms that the sandbox has to stand in for."""
    found = wanted(settings, machine())
    return (
        sorted({str(image.reference) for image in found}),
        sorted({str(image.platform) for image in found}),
    )
