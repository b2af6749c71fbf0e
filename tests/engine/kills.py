"""A prefetch that is killed at some moment, and what a plain run then makes of it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bailing_tasks import process
from tests.engine import tiny
from tests.engine.faults import base
from tests.engine.proxy import Fault, RegistryProxy
from tests.engine.support import Engine, Workspace, made, unique

SEED = int(os.environ.get("BAILING_KILL_SEED", "1"))
IMAGES = 3
COMMAND = [sys.executable, "-m", "invoke", "prefetch", "--json"]


def moments(count: int) -> list[float]:
    """Return random moments, spread over the time that a prefetch takes, as parts of it."""
    chance = random.Random(SEED)
    return [round((number + chance.random()) / count, 3) for number in range(count)]


def duration(engine: Engine, folder: Path) -> float:
    """Return the seconds that the prefetch of such images takes when nobody kills it."""
    with RegistryProxy(engine.registry) as registry:
        workspace, _ = _prepared(engine, folder, registry)
        ended = process.run(COMMAND, env=engine.environment, cwd=workspace.root)
    assert ended.ok, ended.stderr
    return ended.seconds


def survive(engine: Engine, folder: Path, seconds: float) -> str:
    """Kill a prefetch after some seconds, assert that it can be gone on with; say how it was."""
    with RegistryProxy(engine.registry) as registry:
        workspace, images = _prepared(engine, folder, registry)
        _kill_after(workspace, seconds)
        here = _here(workspace, registry, images)
        asked = len(registry.log)
        registry.heal()
        again = workspace.document("prefetch", "--json")["prefetch"]
        assert (again["failed"], again["pulled"] + again["present"]) == (0, IMAGES)
        assert _here(workspace, registry, images) == list(images)
        blobs = [path for _, path, _ in registry.log[asked:] if "/blobs/" in path]
        assert not [path for path in blobs if any(image.repository in path for image in here)]
    built = workspace.document("build-builder", "--json")["build-builder"]["images"][0]
    assert built["result"] == "built"
    return f"{len(here)} of {IMAGES} images were here, {again['present']} pinned"


def _prepared(
    engine: Engine, folder: Path, registry: RegistryProxy
) -> tuple[Workspace, Sequence[tiny.Tiny]]:
    """Return a workspace on some images, one of which comes slowly."""
    workspace = made(folder, engine)
    workspace.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(folder, "killed")
    images = [
        tiny.push(engine.registry, f"kills/{unique(folder, f'image-{number}')}:1", 30_000, 200_000)
        for number in range(IMAGES)
    ]
    base(workspace, *(f"{registry.address}/{image.name}" for image in images))
    registry.fault(Fault.TRICKLE, on="blobs", path=images[0].layers[1])
    return workspace, images


def _kill_after(workspace: Workspace, seconds: float) -> None:
    with subprocess.Popen(
        COMMAND,
        env=dict(workspace.engine.environment),
        cwd=workspace.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _here(
    workspace: Workspace, registry: RegistryProxy, images: Sequence[tiny.Tiny]
) -> list[tiny.Tiny]:
    """Return the images that the engine has."""
    return [
        image
        for image in images
        if tiny.held(workspace, f"{registry.address}/{image.repository}", image)
    ]
