"""The nox sessions of a workspace, for real."""

from __future__ import annotations

import sys
from pathlib import Path

from bailing_tasks import process
from tests.engine.support import TRUE, Workspace, unique


def test_a_session_builds_and_verifies_one_platform_and_python(
    plain: Workspace, tmp_path: Path
) -> None:
    base = plain.engine.push_tiny(tmp_path / "base", unique(tmp_path, "base") + ":1")
    name = unique(tmp_path, "voice")
    plain.write("noxfile.py", "from bailing_tasks.sessions import register; register()\n")
    plain.write("docker/dockerfile.dev", f"ARG PYTHON_VERSION\nFROM {base} AS builder\n")
    plain.write(
        "Dockerfile",
        "ARG BUILDER_IMAGE\nARG PYTHON_VERSION\nFROM ${BUILDER_IMAGE}\nARG PYTHON_VERSION\n"
        'COPY true /bin/true\nLABEL python=${PYTHON_VERSION}\nCMD ["/bin/true"]\n',
    )
    plain.write("true", "").write_bytes(TRUE)
    plain.root.joinpath("true").chmod(0o755)
    plain.write(
        "pyproject.toml",
        '[tool.bailing-tasks]\nplatforms = ["linux/amd64"]\npython = ["3.11", "3.13"]\n'
        f'[tool.bailing-tasks.builder]\nimage = "{name}-builder"\n'
        f'[tool.bailing-tasks.app]\nimage = "{name}"\n'
        '[tool.bailing-tasks.verify]\nuser = ""\nimports = []\nport = 0\n'
        "smaller-than-builder = false\n",
    )
    session = "build-amd64(python='3.13')"
    result = process.run(
        [sys.executable, "-m", "nox", "-s", session],
        cwd=plain.root,
        env={**plain.engine.environment, **plain.environment},
    )
    assert result.ok, result.stdout + result.stderr
    assert f"Session {session} was successful" in result.stderr
    assert f"==> verify {name}:latest-py3.13 (linux/amd64)" in result.stdout
    # That Python alone was built, and as that Python.
    assert plain.engine.labels(f"{name}:latest-py3.13")["python"] == "3.13"
    assert not plain.engine.has(f"{name}:latest")
