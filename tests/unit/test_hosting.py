"""Where the images of a hosted repository are; nowhere that would be a guess."""

from __future__ import annotations

import json
import sys

import pytest

from bailing_tasks import process
from bailing_tasks.hosting import image_repository, public_address
from tests.unit.repository import Repository


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/Owner/Voice",
        "https://github.com/Owner/Voice.git",
        "https://www.GitHub.com/owner/voice/",
        "https://github.com:443/owner/voice.git/",
        "https://user:p@ss@github.com/owner/voice",
        "http://github.com/owner/voice",
        "git://github.com/owner/voice.git",
        "git@github.com:Owner/Voice.git",
        "github.com:owner/voice",
        "org-123@github.com:owner/voice.git",
        "git@ssh.github.com:owner/voice.git",
        "git@github.com:/owner/voice.git",
        "ssh://git@github.com/owner/voice.git",
        "ssh://git@github.com:22/owner/voice.git",
        "ssh://git@ssh.github.com:443/owner/voice.git",
        "git+ssh://git@github.com/owner/voice.git",
    ],
)
def test_a_repository_at_github_has_its_images_at_ghcr(url: str) -> None:
    assert image_repository(url) == "ghcr.io/owner/voice"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.com/Group/Sub.x/voice.git",
        "https://gitlab-ci-token:secret@gitlab.com/group/sub.x/voice.git",
        "git@gitlab.com:group/sub.x/voice.git",
        "ssh://git@altssh.gitlab.com:443/group/sub.x/voice.git",
    ],
)
def test_a_repository_at_gitlab_has_its_images_there_with_its_groups(url: str) -> None:
    assert image_repository(url) == "registry.gitlab.com/group/sub.x/voice"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.example.com/acme/voice.git",
        "git@ssh.dev.azure.com:v3/org/proj/repo",
        "https://org@dev.azure.com/org/proj/_git/repo",
        "git@bitbucket.org:acme/voice.git",
        "https://codeberg.org/acme/voice",
        "ssh://git@git.intranet:2222/acme/voice.git",
        "https://github.com@git.example/acme/voice",
        "https://git.example/github.com/acme/voice",
        "https://github.com.git.example/acme/voice",
        "https://gist.github.com/acme/voice",
        "github-work:acme/voice.git",
        "https://github.com/voice",
        "https://github.com/acme/voice/tree/main",
        "https://github.com/acme/-voice_",
        "https://github.com/acme/voice:1",
        "https://github.com/acme/voice?x=y",
        "/srv/github.com/acme/voice.git",
        "file:///srv/github.com/acme/voice",
        "file://github.com/acme/voice",
        "",
    ],
)
def test_no_images_are_guessed_of_a_repository_elsewhere(url: str) -> None:
    assert image_repository(url) is None


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("git@github.com:Acme/tasks.git", "https://github.com/Acme/tasks.git"),
        ("ssh://git@ssh.github.com:443/acme/tasks.git", "https://github.com/acme/tasks.git"),
        ("git@gitlab.com:acme/sub/tasks", "https://gitlab.com/acme/sub/tasks"),
        ("https://user:secret@git.example/acme/tasks/", "https://git.example/acme/tasks"),
        ("https://git.example:8443/acme/tasks", "https://git.example:8443/acme/tasks"),
        ("git@git.example:acme/tasks.git", None),
        ("github-work:acme/tasks.git", None),
        ("https://localhost/acme/tasks", None),
        ("http://127.0.0.1:3000/acme/tasks", None),
        ("https://git.example/acme/a b", None),
        ("https://git.example/acme/$(id)", None),
        ("https://git.example/acme/tasks?token=secret", None),
        ("file:///srv/acme/tasks", None),
        ("/srv/acme/tasks", None),
        ("", None),
    ],
)
def test_other_machines_fetch_from_a_public_address(url: str, address: str | None) -> None:
    assert public_address(url) == address


def test_nothing_is_pushed_where_the_remote_names_no_registry(repository: Repository) -> None:
    repository.root.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    repository.root.joinpath("Dockerfile").write_text("FROM scratch\n")
    repository.git("remote", "add", "origin", "https://gitlab.example.com/acme/voice.git")
    repository.commit()
    invoke = (sys.executable, "-m", "invoke")
    shown = process.run([*invoke, "settings", "--json"], cwd=repository.root)
    (result,) = json.loads(shown.stdout)["results"]
    assert result["settings"]["repository"] == {"value": "", "origin": "default"}
    pushed = process.run([*invoke, "push-app", "--yes"], cwd=repository.root)
    assert pushed.returncode == 2
    assert "app cannot be published: its repository is not known" in pushed.stderr
    assert "no Git remote at github.com or gitlab.com names one" in pushed.stderr
    assert "set `repository` in [tool.bailing-tasks]" in pushed.stderr
