"""Releases that meet every fault at every step, and releases that are killed at random moments.

Each leaves whoever pulls with the old release or the new one, whole for every platform, and the
same command again finishes it. Tables of what they saw are printed. ``BAILING_KILL_SEED`` says
which moments.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.kills import moments
from tests.engine.laptop import Laptop, laptop
from tests.engine.proxy import Fault, SendingFault
from tests.engine.releases import (
    BEFORE,
    HEADINGS,
    NEW,
    STEPS,
    TAGS,
    WHOLE,
    Case,
    Stage,
    meet,
    sent_twice,
    stage,
    table,
)
from tests.engine.support import started

FAULTS: tuple[Fault | SendingFault, ...] = (*Fault, *SendingFault)
CASES = [
    Case(fault, step, None)
    for step, fault in itertools.product(STEPS, FAULTS)
    if fault.befalls(STEPS[step][1])
]
SETTLES = 0.5
"""Seconds in which an engine lets go of a push whose client was killed."""
DELAY = 0.01
"""Seconds that the registry takes for each answer: most of a release is then its own."""


@pytest.fixture(scope="module", params=["buildkit", "containerd"])
def released(
    request: pytest.FixtureRequest, home: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("release")
    with (
        pytest.MonkeyPatch.context() as patch,
        stage(request.param, started("containerd"), folder, patch) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, ...]]]:
    """What is shown at the end: one line for each test."""
    found: list[tuple[str, ...]] = []
    yield found
    capturing = request.config.pluginmanager.get_plugin("capturemanager")
    assert capturing
    with capturing.global_and_fixture_disabled():
        for _, of_one in itertools.groupby(found, key=len):
            every = list(of_one)
            headings = ("engine", *HEADINGS) if len(every[0]) > len(KILLED) else KILLED
            print("\n" + table(headings, every))


KILLED = ("killed at", "in the journal", *TAGS, "the next run")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_at_a_step(
    released: Stage, tmp_path: Path, case: Case, rows: list[tuple[str, ...]]
) -> None:
    came = meet(released, case, tmp_path)
    rows.append((released.held.under.store, *came.row))


@dataclass
class Killing:
    """Releases from one laptop, each killed at another moment.

    Attributes:
        released: The laptop.
        requests: How many requests a release is that nobody kills.
    """

    released: Laptop
    requests: int


@pytest.fixture(scope="module")
def killing(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killing]:
    folder = tmp_path_factory.mktemp("killed")
    with (
        pytest.MonkeyPatch.context() as patch,
        laptop(started("containerd"), folder, patch) as released,
    ):
        released.proxy.delay = DELAY
        # The first one verifies the images as well, which the later ones need not.
        for name in ("first", "second"):
            with released.registry(folder / name) as puller:
                result = released.push()
                assert result.ok, result.stderr
                assert released.seen(puller) == WHOLE
                requests = len(released.proxy.log)
        yield Killing(released, requests)


@pytest.mark.parametrize("moment", moments(30))
def test_a_killed_release_is_gone_on_with(
    killing: Killing, tmp_path: Path, moment: float, rows: list[tuple[str, ...]]
) -> None:
    released, requests = killing.released, int(moment * killing.requests)
    with released.registry(tmp_path / "registry") as puller:
        child = released.begin()
        while len(released.proxy.log) < requests and child.poll() is None:
            time.sleep(0.001)
        time.sleep(random.Random(moment).uniform(0, 3 * DELAY))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        time.sleep(SETTLES)
        between, step = released.seen(puller), _last_step(released)
        assert all(between[tag] in (BEFORE[tag], NEW) for tag in WHOLE), between
        again = released.push()
        assert again.returncode == 0, again.stderr
        assert released.seen(puller) == WHOLE
        assert not sent_twice(released.proxy)
    seen = [
        " ".join(dict.fromkeys(at for name, at in between.items() if name.endswith(f":{tag}")))
        for tag in TAGS
    ]
    rows.append((f"request {requests} of {killing.requests}", step, *seen, "done"))


def _last_step(released: Laptop) -> str:
    """Return the last line of the journal that was left, for people."""
    for journal in (released.workspace.root / ".bailing-tasks" / "releases").glob("*.jsonl"):
        steps = [json.loads(line) for line in journal.read_text().splitlines()]
        name = str(steps[-1].get("name", "")).rpartition(released.path)[2]
        return f"{steps[-1]['step']} app{name}"[:40] if name else str(steps[-1]["step"])
    return "nothing was begun"
