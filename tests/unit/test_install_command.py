"""What workflows install the tasks with: what is installed here, or nothing."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bailing_tasks import installed, process
from bailing_tasks.errors import SettingsError
from bailing_tasks.install_command import Checkout, Install, Installation, derive
from tests.unit.repository import Repository

PACKAGE = Path(installed.__file__).parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PUBLIC = "git@github.com:acme/tasks.git"
FOLDER = {"url": "file:///src/tasks", "dir_info": {"editable": True}}
GIT = {"vcs": "git", "commit_id": COMMIT}


def requirement(found: Install) -> str:
    """Return what a command's pip is to install."""
    pip, install, text = shlex.split(found.command)
    assert (pip, install) == ("pip", "install")
    return text


def checkout(**changes: Any) -> Checkout:
    given = {"remote": PUBLIC, "commit": COMMIT, "folder": "", "clean": True, "pushed": True}
    return Checkout(**{**given, **changes})


def of(document: dict[str, Any] | None, found: Checkout | None = None) -> Install:
    return derive(Installation(version="1.2.3", direct_url=document, checkout=found))


def cause(document: dict[str, Any], found: Checkout | None = None) -> str:
    with pytest.raises(SettingsError) as info:
        of(document, found)
    assert info.value.exit_code == 2
    assert "[tool.bailing-tasks.ci]" in info.value.remedy
    return info.value.cause


def test_a_version_of_an_index_is_pinned() -> None:
    found = of(None)
    assert found.command == "pip install bailing-tasks==1.2.3"
    assert found.origin == "installed version"


def test_a_commit_is_installed_from_where_it_came() -> None:
    found = of({"url": "https://user:secret@git.example/acme/tasks.git", "vcs_info": GIT})
    assert requirement(found) == f"bailing-tasks @ git+https://git.example/acme/tasks.git@{COMMIT}"
    ssh = {"url": "ssh://git@github.com/acme/all.git", "vcs_info": GIT, "subdirectory": "a/tasks"}
    where = f"git+https://github.com/acme/all.git@{COMMIT}#subdirectory=a/tasks"
    assert requirement(of(ssh)) == f"bailing-tasks @ {where}"


def test_a_commit_of_a_clone_here_is_installed_from_its_remote() -> None:
    document = {"url": "file:///src/tasks", "vcs_info": GIT}
    # What is checked out now, or changed, is not what was installed.
    found = of(document, checkout(clean=False))
    assert requirement(found) == f"bailing-tasks @ git+https://github.com/acme/tasks.git@{COMMIT}"
    assert found.origin == "installed commit"
    assert "cannot reach" in cause(document)


def test_a_clean_checkout_is_installed_from_its_remote() -> None:
    found = of(FOLDER, checkout(folder="tools/tasks"))
    where = f"git+https://github.com/acme/tasks.git@{COMMIT}#subdirectory=tools/tasks"
    assert requirement(found) == f"bailing-tasks @ {where}"
    assert (found.origin, found.notes) == ("local checkout", ())
    (note,) = of(FOLDER, checkout(pushed=False)).notes
    assert "commit 0123456 of https://github.com/acme/tasks.git" in note
    assert "push it" in note


def test_what_another_machine_cannot_install_is_refused() -> None:
    assert "is not a Git checkout" in cause(FOLDER)
    assert "uncommitted changes" in cause(FOLDER, checkout(clean=False))
    for remote in ("", "/srv/git/tasks", "git@git.intranet:acme/tasks.git"):
        assert "/src/tasks, which has no public remote" in cause(FOLDER, checkout(remote=remote))
    assert "'a b'" in cause(FOLDER, checkout(folder="a b"))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"url": "https://files.example/bailing_tasks.whl", "archive_info": {"hash": "sha256=0"}},
        {"url": "https://hg.example/a/tasks", "vcs_info": {**GIT, "vcs": "hg"}},
        {"url": "https://git.example/a/tasks", "vcs_info": {"vcs": "git", "commit_id": "main"}},
        {"url": "https://git.example/a/tasks", "vcs_info": "git"},
    ],
)
def test_what_names_no_commit_is_refused(document: dict[str, Any]) -> None:
    assert "from an archive, not from a Git commit" in cause(document)


def test_a_wheel_of_this_machine_is_named() -> None:
    wheel = "file:///tmp/bailing_tasks-1-py3-none-any.whl"
    assert "/tmp/bailing_tasks-1-py3" in cause({"url": wheel, "archive_info": {}})


# What is installed


