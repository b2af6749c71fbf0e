"""No unit test reaches an engine, a registry or a network, but servers of its own on loopback."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

    open_connection = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_INET, f"a unit test would connect to {address}"
        assert address[0] == "127.0.0.1", f"a unit test would connect to {address}"
        open_connection(self, address)

    monkeypatch.setattr(process, "_popen", popen)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An empty Git repository; Git heeds nobody's settings, and there are no GitHub variables."""
    return Repository.new(tmp_path / "repository", monkeypatch)
