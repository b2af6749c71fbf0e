"""Images that others built from the same inputs: in a registry, under the tag `fp-<16 hex>`."""

from __future__ import annotations

from dataclasses import dataclass

from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import PullError
from bailing_tasks.kept import held_name
from bailing_tasks.names import LABEL, published_name
from bailing_tasks.parallel import in_parallel
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.references import Reference
from bailing_tasks.resolver import Resolver
from bailing_tasks.wanted import WantedImage

ASKING_SECONDS = 3.0
"""How long a registry may take to say whether it has an image; it is built where it does not."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Whether a registry has an image.

    Attributes:
        name: The image's name; empty where it is not there, or that is not known.
        why: Where it was looked for in vain, or why that was not possible; empty where there is no
            registry to ask.
    """

    name: str = ""
    why: str = ""


def look(plan: BuildPlan, resolver: Resolver) -> Published:
    """Ask the target's registry, and its mirrors, for the image with a plan's fingerprint."""
    target = plan.recipe.variant.target
    if not target.repository:
        return Published()
    image = _wanted(plan)
    if resolver.offline:
        return Published(why=f"{target.repository} was not asked (--offline)")
    asked = in_parallel(lambda one: _ask(one, resolver), [image], jobs=1, within=ASKING_SECONDS)
    for _, answer in asked:
        return answer
    return Published(why=f"{target.repository} did not answer within {ASKING_SECONDS:.0f} s")


def _ask(image: WantedImage, resolver: Resolver) -> Published:
    try:
        if resolver.has(image):
            return Published(name=image.reference.familiar)
    except PullError as error:
        return Published(why=f"{image.reference.repository} could not be asked: {error.cause}")
    return Published(why=f"{image.reference.repository} has none either")


def take(plan: BuildPlan, prefetcher: Prefetcher) -> None:
    """Pull the image with a plan's fingerprint, and give it the name that is never used twice.

    Raises:
        PullError: It could not be pulled, or was made from something else than its tag says.
    """
    image = _wanted(plan)
    pin = prefetcher.obtain(image)
    name = held_name(prefetcher.engine, pin) or pin.image
    if not made_from(name, plan, prefetcher.engine):
        raise PullError(
            f"{image.reference.familiar} is not what its tag says",
            cause="its label names other inputs, or none",
            remedy="whoever pushed it has to push it again with `invoke push`",
        )
    prefetcher.engine.tag(name, plan.kept)


def made_from(name: str, plan: BuildPlan, engine: Engine) -> bool:
    """Whether an image that is here says that it was made from a plan's inputs."""
    found = engine.image(name)
    return found is not None and found.labels.get(LABEL) == plan.label


def _wanted(plan: BuildPlan) -> WantedImage:
    variant = plan.recipe.variant
    reference = Reference.parse(published_name(variant.target, plan.fingerprint))
    return WantedImage(
        reference=reference, platform=variant.platform, named_at=(), targets=(variant.target.name,)
    )
