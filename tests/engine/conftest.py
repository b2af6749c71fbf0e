"""Real engines and a real registry: the sandbox, brought up once and shared by all tests.

Images are of a few bytes, made FROM scratch, wherever a promise does not need more. Where no
sandbox can be had, each test is skipped by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks import sandbox
from tests.engine.support import Engine, Workspace, made, started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = sandbox.unavailable()
    for item in items:
        item.add_marker(pytest.mark.engine)
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"no engine can be had here: {reason}"))


@pytest.fixture(scope="session")
def home() -> Iterator[None]:
    """The sandbox, up for the time of the tests; one that ran before goes on running."""
    before = sandbox.status()
    yield
    if not before.registry.running:
        sandbox.down()


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
