"""A prefetch is killed, and the next one goes on; twenty times on each store in tests/soak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import kills
from tests.engine.support import Engine


@pytest.fixture(scope="module")
def duration(containerd: Engine, tmp_path_factory: pytest.TempPathFactory) -> float:
    return kills.duration(containerd, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("moment", kills.moments(3))
def test_a_killed_prefetch_is_gone_on_with(
    containerd: Engine, tmp_path: Path, duration: float, moment: float
) -> None:
    print(moment, kills.survive(containerd, tmp_path, moment * duration))
