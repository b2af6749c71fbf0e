"""The steps of a run, for people to look at before it runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bailing_tasks.changes import Change
from bailing_tasks.platforms import Platform
from bailing_tasks.refusals import NO_TARGET, Refusal
from bailing_tasks.variants import Variant
from bailing_tasks.wanted import WantedImage

DO = "do"
SKIP = "skip"
NAMED = 3
"""How many images are named in a reason."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a run.

    Attributes:
        step: `prefetch`, `build` or `verify`.
        target: The target's name.
        platform: The platform.
        python: The Python version.
        action: `do` or `skip`; for a build also `pull`, `tag`, `refuse` and `leave out`.
        reason: Why.
        changes: What is different since the last image of this variant here.
        fingerprint: The digest of what a build is made from; empty for other steps.
        notes: What else people should know.
    """

    step: str
    target: str
    platform: str
    python: str
    action: str
    reason: str
    changes: tuple[Change, ...] = ()
    fingerprint: str = ""
    notes: tuple[str, ...] = ()


def prefetch_step(
    variant: Variant | None,
    platform: Platform,
    *,
    absent: Sequence[WantedImage],
    unpinned: Sequence[WantedImage],
    count: int,
) -> Step:
    """Return the prefetch of one variant, or of the images that no Dockerfile names.

    Args:
        variant: The variant; None for those images.
        platform: The platform.
        absent: The external images that are not here.
        unpinned: Those that are here, but not pinned to a digest.
        count: How many external images there are.
    """
    wanting = [(absent, "not here"), (unpinned, "here, but not pinned")]
    reasons = [f"{_listed(images)}: {what}" for images, what in wanting if images]
    images = "1 image is" if count == 1 else f"all {count} images are"
    nothing = f"{images} here, and pinned" if count else "it needs none"
    return Step(
        step="prefetch",
        target=variant.target.name if variant else NO_TARGET,
        platform=str(platform),
        python=variant.python if variant else "",
        action=DO if reasons else SKIP,
        reason="; ".join(reasons) or nothing,
    )


def step(
    name: str,
    variant: Variant,
    action: str,
    reason: str,
    *,
    changes: tuple[Change, ...] = (),
    fingerprint: str = "",
    notes: tuple[str, ...] = (),
) -> Step:
    """Return a step of a variant."""
    return Step(
        step=name,
        target=variant.target.name,
        platform=str(variant.platform),
        python=variant.python,
        action=action,
        reason=reason,
        changes=changes,
        fingerprint=fingerprint,
        notes=notes,
    )


def refused_step(refusal: Refusal) -> Step:
    """Return the build of a variant that is refused, or left out with what it needs."""
    return step("build", refusal.variant, refusal.action, refusal.reason)


def rows(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """Return the steps as rows of a table."""
    return [
        (each.step, each.target, each.platform, each.python, each.action, each.reason)
        for each in steps
    ]


def _listed(images: Sequence[WantedImage]) -> str:
    names = [image.reference.familiar for image in images]
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {left} more" if left > 0 else "")
