"""The image repository that a Git remote stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks import process
from bailing_tasks.git import remote_path, remote_url, repository_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://github.com/Owner/Bailing.git", "owner/bailing"),
        ("https://github.com/owner/bailing", "owner/bailing"),
        ("https://token@github.com/owner/bailing/", "owner/bailing"),
        ("git@github.com:Owner/Bailing.git", "owner/bailing"),
        ("ssh://git@github.com/owner/bailing.git", "owner/bailing"),
        ("ssh://git@git.example:2222/group/sub/name.git", "group/sub/name"),
        ("/srv/git/bailing.git", None),
        ("../bailing", None),
        ("file:///srv/git/bailing", None),
        ("git@host.example:bailing.git", None),
    ],
)
def test_owner_and_name_are_taken_from_the_url(url: str, path: str | None) -> None:
    assert repository_path(url) == path


def test_a_folder_without_git_has_no_remote(tmp_path: Path) -> None:
    assert remote_url(tmp_path) is None
    process.run(["git", "init", "-q", str(tmp_path)])
    assert remote_url(tmp_path) is None
    process.run(["git", "-C", str(tmp_path), "remote", "add", "origin", "git@github.com:a/b.git"])
    assert remote_url(tmp_path) == "git@github.com:a/b.git"
    assert remote_path(tmp_path) == "a/b"
