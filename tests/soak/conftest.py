"""Real engines, those of tests/engine, for what takes long."""

import pytest

from tests.engine import conftest
from tests.engine.conftest import containerd, engine, home

__all__ = ["containerd", "engine", "home"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needing = [item for item in items if "home" in getattr(item, "fixturenames", ())]
    conftest.pytest_collection_modifyitems(needing)
