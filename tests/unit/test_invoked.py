"""What Invoke says of a run: its own options, and where it found the tasks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bailing_tasks import process
from bailing_tasks.tasks import namespace

TASKS = "from bailing_tasks import namespace\n"
SETTINGS = '[tool.bailing-tasks]\napp.image = "set-here"\n'
WRITING = ("configure", "render", "ci-write")
LOOKING = set(
    "changed ci-check history images plan release-status sandbox-status services settings "
    "status tags".split()
)
SLOW_GIT = """#!/bin/sh
sleep 20 &
echo $$ $! > started-
mv started- {started}
wait
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which some tasks have something to write."""
    for name in [name for name in os.environ if name.startswith(("INVOKE_", "BAILING_TASKS_"))]:
        monkeypatch.delenv(name)
    root = tmp_path / "workspace"
    (root / ".git").mkdir(parents=True)
    (root / "tasks.py").write_text(TASKS)
    (root / "pyproject.toml").write_text(
        SETTINGS + 'templates = ["*.template"]\nci.install = "pip install ./tools"\n'
    )
    (root / ".env.example").write_text("NAME=value\n")
    (root / "file.template").write_text("{{NAME}}\n")
    (root / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    return root


def invoke(folder: Path, *argv: str, **environment: str) -> process.Completed:
    command = [sys.executable, "-m", "invoke", *argv]
    return process.run(command, cwd=folder, env={**os.environ, **environment})


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "argv",
    [
        ("--dry", *WRITING),
        ("-R", *WRITING),
        (*WRITING, "--dry"),
        (WRITING[0], "-R", *WRITING[1:]),
    ],
)
def test_dry_of_the_command_line_is_for_every_task_of_the_chain(
    root: Path, argv: Sequence[str]
) -> None:
    before = files(root)
    result = invoke(root, *argv)
    assert result.ok, result.stderr
    assert "would be" in result.stdout
    assert files(root) == before


def test_dry_of_invokes_variables_and_files_counts(root: Path) -> None:
    (root / "invoke.yaml").write_text("run: {dry: true}\n")
    before = files(root)
    assert invoke(root, *WRITING).ok
    assert files(root) == before
    (root / "invoke.yaml").unlink()
    before = files(root)
    assert invoke(root, *WRITING, INVOKE_RUN_DRY="1").ok
    assert files(root) == before
    assert invoke(root, *WRITING, INVOKE_RUN_DRY="0").ok
    assert files(root) != before


def test_each_task_has_a_dry_run_or_only_looks() -> None:
    names = namespace.task_names
    arguments = {name: {each.name for each in namespace[name].get_arguments()} for name in names}
    assert {name for name, found in arguments.items() if "dry_run" not in found} == LOOKING


@pytest.mark.parametrize(
    ("option", "name"),
    [("-p", "--pty (-p)"), ("--hide=both", "--hide"), ("-w", "--warn-only (-w)")],
)
def test_options_that_do_not_apply_are_refused(root: Path, option: str, name: str) -> None:
    before = files(root)
    result = invoke(root, option, "configure", "--json")
    assert result.returncode == 2
    assert f"error: Invoke's {name} does not apply" in result.stderr
    assert "cause: " in result.stderr
    assert json.loads(result.stdout)["error"]["exit_code"] == 2
    assert files(root) == before


def test_other_options_in_invokes_variables_and_files_are_ignored(root: Path) -> None:
    (root / "invoke.yaml").write_text("run: {pty: true, hide: both}\ntimeouts: {command: 1}\n")
    result = invoke(root, "settings", INVOKE_RUN_WARN="1", INVOKE_RUN_ECHO="1")
    assert result.ok
    assert result.stderr == ""


def test_commands_are_printed_as_they_are_started(root: Path) -> None:
    result = invoke(root, "-e", "settings", "--json")
    assert f"git -C {root} config --get remote.origin.url\n" in result.stderr
    assert json.loads(result.stdout)["results"]


def test_the_options_hold_for_tasks_that_are_nested_in_others(root: Path) -> None:
    (root / "tasks.py").write_text(
        "from invoke import Collection, task\n"
        "import bailing_tasks\n"
        "from bailing_tasks.tasks import preparing\n"
        "@task\n"
        "def own(c):\n"
        "    preparing.configure(c)\n"
        "namespace = Collection(own)\n"
        "namespace.add_collection(bailing_tasks.namespace, 'images')\n"
    )
    before = files(root)
    (root / "below").mkdir()
    result = invoke(root / "below", "--dry", "own", "images.configure", "images.settings")
    assert result.stdout.count("would be") == 2
    assert "set-here" in result.stdout
    assert files(root) == before


@pytest.fixture
def slow(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a `git` that never answers writes its pid and the pid of its own child."""
    started = root / "started"
    program = root.parent / "bin" / "git"
    program.parent.mkdir()
    program.write_text(SLOW_GIT.format(started=started))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return started


