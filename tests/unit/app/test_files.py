"""What the lock files and the Dockerfiles promise, read as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock"])
def test_a_lock_has_hashes_and_names_no_host(docker: Path, name: str) -> None:
    text = (docker / "app" / name).read_text(encoding="utf-8")
    body = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    entries = re.split(r"\n(?=\S)", body.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"://|--index|--find-links|--trusted-host| /|@", text)


def test_the_lock_holds_what_the_app_asks_for(docker: Path) -> None:
    project = (docker / "app" / "pyproject.toml").read_text(encoding="utf-8")
    lock = (docker / "app" / "requirements.lock").read_text(encoding="utf-8")
    asked = re.findall(r'^    "([a-z]+)[=>]', project, re.MULTILINE)
    assert "pyaudio" in asked
    assert set(asked) <= set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert "\npyaudio==0.2.14 " in lock


def test_the_builder_compiles_from_the_lock_alone(docker: Path) -> None:
    text = (docker / "dockerfile.dev").read_text(encoding="utf-8")
    assert "FROM ghcr.io/astral-sh/uv:python${PYTHON_VERSION}-bookworm AS builder\n" in text
    for package in ("gcc", "g++", "libc6-dev", "portaudio19-dev", "libasound2-dev"):
        assert re.search(rf"^ +{re.escape(package)}( |$)", text, re.MULTILINE)
    assert "--require-hashes" in text
    assert re.findall(r"^COPY .*", text, re.MULTILINE) == [
        "COPY pyproject.tom[l] uv.loc[k] requirements*.loc[k] ./"
    ]


def test_the_app_has_no_compiler_and_is_not_root(docker: Path) -> None:
    text = (docker / "Dockerfile").read_text(encoding="utf-8")
    assert "FROM ghcr.io/astral-sh/uv:python${PYTHON_VERSION}-bookworm-slim\n" in text
    assert "COPY --from=builder /opt/venv /opt/venv\n" in text
    assert "\nUSER appuser\n" in text
    assert "\nHEALTHCHECK " in text
    assert not re.search(r"gcc|g\+\+|-dev\b", text)


@pytest.mark.parametrize("name", ["Dockerfile", "dockerfile.dev"])
def test_both_work_with_the_frontend_of_an_older_engine(docker: Path, name: str) -> None:
    text = (docker / name).read_text(encoding="utf-8")
    assert not re.search(r"^# *syntax=|--parents|--exclude", text, re.MULTILINE)
    assert "\nARG PYTHON_VERSION=3.11\n" in text
    assert "--mount=type=secret,id=ca-bundle,mode=0444 " in text
