"""The reference app on every Python and platform of this repository's settings, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks import configuration
from tests.engine import reference
from tests.engine.support import REPOSITORY, Engine

MATRIX = configuration.load(REPOSITORY, environment={})


@pytest.mark.parametrize("python", MATRIX.python)
@pytest.mark.parametrize("platform", [str(platform) for platform in MATRIX.platforms])
def test_it_is_built_and_verified(
    containerd: Engine, tmp_path: Path, platform: str, python: str
) -> None:
    reference.build_and_verify(containerd, tmp_path, platform, python)
