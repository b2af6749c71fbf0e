"""The images that a run needs from outside, each once a platform. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe
from bailing_tasks.references import Reference


@dataclass(frozen=True, kw_only=True)
class WantedImage:
    """An image that a run needs, once for each platform.

    Attributes:
        reference: What it is.
        platform: For which platform.
        named_at: Where it is named, as `docker/Dockerfile:12`.
        targets: The targets that need it; none for one that no Dockerfile names.
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
    return joined(
        WantedImage(
            reference=image.reference,
            platform=image.platform,
            named_at=tuple(recipe.variant.target.place(mention.line) for mention in image.mentions),
            targets=(recipe.variant.target.name,),
        )
        for recipe in recipes
        for image in recipe.external
    )


def joined(images: Iterable[WantedImage]) -> tuple[WantedImage, ...]:
    """Return images, each once a platform with all that is known of it, sorted by name."""
    same: dict[tuple[str, str], list[WantedImage]] = {}
    for image in images:
        same.setdefault(image.key, []).append(image)
    return tuple(
        WantedImage(
            reference=found[0].reference,
            platform=found[0].platform,
            named_at=tuple(dict.fromkeys(place for image in found for place in image.named_at)),
            targets=tuple(dict.fromkeys(name for image in found for name in image.targets)),
        )
        for _, found in sorted(same.items())
    )
