from __future__ import annotations

import sys
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[3] / "docker"
PACKAGES = ("bailing", "plugins", "server")


@pytest.fixture(scope="session")
def docker() -> Path:
    """The folder of the reference app and its two Dockerfiles."""
    return DOCKER


@pytest.fixture(autouse=True)
def app_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test import the app's packages, and take them out again."""
    monkeypatch.syspath_prepend(str(DOCKER / "app"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        monkeypatch.delitem(sys.modules, name)
