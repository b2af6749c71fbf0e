"""Which images of an engine are this workspace's: those it brought there, and those it uses.

Workspaces share engines, and clones of one repository share the names made from fingerprints. So
that cleaning one never takes an image that another one built or uses, each workspace

- records in its state what it built, pulled or loaded into which engine; of what is built, before
  the image has a name that lasts. `clean` considers nothing else; and
- holds the image that it uses now, of each target, platform and Python, by a tag that no other
  workspace moves (`names.current_name`). What another workspace holds stays, no matter who
  built it.

The tag is in the engine, where other workspaces see it. The record is in the state: no label can
tell who built an image, as clones build the same one from the same commit.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable

from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.errors import UsageError
from bailing_tasks.names import staging_prefix
from bailing_tasks.settings import Target
from bailing_tasks.state import State

FILE = "built.jsonl"


def record(state: State, engine: Engine, image: str) -> None:
    """Write down that this workspace brought an image, by its id, into an engine."""
    # Where that fails, the image is one that `clean` leaves.
    with contextlib.suppress(UsageError):
        state.append(FILE, _line(engine.identity, state.workspace, image), durable=False)


def recorded(state: State, engine: Engine) -> frozenset[str]:
    """Return the ids of the images that this workspace brought into an engine."""
    of_this = (engine.identity, state.workspace)
    return frozenset(image for *known, image in _read(state) if tuple(known) == of_this)


def forget(state: State, engine: Engine, images: Collection[str]) -> None:
    """Remove images that are gone from the record.

    Raises:
        UsageError: The state cannot be written to.
    """
    left = dict.fromkeys(
        entry for entry in _read(state) if entry[0] != engine.identity or entry[-1] not in images
    )
    state.write(FILE, "".join(f"{_line(*entry)}\n" for entry in left))


def give_lasting_name(plan: BuildPlan, engine: Engine, state: State, name: str) -> Image | None:
    """Hold an image that this workspace brought, give it the name of its fingerprint; return it.

    Another clone may move that name at any time: without the first one, the image might go.

    Raises:
        EngineError: It is not here, or the engine refuses.
    """
    image = engine.image(name)
    if image:
        record(state, engine, image.id)
    engine.tag(name, plan.current)
    engine.tag(name, plan.kept)
    return image


def remove_staged(state: State, engine: Engine, targets: Iterable[Target]) -> None:
    """Remove what builds of this workspace left that were killed; none of its builds runs now.

    Raises:
        EngineError: The engine failed.
    """
    engine.remove_staged([staging_prefix(target, state.workspace) for target in targets])


def _line(engine: str, workspace: str, image: str) -> str:
    return json.dumps({"engine": engine, "workspace": workspace, "image": image})


def _read(state: State) -> list[tuple[str, str, str]]:
    """Return engine, workspace and image of each record; a line that was cut off is skipped.

    The workspace is another one where the folder was copied with its state.
    """
    try:
        lines = (state.folder / FILE).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            entry = json.loads(line)
            found.append((str(entry["engine"]), str(entry["workspace"]), str(entry["image"])))
    return found
