"""SIGTERM and SIGHUP, sent to the run alone: what it has begun on an engine ends with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bailing_tasks.descendants import families
from tests.engine.eight import WAITS
from tests.engine.support import TRUE, Workspace, unique

SETTINGS = """
[tool.bailing-tasks.verify]
absent-commands = []
imports = []
user = ""
port = 0
smaller-than-builder = false
commands = [["/{waits}"]]
"""


@pytest.fixture
def waits(plain: Workspace, tmp_path: Path) -> str:
    """The name, which nothing else has, of a program that waits; the app has it."""
    name = unique(tmp_path, "waits")
    plain.write("Dockerfile", f'FROM scratch\nCOPY {name} true /\nCMD ["/{name}"]\n')
    plain.write("pyproject.toml", SETTINGS.format(waits=name))
    for program, content in ((name, WAITS), ("true", TRUE)):
        (plain.root / program).write_bytes(content)
        (plain.root / program).chmod(0o755)
    plain.environment["BAILING_TASKS_APP_IMAGE"] = unique(tmp_path, "signals")
    return name


@contextlib.contextmanager
def run_of(workspace: Workspace, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a session of its own, as a service or a CI job."""
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", *argv],
        env={**workspace.engine.environment, **workspace.environment},
        cwd=workspace.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def comes(there: Callable[[], object]) -> bool:
    over = time.monotonic() + 60
    while not there() and time.monotonic() < over:
        time.sleep(0.02)
    return bool(there())


def processes(name: str) -> list[str]:
    """Return the processes on this machine that a program runs in, in a container too."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == f"/{name}\0".encode():
                found.append(path.parent.name)
    return found


def ended(child: subprocess.Popen[str]) -> str:
    """Return what an interrupted run printed, less its errors."""
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "error: interrupted" in err
    assert "Traceback" not in err
    return out


def test_a_build_ends_with_its_run(plain: Workspace, waits: str) -> None:
    dockerfile = (plain.root / "Dockerfile").read_text()
    plain.write("Dockerfile", f'{dockerfile}RUN ["/{waits}"]\n')
    with run_of(plain, "build-app", "--json") as child:
        assert comes(lambda: processes(waits))
        family = families([child.pid])
        assert len(family) > 1
        child.terminate()
        document = json.loads(ended(child))
    assert document["error"]["exit_code"] == 130
    assert not [each for each in family if each.runs()]
    assert comes(lambda: not processes(waits))
    (build,) = map(
        json.loads, (plain.root / ".bailing-tasks/history.jsonl").read_text().splitlines()
    )
    assert build["result"] == "interrupted"
    plain.write("Dockerfile", dockerfile)
    assert plain.document("build-app", "--json")["build-app"]["images"][0]["result"] == "built"


def test_the_containers_of_verify_end_with_their_run(plain: Workspace, waits: str) -> None:
    image = plain.environment["BAILING_TASKS_APP_IMAGE"]
    containers = ("ps", "-aq", "--filter", f"ancestor={image}")
    with run_of(plain, "build-app", "verify") as child:
        assert comes(lambda: processes(waits))
        assert plain.engine.must(*containers)
        child.send_signal(signal.SIGHUP)
        ended(child)
    assert plain.engine.must(*containers) == ""
