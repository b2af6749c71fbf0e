"""What Git knows: remotes, commits, and what changed between them."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from bailing_tasks import git, process
from bailing_tasks.errors import UsageError
from bailing_tasks.events import Event
from bailing_tasks.git import remote_path, remote_url
from bailing_tasks.hosting import repository_name, repository_path, web_address
from tests.unit.repository import WHEN, Repository


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


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://gitlab.example.com/acme/Voice.git", "Voice"),
        ("git@ssh.dev.azure.com:v3/org/proj/repo", "repo"),
        ("git@host.example:voice.git", "voice"),
        ("/srv/git/voice.git/", "voice"),
        ("../voice/.git", "voice"),
        ("", ""),
    ],
)
def test_a_remote_of_any_kind_has_a_name(url: str, name: str) -> None:
    assert repository_name(url) == name


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/Owner/Bailing.git", "https://github.com/Owner/Bailing"),
        ("https://user:p@ss@git.example:8443/a/b/", "https://git.example:8443/a/b"),
        ("http://git.intranet/a/b.git", "http://git.intranet/a/b"),
        ("git@github.com:Owner/Bailing.git", "https://github.com/Owner/Bailing"),
        ("ssh://git@git.example:2222/group/sub/name.git", "https://git.example/group/sub/name"),
        ("git://git.example/a/b", "https://git.example/a/b"),
        ("ssh://git@ssh.github.com:443/Owner/Bailing.git", "https://github.com/Owner/Bailing"),
        ("git@altssh.gitlab.com:group/sub/name.git", "https://gitlab.com/group/sub/name"),
        ("https://git.example/a/b?token=secret", None),
        ("/srv/git/bailing.git", None),
        ("file:///srv/git/bailing", None),
        ("git@host.example:bailing.git", None),
    ],
)
def test_people_read_a_repository_where_no_login_is_named(url: str, address: str | None) -> None:
    assert web_address(url) == address


def test_a_folder_without_git_has_no_remote(tmp_path: Path) -> None:
    assert remote_url(tmp_path) is None
    process.run(["git", "init", "-q", str(tmp_path)])
    assert remote_url(tmp_path) is None
    process.run(["git", "-C", str(tmp_path), "remote", "add", "origin", "git@github.com:a/b.git"])
    assert remote_url(tmp_path) == "git@github.com:a/b.git"
    assert remote_path(tmp_path) == "a/b"


def push(commit: str, base: str = "") -> Event:
    return Event(name="push", ref="refs/heads/main", commit=commit, base=base)


def pull(commit: str, base: str, head: str = "") -> Event:
    return Event(
        name="pull_request",
        ref="refs/pull/1/merge",
        commit=commit,
        base=base,
        base_branch="main",
        head=head,
    )


def test_a_folder_without_a_repository_is_refused(repository: Repository) -> None:
    git.check_repository(repository.root)
    with pytest.raises(UsageError, match="has no commit yet"):
        git.head(repository.root)
    root = repository.without_git()
    for ask in (git.check_repository, git.head):
        with pytest.raises(UsageError, match="is in no Git repository"):
            ask(root)
    with pytest.raises(UsageError, match="is in no Git repository"):
        git.resolve(root, "HEAD")


def test_commits_are_found_by_any_name(repository: Repository) -> None:
    first = repository.commit("a")
    repository.git("tag", "-a", "-m", "a tag", "v1")
    second = repository.commit("b")
    root = repository.root
    assert git.head(root) == git.branch(root, "main") == second
    assert git.tag(root, "v1") == git.commit_of(root, "HEAD~1") == first
    assert git.commit_of(root, first[:8]) == first
    for nothing in ("v2", "--all", "", "HEAD:a", "0" * 40):
        assert git.commit_of(root, nothing) is None
    with pytest.raises(UsageError, match="there is no commit v2 here") as caught:
        git.resolve(root, "v2")
    assert "git fetch origin v2" in caught.value.remedy
    assert git.branch(root, "main~1") is git.branch(root, "v1") is git.tag(root, "main") is None
    assert (git.parent(root, second), git.parent(root, first)) == (first, "")
    assert git.commit_time(root, first) == WHEN


def test_the_branch_that_is_checked_out(repository: Repository) -> None:
    assert git.current_branch(repository.root) == "main"
    repository.commit("a")
    repository.git("checkout", "-q", "-b", "topic/x")
    assert git.current_branch(repository.root) == "topic/x"
    repository.git("checkout", "-q", "--detach")
    assert git.current_branch(repository.root) == ""


def test_a_commit_is_described_by_its_tag(repository: Repository) -> None:
    first = repository.commit("a")
    assert git.describe(repository.root) == first[:7]
    repository.git("tag", "v1.2.3")
    second = repository.commit("b")
    assert git.describe(repository.root, first) == "v1.2.3"
    assert git.describe(repository.root) == f"v1.2.3-1-g{second[:7]}"


def test_descent_is_told_apart_from_what_cannot_be_known(
    repository: Repository, tmp_path: Path
) -> None:
    first, second = repository.commit("a"), repository.commit("b")
    root = repository.root
    assert git.is_ancestor(root, first, second)
    assert git.is_ancestor(root, first, first)
    assert not git.is_ancestor(root, second, first)
    with pytest.raises(UsageError, match="there is no commit"):
        git.is_ancestor(root, "f" * 40, second)
    repository.git("checkout", "-q", "--orphan", "other")
    other = repository.commit("c")
    assert git.merge_base(root, second, other) is None
    shallow = repository.clone(tmp_path / "shallow", "--depth=1", "--no-single-branch").root
    assert git.is_shallow(shallow)
    assert not git.is_shallow(root)
    for ask in (git.is_ancestor, git.merge_base):
        with pytest.raises(UsageError) as caught:
            ask(shallow, "origin/main", "origin/other")
        assert "shallow clone" in caught.value.cause
        assert "fetch-depth: 0" in caught.value.remedy
    with pytest.raises(UsageError, match=f"there is no commit {first} here") as caught:
        git.resolve(shallow, first)
    assert "shallow clone" in caught.value.cause
    # Its parent is known all the same: it is no first commit.
    assert git.parent(shallow, "origin/main") == first


def test_what_is_neither_committed_nor_ignored_is_named(repository: Repository) -> None:
    repository.commit("a", "b c", "gone")
    assert git.uncommitted(repository.root) == ()
    repository.write("b c", "new/file")
    (repository.root / "gone").unlink()
    assert git.uncommitted(repository.root) == ("b c", "gone", "new/file")
    (repository.root / ".gitignore").write_text("new\n")
    repository.commit("b c")
    assert git.uncommitted(repository.root) == ()
    repository.write("__pycache__/tasks.pyc", "lib/__pycache__/x.pyc")
    assert git.uncommitted(repository.root) == ()


def test_a_push_is_compared_end_to_end(repository: Repository) -> None:
    first = repository.commit("a", "b/c", "d")
    repository.commit("a")
    repository.git("checkout", "-q", first, "--", "a")
    repository.git("rm", "-q", "d")
    last = repository.commit("ä b", 'q"\n', "b/c")
    # Changed and changed back is not changed.
    assert git.changed_files(repository.root, push(last, first)) == ("b/c", "d", 'q"\n', "ä b")
    assert git.commit_count(repository.root, push(last, first)) == 2
    # Without a base everything is new.
    assert git.changed_files(repository.root, push(first)) == ("a", "b/c", "d")
    assert git.commit_count(repository.root, push(last)) == 3
    assert git.changed_files(repository.root, push(last, last)) == ()
    with pytest.raises(UsageError, match="there is no commit"):
        git.changed_files(repository.root, push(last, "f" * 40))


def test_both_names_of_a_renamed_file_have_changed(repository: Repository) -> None:
    first = repository.commit("old/a")
    (repository.root / "new").mkdir()
    repository.git("mv", "old/a", "new/a")
    last = repository.commit()
    repository.git("config", "diff.renames", "copies")
    repository.git("config", "diff.relative", "true")
    found = git.changed_files(repository.root / "new", push(last, first))
    assert found == ("new/a", "old/a")


def test_a_pull_request_is_compared_with_where_it_left_its_base(repository: Repository) -> None:
    repository.commit("a", "b")
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit("a")
    repository.git("checkout", "-q", "main")
    old_base = repository.git("rev-parse", "HEAD")
    base = repository.commit("b")
    root = repository.root
    assert git.changed_files(root, pull(head, base)) == ("a",)
    assert git.changed_files(root, push(head, base)) == ("a", "b")
    assert git.commit_count(root, pull(head, base)) == 1
    # GitHub builds the merge, and may know an older tip of the base.
    repository.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    merge = git.head(root)
    assert git.changed_files(root, pull(merge, old_base, head)) == ("a",)
    repository.git("checkout", "-q", "--orphan", "other")
    with pytest.raises(UsageError, match="pull request 1 to main has nothing in common"):
        git.changed_files(root, pull(repository.commit("c"), base))


def test_a_remote_that_is_silent_is_given_up(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "REMOTE_SECONDS", 1.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Git speaks HTTP through a process of its own.
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/owner/name.git"
        repository.git("remote", "add", "origin", url)
        started = time.monotonic()
        with pytest.raises(UsageError) as error:
            git.remote_refs(repository.root)
    assert time.monotonic() - started < 20
    assert error.value.cause == "no answer within 1 s"
