"""No unit test reaches an engine, a registry or a network, not even by accident."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bailing_tasks import process
from tests.unit.repository import Repository

ALLOWED = {"git"}


@pytest.fixture(autouse=True)
def _nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    start = process._popen

    def popen(argv: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        name = argv[0].rpartition("/")[2]
        assert name in ALLOWED or name.startswith("python"), f"a unit test would run {argv}"
        return start(argv, *args, **kwargs)

    def connect(*_: object) -> NoReturn:
        raise AssertionError("a unit test would open a connection")

    monkeypatch.setattr(process, "_popen", popen)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An empty Git repository; Git heeds nobody's settings, and there are no GitHub variables."""
    return Repository.new(tmp_path / "repository", monkeypatch)
