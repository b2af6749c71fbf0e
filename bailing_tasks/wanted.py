"""The images that a run needs from outside, each once a platform. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bailing_tasks.dockerfile import ExternalImage
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe, image_key
from bailing_tasks.references import Reference


@dataclass(frozen=True, kw_only=True)
class WantedImage:
    """An image that a run needs, once for each platform.

    Attributes:
        reference: What it is.
        platform: For which platform.
        named_at: Where the Dockerfiles name it, as `docker/Dockerfile:12`.
        targets: The targets that need it.
    """

    reference: Reference
    platform: Platform
    named_at: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Reference and platform as text."""
        return (str(self.reference), str(self.platform))


def wanted_images(recipes: Iterable[Recipe]) -> tuple[WantedImage, ...]:
    """Return each external image of some recipes once a platform, sorted by name."""
    places: dict[tuple[str, str], list[tuple[ExternalImage, Recipe]]] = {}
    for recipe in recipes:
        for image in recipe.external:
            places.setdefault(image_key(image), []).append((image, recipe))
    return tuple(
        WantedImage(
            reference=found[0][0].reference,
            platform=found[0][0].platform,
            named_at=tuple(
                dict.fromkeys(
                    f"{recipe.variant.target.dockerfile}:{mention.line}"
                    for image, recipe in found
                    for mention in image.mentions
                )
            ),
            targets=tuple(dict.fromkeys(recipe.variant.target.name for _, recipe in found)),
        )
        for _, found in sorted(places.items())
    )
