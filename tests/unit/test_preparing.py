"""What comes before images are built, as people call it: configure, render, before-build."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from bailing_tasks import before_build, process
from bailing_tasks.console import Console
from bailing_tasks.errors import BuildError
from bailing_tasks.tasks.preparing import run_before_build
from bailing_tasks.tasks.run import Run

SETTINGS = '[tool.bailing-tasks]\ntemplates = ["src/**/*.tpl"]\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with a template, and an example that defines what it needs."""
    for name, text in {
        "tasks.py": "from bailing_tasks import namespace\n",
        "pyproject.toml": SETTINGS,
        ".env.example": "# a comment\nBASE=alpine:3.20\nPASSWORD=hunter2\n",
        "src/a/Dockerfile.tpl": "FROM {{BASE}}\n# {{PASSWORD}}\n",
    }.items():
        tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(name).write_text(text)
    return tmp_path


def invoke(root: Path, *argv: str, **variables: str) -> process.Completed:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("BASE", "PASSWORD")
    }
    command = [sys.executable, "-m", "invoke", *argv]
    done = process.run(command, cwd=root, env={**environment, **variables})
    assert "hunter2" not in done.stdout + done.stderr
    return done


def tree(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_configure_and_render_in_one_run(root: Path) -> None:
    first = invoke(root, "configure", "render")
    assert first.stdout.splitlines() == [
        ".env: made from .env.example; look through its values",
        "src/a/Dockerfile: written",
        "1 templates: 1 written, 0 unchanged, 0 kept",
    ]
    assert root.joinpath("src/a/Dockerfile").read_text() == "FROM alpine:3.20\n# hunter2\n"
    again = invoke(root, "configure", "render")
    assert again.stdout.splitlines() == [
        ".env: unchanged",
        "1 templates: 0 written, 1 unchanged, 0 kept",
    ]
    from_shell = invoke(root, "render", BASE="debian:12")
    assert from_shell.stdout.splitlines()[0] == "src/a/Dockerfile: written"
    assert root.joinpath("src/a/Dockerfile").read_text().startswith("FROM debian:12\n")


def test_new_and_removed_names_are_told(root: Path) -> None:
    root.joinpath(".env").write_text("PASSWORD=other\nOLD=1\n")
    assert invoke(root, "configure").stdout.splitlines() == [
        ".env: added, with the values of .env.example: BASE",
        "note: .env.example has no OLD; .env keeps it",
    ]
    text = root.joinpath(".env").read_text()
    assert text == "PASSWORD=other\nOLD=1\n# a comment\nBASE=alpine:3.20\n"


def test_a_dry_run_tells_and_changes_nothing(root: Path) -> None:
    before = tree(root)
    done = invoke(root, "configure", "render", "--dry-run", "--json")
    assert done.ok, done.stderr
    assert tree(root) == before
    assert json.loads(done.stdout)["results"] == [
        {
            "task": "configure",
            "dry_run": True,
            "status": "new",
            "added": ["BASE", "PASSWORD"],
            "removed": [],
        },
        {
            "task": "render",
            "dry_run": True,
            "files": [
                {"path": "src/a/Dockerfile", "template": "src/a/Dockerfile.tpl", "status": "new"}
            ],
        },
    ]
    assert "would be written" in done.stderr


def test_a_file_edited_by_hand_is_kept_and_overwritten_on_demand(root: Path) -> None:
    invoke(root, "configure", "render")
    output = root / "src/a/Dockerfile"
    output.write_text("FROM mine\n")
    kept = invoke(root, "render", BASE="alpine:3.21")
    assert "warning: src/a/Dockerfile: kept" in kept.stdout
    assert "invoke render --overwrite" in kept.stdout
    assert output.read_text() == "FROM mine\n"
    assert "src/a/Dockerfile: written" in invoke(root, "render", "--overwrite").stdout
    assert output.read_text() == "FROM alpine:3.20\n# hunter2\n"


def test_an_undefined_name_is_an_error_with_its_place(root: Path) -> None:
    root.joinpath("src/b.tpl").write_text("x\n{{BAES}}\n")
    done = invoke(root, "configure", "render")
    assert done.returncode == 2
    assert "src/b.tpl:2: BAES" in done.stderr
    assert "perhaps you meant BASE" in done.stderr
    assert "Traceback" not in done.stderr
    assert not root.joinpath("src/a/Dockerfile").exists()


def test_without_templates_or_an_example_there_is_nothing_to_do(root: Path) -> None:
    root.joinpath(".env.example").unlink()
    root.joinpath("pyproject.toml").unlink()
    done = invoke(root, "configure", "render")
    assert done.stdout.splitlines() == [
        "no .env.example: nothing to bring up to date",
        "no templates are set: `templates` in [tool.bailing-tasks]",
    ]


# before-build


class Commands:
    """Runs commands as a build does, and keeps what people are told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stream = io.StringIO()

    def __call__(self, *scripts: str, **variables: str) -> list[before_build.CommandResult]:
        console = Console(self._stream, live=False, folded=False)
        commands = [(sys.executable, "-c", script) for script in scripts]
        return before_build.run_commands(self.root, commands, {**os.environ, **variables}, console)

    @property
    def said(self) -> list[str]:
        return self._stream.getvalue().splitlines()


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_commands_run_in_the_root_one_after_the_other(commands: Commands) -> None:
    first = "import os; open('made', 'w').write(os.environ['NAME']); print('one')"
    second = "import sys; print(open('made').read(), file=sys.stderr)"
    done = commands(first, second, NAME="two words")
    assert [each.command[2] for each in done] == [first, second]
    assert [line for line in commands.said if not line.startswith("==>")] == ["one", "two words"]


def test_a_command_that_fails_ends_it_with_its_last_lines(commands: Commands) -> None:
    fails = "for i in range(99): print(i)\nraise SystemExit(3)"
    with pytest.raises(BuildError) as caught:
        commands(fails, "open('never', 'w')")
    assert "exit code 3" in caught.value.cause
    assert [line.strip() for line in caught.value.cause.splitlines()[1:]] == [
        str(number) for number in range(89, 99)
    ]
    assert "0" in commands.said
    assert not commands.root.joinpath("never").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit(1)", "exit code 1, and said nothing"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9 ended it"),
    ],
)
def test_how_a_command_ended_is_told(commands: Commands, script: str, said: str) -> None:
    with pytest.raises(BuildError) as caught:
        commands(script)
    assert said in caught.value.cause


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [(None, 0, "not on PATH"), (b"", 0o644, "denied"), (b"\0", 0o755, "format")],
)
def test_a_program_that_cannot_be_started_is_told(
    tmp_path: Path, content: bytes | None, mode: int, said: str
) -> None:
    program = tmp_path / "python-like"
    if content is not None:
        program.write_bytes(content)
        program.chmod(mode)
    console = Console(io.StringIO(), live=False, folded=False)
    with pytest.raises(BuildError, match="could not be started") as caught:
        before_build.run_commands(tmp_path, [("./python-like",)], os.environ, console)
    assert said in caught.value.cause


def test_what_no_program_can_be_told_is_refused(commands: Commands) -> None:
    with pytest.raises(BuildError, match="could not be started") as caught:
        commands("pass", NAME="\0")
    assert "null byte" in caught.value.cause


def test_commands_get_the_env_file_beneath_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PASSWORD", "of the shell")
    monkeypatch.delenv("BASE", raising=False)
    root.joinpath(".env").write_text("BASE=of the file\nPASSWORD=of the file\n")
    script = "import os; print(os.environ['BASE'], '-', os.environ['PASSWORD'])"
    run = Run(root)
    run.dry_run = True
    run_before_build(run, [(sys.executable, "-c", script)])
    dry = capsys.readouterr().out
    assert dry.startswith(sys.executable)
    assert "of the" not in dry
    run.dry_run = False
    run_before_build(run, [(sys.executable, "-c", script)])
    assert "of the file - of the shell" in capsys.readouterr().out
    assert [result["task"] for result in run.results] == ["before-build"] * 2
    run_before_build(run, [])
    assert len(run.results) == 2