def runs(started: Path) -> bool:
    """Whether one of the processes that a file names has not ended."""
    found = [Path("/proc") / pid / "stat" for pid in started.read_text().split()]
    return any(
        stat.read_text().rpartition(")")[2].split()[0] != "Z" for stat in found if stat.exists()
    )


def test_the_time_of_the_command_line_bounds_the_whole_run(root: Path, slow: Path) -> None:
    result = invoke(root, "-T", "1", "settings", "--json")
    assert result.returncode == 130
    assert result.seconds < 30
    error = json.loads(result.stdout)["error"]
    assert error["message"] == "timed out after 1 s"
    assert "--command-timeout (-T)" in error["cause"]
    assert error["remedy"]
    assert not runs(slow)


@contextlib.contextmanager
def begun(root: Path, slow: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run that waits for Git."""
    with subprocess.Popen(
        [*before, sys.executable, "-m", "invoke", "settings", "--json"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as child:
        while not slow.exists():
            assert child.poll() is None
            time.sleep(0.02)
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_a_run_as_ctrl_c_does(
    root: Path, slow: Path, number: signal.Signals
) -> None:
    with begun(root, slow) as child:
        for _ in range(2):  # as `timeout` does
            child.send_signal(number)
        out, err = child.communicate(timeout=30)
        assert not runs(slow)
    assert child.returncode == 130, err
    assert "error: interrupted" in err
    assert number.name in err
    assert "Traceback" not in err
    assert json.loads(out)["error"]["exit_code"] == 130


CLOSED_TERMINAL = """
import os, pathlib, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-m", "invoke", "settings"])
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.02)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_run_whose_terminal_is_closed_ends_as_at_ctrl_c(root: Path, slow: Path) -> None:
    result = process.run([sys.executable, "-c", CLOSED_TERMINAL, str(slow)], cwd=root)
    assert result.returncode == 130
    assert not runs(slow)


def test_a_signal_that_nohup_ignores_stays_ignored(root: Path, slow: Path) -> None:
    with begun(root, slow, "nohup") as child:
        child.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert child.poll() is None
        child.terminate()
        _, err = child.communicate(timeout=30)
    assert "SIGTERM" in err


PACKAGE = {"tasks/__init__.py": TASKS}


@pytest.mark.parametrize(
    ("places", "argv", "folder"),
    [
        (PACKAGE, (), ""),
        (PACKAGE, (), "below/more"),
        ({"build_tasks.py": TASKS}, ("-c", "build_tasks"), ""),
        ({"build_tasks.py": TASKS}, ("-c", "build_tasks"), "below"),
        ({"tasks.py": TASKS}, ("--search-root", "svc"), ".."),
        ({"tasks.py": TASKS}, ("-r", "svc"), "../other"),
    ],
)
def test_the_workspace_is_where_invoke_found_the_tasks(
    tmp_path: Path, places: dict[str, str], argv: Sequence[str], folder: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tasks.py").write_text(TASKS)
    workspace = tmp_path / "svc"
    inside = {**places, "pyproject.toml": SETTINGS, ".env.example": "A=1\n"}
    for name, text in inside.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    start = workspace / folder
    start.mkdir(parents=True, exist_ok=True)
    if argv[:1] == ("-r",):
        argv = ("-r", str(workspace))
    result = invoke(start, *argv, "configure", "settings")
    assert result.ok, result.stderr
    assert "set-here" in result.stdout
    assert list(tmp_path.rglob(".env")) == [workspace / ".env"]
    assert list(tmp_path.rglob(".bailing-tasks")) == [workspace / ".bailing-tasks"]


def test_a_task_that_is_called_without_invokes_program_has_a_workspace(root: Path) -> None:
    (root / "below").mkdir()
    (root / "tasks.py").unlink()
    (root / "tasks").mkdir()
    (root / "tasks" / "__init__.py").write_text(TASKS)
    script = "import invoke; from bailing_tasks.tasks.preparing import configure; "
    script += "configure(invoke.Context())"
    result = process.run([sys.executable, "-c", script], cwd=root / "below")
    assert result.ok, result.stderr
    assert (root / ".env").exists()
