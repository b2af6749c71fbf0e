"""The sessions that `register` gives to a noxfile, by nox itself, with a stand-in for Invoke."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bailing_tasks import process

NOXFILE = "from bailing_tasks.sessions import register; register()\n"
SETTINGS = """
[tool.bailing-tasks]
platforms = ["linux/amd64", "linux/arm/v7"]
python = ["3.11", "3.13"]
"""
INVOKE = """
import sys
with open("asked", "a") as file:
    print(*sys.argv[1:], file=file)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a noxfile of one line, and an Invoke that notes what it is asked."""
    tmp_path.joinpath("noxfile.py").write_text(NOXFILE)
    tmp_path.joinpath("pyproject.toml").write_text(SETTINGS)
    tmp_path.joinpath("invoke.py").write_text(INVOKE)
    return tmp_path


def nox(root: Path, *argv: str, **environment: str) -> process.Completed:
    own = ("NOX", "BAILING_TASKS_", "FORCE_COLOR")
    others = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    command = [sys.executable, "-m", "nox", *argv]
    return process.run(command, cwd=root, env=others | environment)


def asked(root: Path) -> list[str]:
    """Return what Invoke was asked, a line a process."""
    return root.joinpath("asked").read_text().splitlines()


def test_each_platform_has_a_session_for_every_python(root: Path) -> None:
    result = nox(root, "-l", "--json")
    assert result.ok, result.stderr
    sessions = {found["session"]: found for found in json.loads(result.stdout)}
    assert list(sessions) == [
        "build-amd64(python='3.11')",
        "build-amd64(python='3.13')",
        "build-arm-v7(python='3.11')",
        "build-arm-v7(python='3.13')",
    ]
    # No interpreter of that version is looked for.
    assert {found["python"] for found in sessions.values()} == {None}
    described = {found["description"] for found in sessions.values()}
    assert "Prefetch, build and verify the images for linux/arm/v7." in described
    listed = nox(root, "-l").stdout
    for name in ("build", "ci", "verify"):
        # Not of those that a plain `nox` runs: they are the same work again.
        assert f"\n- {name} -> " in listed


def test_a_session_runs_the_pipeline_in_this_environment(root: Path) -> None:
    result = nox(root, "-s", "build-arm-v7(python='3.13')", "--", "--force")
    assert result.ok, result.stderr
    options = "--platform linux/arm/v7 --python 3.13"
    forced = f"build-builder {options} --force build-app {options} --force"
    assert asked(root) == [f"prefetch {options} {forced} verify {options}"]
    assert sys.executable in result.stderr
    # No environment of its own is made for it.
    assert "Creating virtual environment" not in result.stderr


def test_a_name_without_python_is_all_pythons_and_build_is_all(root: Path) -> None:
    assert nox(root, "-s", "build-amd64").ok
    short = [line.split(" build-builder")[0] for line in asked(root)]
    amd64 = [f"prefetch --platform linux/amd64 --python {python}" for python in ("3.11", "3.13")]
    assert short == amd64
    root.joinpath("asked").unlink()
    assert nox(root, "-s", "build", "--", "--no-cache").ok
    short = [line.split(" build-builder")[0] for line in asked(root)]
    assert short == [*amd64, *(line.replace("amd64", "arm/v7") for line in amd64)]
    assert all(line.count("--no-cache") == 2 for line in asked(root))


def test_the_environment_beats_the_file(root: Path) -> None:
    result = nox(root, "-l", BAILING_TASKS_PLATFORMS="linux/s390x")
    assert "build-s390x(python='3.11')" in result.stdout
    assert "amd64" not in result.stdout


def test_ci_is_for_the_branch_that_is_checked_out(root: Path) -> None:
    assert process.run(["git", "init", "-q", "-b", "topic/a", str(root)]).ok
    assert nox(root, "-s", "ci", "--", "--push").ok
    assert asked(root) == ["ci-run --event push:topic/a --push"]


def test_ci_without_a_branch_says_so(root: Path) -> None:
    result = nox(root, "-s", "ci")
    assert not result.ok
    assert "no branch is checked out" in result.stderr
    assert "Traceback" not in result.stderr


def test_verify_takes_options(root: Path) -> None:
    assert nox(root, "-s", "verify", "--", "--platform", "all").ok
    assert asked(root) == ["verify --platform all"]


def test_a_failure_of_the_tasks_is_the_sessions(root: Path) -> None:
    root.joinpath("invoke.py").write_text("raise SystemExit(7)")
    result = nox(root, "-s", "verify")
    assert not result.ok
    assert "failed with exit code 7" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.bailing-tasks]\npythons = ['3.11']", "perhaps you meant 'python'"),
        ("[tool.bailing-tasks", "cannot be read as TOML"),
    ],
)
def test_broken_settings_leave_the_other_sessions(root: Path, text: str, said: str) -> None:
    root.joinpath("pyproject.toml").write_text(text)
    other = "import nox\n@nox.session(venv_backend='none')\ndef other(session): pass\n"
    root.joinpath("noxfile.py").write_text(NOXFILE + other)
    assert "other" in nox(root, "-l").stdout
    assert nox(root, "-s", "other").ok
    failed = nox(root, "-s", "build-amd64")
    assert not failed.ok
    # Once as the noxfile is read, once as what the session fails with: each in a line.
    assert len([line for line in failed.stderr.splitlines() if said in line]) == 2
    assert "Traceback" not in failed.stderr
    assert not root.joinpath("asked").exists()