@pytest.fixture
def clone(repository: Repository) -> Repository:
    """A clone of the tasks, with a remote."""
    repository.git("remote", "add", "origin", PUBLIC)
    repository.write("pyproject.toml", "bailing_tasks/__init__.py")
    repository.commit()
    return repository


def distribution(site: Path, *, direct_url: str | None = None, record: bool = True) -> Path:
    """Write what an installer does; return the folder of the package."""
    info = site / "bailing_tasks-4.5.6.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: bailing-tasks\nVersion: 4.5.6\n"
    )
    if record:
        info.joinpath("RECORD").touch()
    if direct_url is not None:
        info.joinpath("direct_url.json").write_text(direct_url)
    return site / "bailing_tasks"


def test_an_installation_is_read_from_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = distribution(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert installed.installation(package) == Installation(version="4.5.6")


def test_a_checkout_that_hides_an_installation_is_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clone: Repository
) -> None:
    distribution(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = installed.installation(clone.root / "bailing_tasks").checkout
    assert found == checkout(commit=clone.git("rev-parse", "HEAD"), pushed=False)


@pytest.mark.parametrize("info", [{"editable": True}, {}])
def test_an_installed_folder_is_looked_at(
    info: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clone: Repository
) -> None:
    document = json.dumps({"url": clone.root.as_uri(), "dir_info": info})
    package = distribution(tmp_path / "site", direct_url=document)
    monkeypatch.syspath_prepend(tmp_path / "site")
    running = clone.root / "bailing_tasks" if info else package
    head = clone.git("rev-parse", "HEAD")
    clone.git("update-ref", "refs/remotes/origin/main", head)
    assert installed.installation(running).checkout == checkout(commit=head)
    clone.write("new.py")
    assert installed.installation(running).checkout == checkout(commit=head, clean=False)


def test_metadata_that_says_nothing_pins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a")])
    package = distribution(tmp_path / "a", direct_url="{")
    assert installed.installation(package).direct_url == {}
    # A system's package has no RECORD, and an index may not have its version.
    monkeypatch.setattr(sys, "path", [str(tmp_path / "b")])
    package = distribution(tmp_path / "b", record=False)
    assert "is not a Git checkout" in cause(dict(installed.installation(package).direct_url or {}))
    monkeypatch.setattr(sys, "path", [])
    found = installed.installation(tmp_path / "c/bailing_tasks")
    assert (found.checkout, found.direct_url) == (
        None,
        {"url": (tmp_path / "c").as_uri(), "dir_info": {"editable": True}},
    )


def test_an_environment_in_another_repository_is_not_its_checkout(repository: Repository) -> None:
    repository.write("pyproject.toml")
    repository.commit()
    site = repository.root / ".venv/site-packages"
    (site / "bailing_tasks").mkdir(parents=True)
    assert installed.installation(site / "bailing_tasks").checkout is None


def test_a_workflow_installs_the_commit_that_runs_here(clone: Repository, tmp_path: Path) -> None:
    shutil.copytree(
        PACKAGE,
        clone.root / "bailing_tasks",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    clone.git("add", "--all")
    commit = clone.commit()
    clone.git("update-ref", "refs/remotes/origin/main", commit)
    workspace = tmp_path / "workspace"
    (workspace / ".git").mkdir(parents=True)
    workspace.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    workspace.joinpath("Dockerfile").write_text("FROM scratch\n")

    def invoke(*argv: str) -> process.Completed:
        environment = {**os.environ, "PYTHONPATH": str(clone.root)}
        return process.run([sys.executable, "-m", "invoke", *argv], cwd=workspace, env=environment)

    result = invoke("ci-write")
    assert result.ok, result.stderr
    assert "note:" not in result.stdout
    where = f"git+https://github.com/acme/tasks.git@{commit}"
    (file,) = workspace.joinpath(".github/workflows").iterdir()
    for job in yaml.safe_load(file.read_text())["jobs"].values():
        runs = {step["name"]: step.get("run") for step in job["steps"]}
        assert runs["Install the tasks"] == f"pip install 'bailing-tasks @ {where}'"
    (shown,) = json.loads(invoke("settings", "--json").stdout)["results"]
    assert shown["settings"]["ci.install"]["origin"] == "local checkout"

    clone.write("pyproject.toml")
    before = file.read_bytes()
    refused = invoke("ci-write", "--overwrite")
    assert refused.returncode == 2
    assert f"{clone.root}, which has uncommitted changes" in refused.stderr
    assert file.read_bytes() == before
    (shown,) = json.loads(invoke("settings", "--json").stdout)["results"]
    assert shown["settings"]["ci.install"] == {"value": "", "origin": "default"}
