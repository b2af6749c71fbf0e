"""Whether a planned build is needed, and why.

It is skipped only where an image made from the same inputs is here; where only the target's
registry has one, that is pulled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.changes import Change, changes, describe
from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.kept import is_of
from bailing_tasks.made import Made
from bailing_tasks.names import BUILDER_LABEL, LABEL
from bailing_tasks.parallel import in_parallel
from bailing_tasks.published import Published
from bailing_tasks.settings import Target
from bailing_tasks.variants import Key

SKIP = "skip"
PULL = "pull"
BUILD = "build"
TAG = "tag"
ASKED_AT_ONCE = 8
"""How many images an engine is asked for at once: more gain nothing on two processors."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is done about one target for one platform and Python.

    Attributes:
        action: `skip`, `pull`, `build`, or `tag` for another's image.
        reason: Why, in a line.
        changes: What is different since the last image of this variant here.
        certain: Whether the fingerprint tells all that the image is made from.
    """

    action: str
    reason: str
    changes: tuple[Change, ...] = ()
    certain: bool = True


def decide(
    plan: BuildPlan,
    *,
    image: Image | None,
    made: Made | None,
    look: Callable[[BuildPlan], Published],
    force: bool = False,
    bases_come: bool = False,
    bases_certain: bool = True,
) -> Decision:
    """Return what is to be done about a planned build.

    Args:
        plan: The build.
        image: What the engine has that was made from the same inputs, by `built_image`.
        made: What is known of the last image of this variant.
        look: Asks the registry, where the image is not here.
        force: Whether it is built in any case.
        bases_come: Whether what it is built on is built or pulled before it, in the same run.
        bases_certain: Whether the fingerprints of that tell all that it is made from.
    """
    found = changes(made.inputs, plan.inputs) if made else ()
    unknown = _unknown(plan)
    decided = functools.partial(
        Decision, changes=found, certain=not unknown and (bases_certain or not plan.recipe.own)
    )
    upstream = plan.recipe.variant.target.from_image
    if upstream and (force or image is None):
        return decided(action=TAG, reason=f"it is {upstream} under another name")
    if force or (unknown and not upstream):
        return decided(action=BUILD, reason="forced" if force else unknown)
    if image and _on_another_builder(plan, image, made, bases_come=bases_come):
        builder = plan.recipe.variant.target.builder_arg
        what = "its builder" if builder else "what it is built on"
        return decided(action=BUILD, reason=f"{what} is built anew")
    if image:
        return decided(action=SKIP, reason=f"nothing changed (fingerprint {plan.fingerprint[:16]})")
    published = look(plan) if bases_certain else Published()
    if published.name:
        return decided(action=PULL, reason=f"{published.name} was made from the same inputs")
    reason = describe(found) or f"no image with this fingerprint ({plan.fingerprint[:16]}) is here"
    where = f"; {published.why}" if published.why else ""
    return decided(action=BUILD, reason=f"{reason}{where}")


def built_image(plan: BuildPlan, engine: Engine) -> Image | None:
    """Return the engine's image made from the same inputs; None where there is none.

    The name alone proves nothing. What is built has a label; another's image is that of its pin.
    """
    found = engine.image(plan.kept)
    if found is None:
        return None
    if plan.recipe.variant.target.from_image:
        return found if any(is_of(engine, found, pin) for pin in plan.pins) else None
    return found if found.labels.get(LABEL) == plan.label else None


def workspace_image(plan: BuildPlan, engine: Engine) -> str | None:
    """Return the name of this workspace's image of a variant: as planned, else the last one.

    The plain name counts for nothing: another workspace may have moved it.
    """
    if built_image(plan, engine):
        return plan.kept
    return plan.current if engine.image(plan.current) else None


def points_elsewhere(plan: BuildPlan, engine: Engine) -> bool:
    """Whether the plain name points to an image that is not this workspace's."""
    named, built = engine.image(plan.name), built_image(plan, engine)
    if named is None or (built and built.content == named.content):
        return False
    current = engine.image(plan.current)
    return current is None or current.content != named.content


def built_images(plans: Sequence[BuildPlan], engine: Engine) -> dict[Key, Image | None]:
    """Return what `built_image` does for many plans: an engine is asked for several at once.

    The containerd store looks through all that it has for every one of them.
    """
    found = in_parallel(lambda plan: built_image(plan, engine), plans, jobs=ASKED_AT_ONCE)
    return {plan.recipe.variant.key: image for plan, image in found}


def may_be_published(plan: BuildPlan, forced: Collection[Target]) -> bool:
    """Whether the registry is asked for an image that is not here."""
    target = plan.recipe.variant.target
    return is_certain(plan) and not target.from_image and target not in forced


def is_certain(plan: BuildPlan) -> bool:
    """Whether a plan's fingerprint tells all that its image is made from, its builder apart."""
    return not _unknown(plan)


def _unknown(plan: BuildPlan) -> str:
    """Return what may have changed without a trace; empty where nothing can."""
    if plan.unpinned:
        return f"{plan.unpinned[0]} is not pinned and may have moved"
    if plan.remote:
        return f"{plan.remote[0]} may have changed"
    return ""


def _on_another_builder(
    plan: BuildPlan, image: Image, made: Made | None, *, bases_come: bool
) -> bool:
    """Whether the builder was built anew since: a forced build changes what no input shows.

    An image that came without its builder is on whichever has the right fingerprint.
    """
    known = made.builder if made and made.image == image.id else image.labels.get(BUILDER_LABEL)
    if not plan.recipe.own or not known:
        return False
    return bases_come or bool(plan.bases_id and known != plan.bases_id)
