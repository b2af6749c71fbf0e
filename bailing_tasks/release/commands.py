"""What a release would run, for people who ask before: commands, tags and their digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bailing_tasks import image_index, process
from bailing_tasks.engine.base import Engine
from bailing_tasks.platforms import Platform
from bailing_tasks.release.model import BuiltImage, Plan

UNKNOWN = "its digest is known once it is pushed"


def commands(plan: Plan, engine_for: Callable[[Platform], Engine]) -> Iterator[str]:
    """Yield commands for a shell that do what a push does, each tag with its digest.

    A digest is told where the engine knows it before. buildx writes an index in its own way, under
    another digest, and leaves annotations out where the images have Docker's media types.
    """
    for image in plan.images:
        engine, name = engine_for(image.variant.platform), str(image.reference)
        digest = (engine.keeps_digests and image.identity) or UNKNOWN
        yield f"# {image.variant}, unless {image.reference.familiar} is there: {digest}"
        yield engine.shown("tag", image.name, name)
        yield engine.shown("push", name)
        yield engine.shown("rmi", name)
    yield "# the digest of an index is this project's; buildx writes the same in its own way"
    create = ["docker", "buildx", "imagetools", "create"]
    for key, value in plan.annotations.items():
        create += ["--annotation", f"index:{key}={value}"]
    for tag in plan.tags:
        parts = [image for image in plan.images if image.key == tag.key]
        yield f"# {tag.name} ({tag.rule}): {_digest(parts, plan, engine_for) or UNKNOWN}"
        sources = (str(part.reference) for part in parts)
        yield process.quote([*create, "--tag", str(tag.reference), *sources])


def _digest(
    parts: Sequence[BuiltImage], plan: Plan, engine_for: Callable[[Platform], Engine]
) -> str:
    """Return the digest that an index of images will have; empty where an engine does not know."""
    entries = []
    for image in parts:
        platform = image.variant.platform
        entry = engine_for(platform).entry(image.name, platform)
        if entry is None:
            return ""
        entries.append(entry)
    return image_index.digest(image_index.index(entries, plan.annotations))
