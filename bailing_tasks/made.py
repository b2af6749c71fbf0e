"""What an image was made from when this workspace last built, pulled or found it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass

from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.errors import UsageError
from bailing_tasks.fingerprint import Inputs
from bailing_tasks.state import State


@dataclass(frozen=True, kw_only=True)
class Made:
    """The last image of one variant.

    Attributes:
        fingerprint: The digest of what it was made from, 64 hex digits.
        image: Its id in the engine.
        builder: Names and contents of the workspace's images that it is built on; empty for none.
        inputs: What it was made from.
    """

    fingerprint: str
    image: str
    builder: str
    inputs: Inputs


def last_made(plan: BuildPlan, state: State) -> Made | None:
    """Return what is known of the last image of a plan's variant; None where nothing is."""
    try:
        document = json.loads((state.folder / plan.made).read_bytes())
        return Made(**{**document, "inputs": Inputs(**document["inputs"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(plan: BuildPlan, state: State, image: str, bases: str) -> None:
    """Write down what an image was made from, unless that is what is known already.

    Args:
        plan: How it was made.
        state: Where it is written.
        image: Its id in the engine.
        bases: Names and contents of what it is built on; empty for nothing of the workspace's.
    """
    made = Made(fingerprint=plan.fingerprint, image=image, builder=bases, inputs=plan.inputs)
    before = last_made(plan, state)
    if before and (before.fingerprint, before.image, before.builder) == (
        made.fingerprint,
        made.image,
        made.builder,
    ):
        return
    with contextlib.suppress(UsageError):  # it only explains
        state.write(plan.made, json.dumps(asdict(made)), durable=False)
