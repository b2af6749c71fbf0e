"""The workflows that `invoke ci-write` makes: their text, as YAML reads it, and their files."""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks import ci_write, configuration, process
from bailing_tasks.settings import Settings
from bailing_tasks.trigger_reader import TriggerReader
from bailing_tasks.workflows import writing

ROOT = Path(__file__).parents[2]
BUILDER, APP = (f".github/workflows/docker-build-{name}.yml" for name in ("builder", "app"))


def settings(**given: Any) -> Settings:
    """Return settings, each by its key with `_` for the dot."""
    document: dict[str, Any] = {}
    for key, value in given.items():
        section, _, rest = key.partition("_")
        if section in ("ci", "app", "builder"):
            document.setdefault(section, {})[rest.replace("_", "-")] = value
        else:
            document[key] = value
    return configuration.resolve(Path("/w"), document=document, environment={}, overrides={})


def read(
    found: Settings, name: str = "builder", folder: str = "", paths: Sequence[str] = ("x/**",)
) -> dict[str, Any]:
    """Return a workflow as YAML reads it; `on` stays a word, as it does on GitHub."""
    target = next(target for target in found.targets if target.name == name)
    text = writing.workflow(found, target, paths, folder=folder)
    document = yaml.load(text, yaml.BaseLoader)
    assert isinstance(document, dict)
    return document


def step(job: dict[str, Any], action: str) -> dict[str, Any]:
    """Return the step of a job that uses an action; empty where there is none."""
    steps = [each for each in job["steps"] if each.get("uses", "").startswith(f"{action}@")]
    return steps[0] if steps else {}


def test_it_runs_when_the_settings_say() -> None:
    found = settings(ci_branches=["main", "release/**"], ci_tags=["v*"], ci_pull_requests=["main"])
    for target in found.targets:
        paths = ["x/**", f"{target.name}.py"]
        on = read(found, target.name, paths=paths)["on"]
        assert on == {
            "push": {"branches": ["main", "release/**"], "tags": ["v*"], "paths": paths},
            "pull_request": {"branches": ["main"], "paths": paths},
            "workflow_dispatch": "",
        }


