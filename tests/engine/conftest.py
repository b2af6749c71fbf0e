"""Real engines and a real registry: the sandbox, brought up once and shared by all tests.

Images are of a few bytes, made FROM scratch, wherever a promise does not need more. Where no
sandbox can be had, each test is skipped by name.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks import sandbox, state
from tests.engine.support import Engine, Workspace, made, started

SLOW = ("test_reference_app", "test_sandbox", "test_pull_faults", "test_trouble")
"""Files that begin first: who runs the tests in several processes waits for the last of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))
    reason = sandbox.unavailable()
    for item in items:
        item.add_marker(pytest.mark.engine)
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"no engine can be had here: {reason}"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The sandbox, up for the time of the tests; one that ran before goes on running.

    Where several processes share the tests, the last one to end stops it.
    """
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with _users(shared) as users:
        users["ran before"] = users.get("ran before", sandbox.status().registry.running)
        users["now"] = users.get("now", 0) + 1
        for store in sandbox.STORES:
            started(store)
    yield
    with _users(shared) as users:
        users["now"] -= 1
        if not users["now"] and not users["ran before"]:
            sandbox.down()


@contextlib.contextmanager
def _users(folder: Path) -> Iterator[dict[str, int]]:
    """Hold and change what the processes that use the sandbox know of each other."""
    with (folder / "sandbox-users.json").open("a+", encoding="utf-8") as file:
        state.hold(file, lambda _: None)
        file.seek(0)
        users: dict[str, int] = json.loads(file.read() or "{}")
        yield users
        file.truncate(0)
        file.write(json.dumps(users))
        file.flush()


@pytest.fixture(scope="session", params=sandbox.STORES)
def engine(request: pytest.FixtureRequest, home: None) -> Engine:
    """A private engine, once with each image store."""
    return started(request.param)


@pytest.fixture(scope="session")
def containerd(home: None) -> Engine:
    """A private engine with the containerd store, for what does not depend on the store."""
    return started("containerd")


@pytest.fixture
def workspace(engine: Engine, tmp_path: Path) -> Workspace:
    """An empty repository, once on each image store."""
    return made(tmp_path, engine)


@pytest.fixture
def plain(containerd: Engine, tmp_path: Path) -> Workspace:
    """An empty repository, for what does not depend on the store."""
    return made(tmp_path, containerd)
