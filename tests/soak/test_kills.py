"""A prefetch is killed at twenty random moments on each store; each time the next one goes on.

``BAILING_KILL_SEED`` says which moments.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import kills
from tests.engine.support import Engine


@pytest.fixture(scope="module")
def duration(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> float:
    return kills.duration(engine, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("moment", kills.moments(20))
def test_a_killed_prefetch_is_gone_on_with(
    engine: Engine, tmp_path: Path, duration: float, moment: float
) -> None:
    print(moment, kills.survive(engine, tmp_path, moment * duration))
