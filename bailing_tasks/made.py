"""What an image was made from when this workspace last built, pulled or found it."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import asdict, dataclass, replace

from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import UsageError
from bailing_tasks.fingerprint import Inputs
from bailing_tasks.state import State

FOLDER = "made"


@dataclass(frozen=True, kw_only=True)
class Made:
    """The last image of one variant.

    Attributes:
        fingerprint: The digest of what it was made from, 64 hex digits.
        image: Its id in the engine.
        builder: Names and contents of the workspace's images that it is built on; empty for none.
        inputs: What it was made from.
        engine: The identity of the engine.
        held_as: The name by which this workspace holds it there.
    """

    fingerprint: str
    image: str
    builder: str
    inputs: Inputs
    engine: str = ""
    held_as: str = ""


def last_made(plan: BuildPlan, state: State) -> Made | None:
    """Return what is known of the last image of a plan's variant; None where nothing is."""
    try:
        document = json.loads((state.folder / _name(plan)).read_bytes())
        return Made(**{**document, "inputs": Inputs(**document["inputs"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(plan: BuildPlan, state: State, engine: Engine, image: str, bases: str) -> None:
    """Hold an image as the one that this workspace uses, and write down what it was made from.

    Nothing is done where both is known already.

    Args:
        plan: How it was made.
        state: Where it is written.
        engine: What has the image.
        image: Its id there.
        bases: Names and contents of what it is built on; empty for nothing of the workspace's.

    Raises:
        EngineError: The engine refuses the name.
    """
    made = Made(
        fingerprint=plan.fingerprint,
        image=image,
        builder=bases,
        inputs=plan.inputs,
        engine=engine.identity,
        held_as=plan.current,
    )
    before = last_made(plan, state)
    if before and replace(before, inputs=made.inputs) == made:
        return
    engine.tag(image, plan.current)
    with contextlib.suppress(UsageError):  # it only explains
        state.write(_name(plan), json.dumps(asdict(made)), durable=False)


def _name(plan: BuildPlan) -> str:
    return f"{FOLDER}/{plan.request.dockerfile.stem}.json"


def forget_all(state: State) -> None:
    """Forget what is known of the images that this workspace uses: they may be held no more."""
    shutil.rmtree(state.folder / FOLDER, ignore_errors=True)
