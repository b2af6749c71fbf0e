"""Which builder image the app is built on: never a tag that may move under it.

In order: the one that was named; the one this run built; one here with the right fingerprint; the
registry's (by fingerprint, then `latest`); else the error that says what comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bailing_tasks import published
from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.decision import built_image, points_elsewhere
from bailing_tasks.errors import BuildError, PullError
from bailing_tasks.holding import give_lasting_name
from bailing_tasks.hosting import NO_DEFAULT
from bailing_tasks.kept import held_name
from bailing_tasks.names import identity_name, registry_tag
from bailing_tasks.platforms import Platform
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.published import Published
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings
from bailing_tasks.wanted import WantedImage


@dataclass(frozen=True, kw_only=True)
class BuilderChoice:
    """The builder that an app build takes.

    Attributes:
        image: Its name, which is never used for another image.
        why: Why this one.
    """

    image: str
    why: str


def named_builder(
    name: str, platform: Platform, *, settings: Settings, prefetcher: Prefetcher
) -> BuilderChoice:
    """Return the builder that a person named, from here or from its registry.

    Raises:
        UsageError: The name is no reference.
        PullError: It is not here and could not be pulled.
    """
    reference = Reference.parse(name)
    engine = prefetcher.engine
    here = engine.image(name)
    if here and platform.takes(here.platform):
        kept = identity_name(settings.builder, here.content)
        engine.tag(here.id, kept)
        return BuilderChoice(image=kept, why=f"{name} was named, and is here")
    kept = _pulled(reference, platform, settings, prefetcher)
    return BuilderChoice(image=kept, why=f"{name} was named, and was pulled")


def own_builder(
    plan: BuildPlan,
    look: Callable[[BuildPlan], Published],
    *,
    settings: Settings,
    prefetcher: Prefetcher,
    frozen: bool,
) -> BuilderChoice:
    """Return the workspace's builder: the one with the right fingerprint, else the registry's.

    Args:
        plan: What the builder would be built from.
        look: Asks its registry for the one with the right fingerprint.
        settings: The workspace's settings.
        prefetcher: Brings one from the registry.
        frozen: Whether only one made from the same inputs will do.

    Raises:
        BuildError: There is none; the error says what was looked at.
    """
    if built_image(plan, prefetcher.engine):
        return BuilderChoice(image=plan.kept, why="it is here, made from the same inputs")
    tried = [f"{plan.kept} is not here"]
    if prefetcher.engine.image(plan.name):
        elsewhere = points_elsewhere(plan, prefetcher.engine)
        tried.append(
            f"{plan.name} is here, but was "
            f"{'not built by this workspace' if elsewhere else 'made from other inputs'} "
            f"(`--builder-image {plan.name}` uses it anyway)"
        )
    variant, target = plan.recipe.variant, settings.builder
    found = look(plan)
    if found.why:
        tried.append(found.why)
    if found.name:
        try:
            published.take(plan, prefetcher)
        except PullError as error:
            tried.append(f"{found.name}: {error.cause}")
        else:
            return BuilderChoice(image=plan.kept, why=f"{found.name} was pulled: the same inputs")
    if target.repository and not frozen:
        name = f"{target.repository}:{registry_tag('latest', variant.python, settings)}"
        try:
            return _latest(name, plan, settings, prefetcher)
        except PullError as error:
            tried.append(f"{name}: {error.cause}")
    raise _no_builder(plan, tried)


def _latest(
    name: str, plan: BuildPlan, settings: Settings, prefetcher: Prefetcher
) -> BuilderChoice:
    """Return the registry's latest builder; a word of warning where it has other inputs."""
    image = _pulled(Reference.parse(name), plan.recipe.variant.platform, settings, prefetcher)
    if published.made_from(image, plan, prefetcher.engine):
        give_lasting_name(plan, prefetcher.engine, prefetcher.state, image)
        return BuilderChoice(image=plan.kept, why=f"{name} was pulled: the same inputs")
    prefetcher.console.warn(
        f"{name} was made from other inputs than this workspace has\n"
        "`invoke build-builder` makes one from these"
    )
    return BuilderChoice(image=image, why=f"{name} was pulled: none with the same inputs")


def _pulled(
    reference: Reference, platform: Platform, settings: Settings, prefetcher: Prefetcher
) -> str:
    """Pull an image and return a name for it that is never used twice."""
    wanted = WantedImage(reference=reference, platform=platform, named_at=(), targets=())
    pin = prefetcher.obtain(wanted)
    kept = identity_name(settings.builder, pin.digest)
    prefetcher.engine.tag(held_name(prefetcher.engine, pin) or pin.image, kept)
    return kept


def _no_builder(plan: BuildPlan, tried: list[str]) -> BuildError:
    variant = plan.recipe.variant
    if not variant.target.repository:
        tried.append(f"no registry was asked, as `repository` is not known: {NO_DEFAULT}")
    return BuildError(
        f"there is no builder image for {variant.platform} (Python {variant.python})",
        cause="; ".join(tried),
        remedy="run `invoke build-builder` first (`invoke prefetch build-builder build-app` does "
        "all)\nif it should come from the registry: check that it was pushed, that name and tag "
        "are right, and that this login may pull it",
    )