def test_what_is_not_wanted_is_no_event() -> None:
    only_tags = read(settings(ci_branches=[], ci_pull_requests=[]))
    assert list(only_tags["on"]) == ["push", "workflow_dispatch"]
    assert list(only_tags["on"]["push"]) == ["tags", "paths"]
    assert list(only_tags["jobs"]) == ["publish"]
    only_pulls = read(settings(ci_branches=[], ci_tags=[]))
    assert list(only_pulls["on"]) == ["pull_request", "workflow_dispatch"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_the_same_to_yaml(text: str) -> None:
    assert yaml.safe_load(writing.quoted(text)) == text
    assert "\n" not in writing.quoted(text)


def test_odd_patterns_and_commands_arrive_as_they_are() -> None:
    odd = ['it\'s "quoted".txt', "a: b # c", "*", "docs/**", "!docs/{x}/\\[1\\]", "ünï/😀"]
    install = "pip install uv\nuv pip install --system 'bailing-tasks >= 1'"
    given = settings(ci_install=install, ci_runner="my runner: 1")
    found = read(given, paths=odd)
    assert found["on"]["push"]["paths"] == odd
    for job in found["jobs"].values():
        assert job["runs-on"] == "my runner: 1"
        assert install in [each.get("run") for each in job["steps"]]


def test_only_what_publishes_may_write_and_push() -> None:
    found = read(settings())
    assert found["permissions"] == {}
    check, publish = found["jobs"]["check"], found["jobs"]["publish"]
    assert check["if"] == "github.event_name == 'pull_request'"
    assert publish["if"] == "github.event_name != 'pull_request'"
    assert check["permissions"] == {"contents": "read", "packages": "read"}
    assert publish["permissions"] == {"contents": "read", "packages": "write"}
    assert check["steps"][-1]["run"] == "invoke ci-run --target builder --event github"
    assert publish["steps"][-1]["run"] == check["steps"][-1]["run"] + " --push"


def test_a_pull_request_ends_older_runs_and_what_publishes_is_not_cut_off() -> None:
    found = read(settings())["concurrency"]
    assert found["group"] == "${{ github.workflow }}-${{ github.ref }}"
    assert found["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"


@pytest.mark.parametrize("name", ["builder", "app"])
def test_actions_are_named_by_commit_and_no_expression_is_in_a_shell(name: str) -> None:
    for job in read(settings(), name)["jobs"].values():
        assert int(job["timeout-minutes"]) > 0
        for each in job["steps"]:
            assert "uses" not in each or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each["uses"])
            assert "${{" not in each.get("run", "")
        checkout = step(job, "actions/checkout")["with"]
        assert checkout == {"fetch-depth": "0", "persist-credentials": "false"}
        assert step(job, "docker/setup-buildx-action")["id"] == "buildx"
        builder = {"BUILDX_BUILDER": "${{ steps.buildx.outputs.name }}"}
        assert job["steps"][-1]["env"] == builder


def test_the_matrix_and_the_cache_are_those_of_the_settings() -> None:
    matrix = settings(python=["3.11", "3.13"], platforms=["linux/arm64"], ci_cache="type=local")
    for job in read(matrix)["jobs"].values():
        assert job["env"] == {
            "BAILING_TASKS_PLATFORMS": "linux/arm64",
            "BAILING_TASKS_PYTHON": "3.11,3.13",
            "BAILING_TASKS_CI_CACHE": "type=local",
        }
        # The variables mean to the tasks what the settings say.
        same = configuration.resolve(Path("/w"), document={}, environment=job["env"], overrides={})
        assert (same.platforms, same.python, same.ci.cache) == (
            matrix.platforms,
            matrix.python,
            matrix.ci.cache,
        )


def test_machines_of_the_settings_are_not_looked_for_in_ci() -> None:
    found = settings(builders={"linux/arm64": "arm-machine"})
    for job in read(found)["jobs"].values():
        document = {"builders": {"linux/arm64": "arm-machine"}}
        there = configuration.resolve(
            Path("/w"), document=document, environment=job["env"], overrides={}
        )
        assert there.builders == {}


@pytest.mark.parametrize(
    ("platforms", "runner", "emulated"),
    [
        (["linux/amd64"], "ubuntu-latest", None),
        (["linux/amd64", "linux/386"], "ubuntu-latest", None),
        (["linux/amd64", "linux/arm64"], "ubuntu-latest", "arm64"),
        (["linux/arm64"], "ubuntu-24.04-arm", None),
        (["linux/arm64", "linux/amd64"], "ubuntu-24.04-arm", "amd64"),
        (["linux/arm/v6", "linux/arm/v7", "linux/s390x"], "ubuntu-latest", "arm,s390x"),
    ],
)
def test_what_the_runner_does_not_run_is_emulated(
    platforms: list[str], runner: str, emulated: str | None
) -> None:
    for job in read(settings(platforms=platforms, ci_runner=runner))["jobs"].values():
        found = step(job, "docker/setup-qemu-action")
        assert found.get("with", {}).get("platforms") == emulated


def logins(job: dict[str, Any]) -> list[dict[str, str]]:
    return [each["with"] for each in job["steps"] if "docker/login-action" in each.get("uses", "")]


def test_each_registry_is_logged_in_to_by_its_own_secret() -> None:
    mixed = settings(
        builder_repository="ghcr.io/o/n-builder", app_repository="registry.example/o/n"
    )
    builder, app = read(mixed, "builder")["jobs"], read(mixed, "app")["jobs"]
    github = {
        "registry": "ghcr.io",
        "username": "${{ github.actor }}",
        "password": "${{ secrets.GITHUB_TOKEN }}",
    }
    other = {
        "registry": "registry.example",
        "username": "${{ secrets.REGISTRY_USERNAME }}",
        "password": "${{ secrets.REGISTRY_PASSWORD }}",
    }
    assert logins(builder["publish"]) == [github]
    # The app is built on the builder, from wherever that is.
    assert logins(app["publish"]) == [github, other]
    # A pull request gets none of the owner's secrets.
    assert logins(app["check"]) == [github]
    elsewhere = read(settings(repository="registry.example/o/n"), "app")["jobs"]
    assert logins(elsewhere["check"]) == []
    assert logins(elsewhere["publish"]) == [other]
    assert elsewhere["publish"]["permissions"] == {"contents": "read"}


def test_an_app_without_a_builder_needs_its_own_registry_alone() -> None:
    alone = settings(
        app_builder_arg="", app_repository="docker.io/o/n", builder_repository="ghcr.io/o/b"
    )
    (login,) = logins(read(alone, "app")["jobs"]["publish"])
    assert login["registry"] == "docker.io"


def test_a_workspace_in_a_folder_is_found_from_the_root() -> None:
    document = read(settings(), folder="services/voice [a]")
    for job in document["jobs"].values():
        assert job["defaults"] == {"run": {"working-directory": "services/voice [a]"}}


def test_the_workflows_of_this_repository_are_what_is_written_now() -> None:
    found = configuration.load(ROOT, environment={})
    reader = TriggerReader(found)
    for target in found.targets:
        expected = writing.workflow(found, target, reader.of(target).paths)
        assert ROOT.joinpath(writing.path(target)).read_text() == expected, "run invoke ci-write"


def test_what_was_written_is_known_again() -> None:
    found = settings()
    written = writing.workflow(found, found.app, ["x"]).encode()
    assert writing.is_own(written)
    assert not writing.is_own(b"name: mine\n")
    assert writing.edited(written) == writing.edited(written.replace(b"\n", b"\r\n")) == ""
    assert writing.edited(b"name: mine\n") == "was not written by ci-write"
    for changed in (
        written.replace(b"docker-build-app", b"mine"),
        written.replace(b"change those", b"or change"),
        written + b"\n",
        written.replace(b"sha256 of", b"sha1 of"),
    ):
        assert "edited" in writing.edited(changed)


# The task


INSTALL = {"BAILING_TASKS_CI_INSTALL": "pip install ./tools"}
"""What these tasks' own checkout would make of it depends on its state."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that uses the tasks."""
    for name, value in INSTALL.items():
        monkeypatch.setenv(name, value)
    tmp_path.joinpath(".git").mkdir()
    tmp_path.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    dockerfiles(tmp_path)
    return tmp_path


def dockerfiles(folder: Path) -> None:
    folder.joinpath("docker").mkdir(parents=True)
    folder.joinpath("docker/dockerfile.dev").write_text("FROM a AS builder\nCOPY uv.lock /\n")
    folder.joinpath("Dockerfile").write_text("FROM a\nCOPY main.py /\n")


def invoke(root: Path, *argv: str) -> process.Completed:
    return process.run([sys.executable, "-m", "invoke", "ci-write", *argv], cwd=root)


def test_both_files_are_written_once(root: Path) -> None:
    first = invoke(root)
    assert first.ok, first.stderr
    assert first.stdout.splitlines() == [f"{BUILDER}: written", f"{APP}: written"]
    for name in (BUILDER, APP):
        assert stat.S_IMODE(root.joinpath(name).stat().st_mode) == 0o644
        assert yaml.safe_load(root.joinpath(name).read_text())["name"] in name
    before = root.joinpath(APP).stat()
    root.joinpath("pyproject.toml").write_text('[tool.bailing-tasks.builder]\ntriggers = ["a"]\n')
    second = invoke(root, "--json")
    (result,) = json.loads(second.stdout)["results"]
    found = {file["path"]: file["status"] for file in result["files"]}
    assert found == {BUILDER: "changed", APP: "unchanged"}
    assert root.joinpath(APP).stat() == before
    assert '- "a"\n' in root.joinpath(BUILDER).read_text()
    assert sorted(path.name for path in root.joinpath(".github/workflows").iterdir()) == [
        "docker-build-app.yml",
        "docker-build-builder.yml",
    ]


def test_a_dry_run_shows_the_files_and_writes_none(root: Path) -> None:
    result = invoke(root, "--dry-run")
    assert result.ok, result.stderr
    assert f"# {APP} (new)\n{writing.MARKER}" in result.stdout
    assert not root.joinpath(".github").exists()


def test_a_whole_context_is_pointed_out(root: Path) -> None:
    root.joinpath("Dockerfile").write_text("FROM a\nCOPY . /x\n")
    root.joinpath("README.md").touch()
    shown = invoke(root).stdout
    assert "note: Dockerfile:2 copies the whole context: app depends on each of its" in shown
    assert "lines for .dockerignore to consider: .git, *.md" in shown


def test_the_settings_show_what_follows_from_dockerfiles(root: Path) -> None:
    root.joinpath("pyproject.toml").write_text('[tool.bailing-tasks.app]\ntriggers = ["a"]\n')
    argv = [sys.executable, "-m", "invoke", "settings", "--json"]
    shown = json.loads(process.run(argv, cwd=root).stdout)["results"][0]["settings"]
    assert shown["app.triggers"] == {"value": ["a"], "origin": "pyproject.toml"}
    assert shown["builder.triggers"]["origin"] == "Dockerfile"
    assert {"docker/dockerfile.dev", "uv.lock", BUILDER} <= {*shown["builder.triggers"]["value"]}
    # It is there to find out what is wrong, too.
    root.joinpath("docker/dockerfile.dev").write_text("FRO\n")
    shown = json.loads(process.run(argv, cwd=root).stdout)["results"][0]["settings"]
    assert shown["builder.triggers"] == {"value": [], "origin": "default"}


def test_somebodys_own_file_stays(root: Path) -> None:
    own = root / APP
    own.parent.mkdir(parents=True)
    own.write_text("name: mine\n")
    refused = invoke(root)
    assert refused.returncode == 2
    assert f"{APP} was not written by ci-write" in refused.stderr
    assert "--overwrite" in refused.stderr
    # Nothing was written at all.
    assert own.read_text() == "name: mine\n"
    assert not root.joinpath(BUILDER).exists()
    assert invoke(root, "--overwrite").ok
    assert own.read_text().startswith(writing.MARKER)


def refused(root: Path, *names: str) -> str:
    """Check that ci-write leaves all files alone; return its message."""
    folder = root / ".github/workflows"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = invoke(root)
    assert result.returncode == 2
    assert "--overwrite" in result.stderr
    assert [name for name in (BUILDER, APP) if name in result.stderr] == [*names]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    return result.stderr


def test_an_edited_file_stays_in_every_clone(root: Path, tmp_path_factory: Any) -> None:
    assert invoke(root).ok
    app = root / APP
    written = app.read_text()
    app.write_text(written.replace("timeout-minutes: 120", "timeout-minutes: 30"))
    assert f"{APP} was edited after ci-write wrote it" in refused(root, APP)
    # What ci-write wrote is recorded in the file: a clone knows it as well.
    clone = tmp_path_factory.mktemp("clone") / "clone"
    shutil.copytree(root, clone)
    refused(clone, APP)
    with root.joinpath(BUILDER).open("a") as file:
        file.write("# reviewed\n")
    refused(root, BUILDER, APP)
    assert invoke(root, "--overwrite").ok
    assert app.read_text() == written
    assert "reviewed" not in root.joinpath(BUILDER).read_text()


def test_a_file_that_was_not_edited_is_replaced(root: Path) -> None:
    assert invoke(root).ok
    root.joinpath(APP).write_bytes(root.joinpath(APP).read_bytes().replace(b"\n", b"\r\n"))
    root.joinpath("pyproject.toml").write_text('[tool.bailing-tasks.ci]\nrunner = "mine"\n')
    result = invoke(root)
    assert result.ok, result.stderr
    assert all('runs-on: "mine"\n' in root.joinpath(name).read_text() for name in (BUILDER, APP))


def test_a_file_of_an_earlier_version_may_have_been_edited(root: Path) -> None:
    assert invoke(root).ok
    lines = root.joinpath(APP).read_text().splitlines(keepends=True)
    root.joinpath(APP).write_text("".join(line for line in lines if "sha256" not in line))
    assert "may have been edited" in refused(root, APP)


def test_without_a_repository_nothing_is_written(root: Path) -> None:
    root.joinpath(".git").rmdir()
    result = invoke(root)
    assert result.returncode == 2
    assert "is in no Git repository" in result.stderr
    assert not root.joinpath(".github").exists()


def test_a_place_that_cannot_be_written_is_named(root: Path) -> None:
    root.joinpath(".github").write_text("a file")
    result = invoke(root)
    assert result.returncode == 2
    assert str(root / BUILDER) in result.stderr
    assert "Traceback" not in result.stderr


def test_from_a_folder_they_go_to_the_root(root: Path) -> None:
    folder = root / "services" / "voice"
    dockerfiles(folder)
    root.joinpath("tasks.py").rename(folder / "tasks.py")
    result = invoke(folder)
    assert result.ok, result.stderr
    assert '- "services/voice/uv.lock"\n' in root.joinpath(BUILDER).read_text()
    assert not folder.joinpath(".github").exists()
    status = [
        file.status for file in ci_write.planned(configuration.load(folder, environment=INSTALL))
    ]
    assert status == ["unchanged", "unchanged"]
