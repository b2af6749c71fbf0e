"""What Git knows of the workspace."""

from __future__ import annotations

import os
from pathlib import Path

from bailing_tasks import hosting, process
from bailing_tasks.errors import UsageError
from bailing_tasks.events import BRANCHES, PULL_REQUEST, TAGS, Event
from bailing_tasks.mirrors import without_user

REMOTE_SECONDS = 30.0
"""How long a remote may take to say what it has."""


def remote_path(root: Path) -> str | None:
    """Return `owner/name` of the workspace's remote; None where there is none, or no owner."""
    url = remote_url(root)
    return hosting.repository_path(url) if url else None


def remote_url(root: Path, remote: str = "origin") -> str | None:
    """Return the URL of a remote, or None where there is no Git, repository or remote."""
    if process.find("git") is None:
        return None
    result = process.run(["git", "-C", str(root), "config", "--get", f"remote.{remote}.url"])
    return result.stdout.strip() or None


def check_repository(root: Path) -> None:
    """Make sure that a folder is in a Git repository.

    Raises:
        UsageError: It is in none, or Git refuses to read it.
    """
    result = _git(root, "rev-parse", "--git-dir")
    if not result.ok:
        raise UsageError(
            f"{root} is in no Git repository",
            cause=result.stderr.strip(),
            remedy="run this in a clone of the repository",
        )


def folder(root: Path) -> str:
    """Return a workspace's folder from its repository's root; empty for the root itself."""
    return _must(root, "rev-parse", "--show-prefix").rstrip("/")


def is_shallow(root: Path) -> bool:
    """Whether the clone was cut off somewhere: its older commits are not here."""
    return _must(root, "rev-parse", "--is-shallow-repository") == "true"


def commit_of(root: Path, revision: str) -> str | None:
    """Return the commit that a revision names, behind an annotated tag too; None for none here."""
    argv = ("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return _git(root, *argv).stdout.strip() or None


def resolve(root: Path, revision: str) -> str:
    """Return the commit that a revision names; see `commit_of`.

    Raises:
        UsageError: There is none in this clone.
    """
    commit = commit_of(root, revision)
    if commit is None:
        check_repository(root)
        message = f"there is no commit {revision} here"
        if is_shallow(root):
            raise _shallow(message)
        raise UsageError(
            message,
            cause="it does not exist, was not fetched, or was replaced by a forced push",
            remedy=f"check its name, or `git fetch origin {revision.removeprefix('origin/')}`",
        )
    return commit


def head(root: Path) -> str:
    """Return the commit that is checked out.

    Raises:
        UsageError: There is no repository, or no commit in it yet.
    """
    check_repository(root)
    commit = commit_of(root, "HEAD")
    if commit is None:
        raise UsageError("the repository has no commit yet", remedy="commit something")
    return commit


def current_branch(root: Path) -> str:
    """Return the branch that is checked out; empty where a commit is, and no branch."""
    ref = _git(root, "symbolic-ref", "--quiet", "HEAD").stdout.strip()
    return ref.removeprefix(BRANCHES)


def branch(root: Path, name: str) -> str | None:
    """Return where a branch stands here; None where there is none of that name."""
    return _ref(root, BRANCHES + name)


def remote_branch(root: Path, name: str, remote: str = "origin") -> str | None:
    """Return where a remote's branch stood when it was last fetched; None for none."""
    # The remote's HEAD is no branch, but says which one is the default.
    return None if name == "HEAD" else _ref(root, f"refs/remotes/{remote}/{name}")


def tag(root: Path, name: str) -> str | None:
    """Return the commit that a tag names; None where there is no such tag."""
    return _ref(root, TAGS + name)


def tags_at(root: Path, commit: str) -> tuple[str, ...]:
    """Return the tags of this clone that name a commit."""
    return tuple(_must(root, "tag", "--points-at", commit).splitlines())


def remote_refs(root: Path, remote: str = "origin") -> dict[str, str]:
    """Return what a remote has now: for each ref its commit, `<tag>^{}` behind annotated tags.

    Raises:
        UsageError: There is no such remote, or it does not answer.
    """
    # It has no terminal, so ssh cannot ask for a passphrase either.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    argv = ["git", "-C", str(root), "ls-remote", remote]
    result = process.run(argv, env=environment, timeout=REMOTE_SECONDS)
    if not result.ok:
        said = result.stderr.strip() or f"no answer within {REMOTE_SECONDS:.0f} s"
        raise UsageError(
            f"what the remote {remote!r} has is not known",
            cause=" ".join(without_user(said).split()),
            remedy=f"check that `git ls-remote {remote}` answers, and asks for no password or "
            "passphrase; --allow-dirty goes on without it",
        )
    lines = (line.split("\t") for line in result.stdout.splitlines())
    return {name: commit for commit, name in lines}


def is_pushed(root: Path, commit: str, remote: str = "origin") -> bool:
    """Whether a branch of a remote, as last fetched, has a commit."""
    refs = ("for-each-ref", "--contains", commit, "--count=1", f"refs/remotes/{remote}/")
    return bool(_git(root, *refs).stdout.strip())


def branches(root: Path, remote: str = "origin") -> tuple[str, ...]:
    """Return the branches of a remote as last fetched; where it has none, those of this clone."""
    there = f"refs/remotes/{remote}/"
    found = _names(root, there) or _names(root, BRANCHES)
    return tuple(name for name in found if name != "HEAD")


def tags(root: Path) -> tuple[str, ...]:
    """Return the tags that are in this clone."""
    return _names(root, TAGS)


def is_name(root: Path, name: str) -> bool:
    """Whether a branch or a tag can be called so."""
    return _git(root, "check-ref-format", BRANCHES + name).ok


def parent(root: Path, commit: str) -> str:
    """Return a commit's first parent, which a shallow clone may lack; empty for a first commit.

    Raises:
        UsageError: The commit is not here.
    """
    # Read from the commit itself: elsewhere the edge of a shallow clone looks like a beginning.
    header = _must(root, "cat-file", "commit", resolve(root, commit)).partition("\n\n")[0]
    parents = [line for line in header.splitlines() if line.startswith("parent ")]
    return parents[0].removeprefix("parent ") if parents else ""


def merge_base(root: Path, one: str, other: str) -> str | None:
    """Return the best common ancestor of two commits; None for none.

    Raises:
        UsageError: A shallow clone cannot tell.
    """
    common = _git(root, "merge-base", one, other).stdout.strip() or None
    if common is None and is_shallow(root):
        raise _shallow(f"there is no commit that {one} and {other} have in common here")
    return common


def is_ancestor(root: Path, older: str, newer: str) -> bool:
    """Whether a commit descends from another, or is the same.

    Raises:
        UsageError: One of them is not here, or a shallow clone cannot tell.
    """
    commits = (resolve(root, older), resolve(root, newer))
    if _git(root, "merge-base", "--is-ancestor", *commits).ok:
        return True
    if is_shallow(root):
        raise _shallow(f"whether {newer} descends from {older} cannot be told")
    return False


def describe(root: Path, commit: str = "HEAD") -> str:
    """Return `git describe`'s name of a commit: `v1.2.3`, `v1.2.3-4-g1234567` or `1234567`.

    Raises:
        UsageError: It is not here.
    """
    return _must(root, "describe", "--tags", "--always", "--abbrev=7", resolve(root, commit))


def commit_time(root: Path, commit: str) -> int:
    """Return when a commit was made, in seconds since 1970 (`SOURCE_DATE_EPOCH`).

    Raises:
        UsageError: It is not here.
    """
    return int(_must(root, "show", "--no-patch", "--format=%ct", resolve(root, commit)))


def uncommitted(root: Path) -> tuple[str, ...]:
    """Return the files of the working tree that are neither committed nor ignored.

    What Python itself writes beside the modules that it reads does not count.
    """
    status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    lines = _must(root, *status).split("\0")
    paths = (line[3:] for line in lines if line)
    return tuple(path for path in paths if "__pycache__" not in path.split("/"))


def changed_files(root: Path, event: Event) -> tuple[str, ...]:
    """Return the files that a push or a pull request changed, from the root, in Git's order.

    As GitHub compares: the two ends of a push (two dots), a pull request with where it left its
    base branch (three dots). Both names of a renamed file are among them, as either may matter.

    Raises:
        UsageError: A commit that is compared is not here.
    """
    start, end = _compared(root, event)
    # diff-tree heeds no settings of the person who runs it (diff.renames, diff.relative).
    names = _must(root, "diff-tree", "-r", "-z", "--name-only", start, end)
    return tuple(filter(None, names.split("\0")))


def commit_count(root: Path, event: Event) -> int:
    """Return how many commits a push or a pull request brought.

    Raises:
        UsageError: A commit that is compared is not here.
    """
    start, end = _compared(root, event)
    known = [f"^{start}"] if event.base else []
    return int(_must(root, "rev-list", "--count", end, *known))


def top(root: Path) -> Path:
    """Return the root of the repository that a folder is in.

    Raises:
        UsageError: It is in none, or Git refuses to read it.
    """
    check_repository(root)
    return Path(_must(root, "rev-parse", "--show-toplevel"))


def tracked(root: Path) -> tuple[str, ...]:
    """Return the files that Git tracks below a repository's root, as `a/b`, sorted.

    Raises:
        UsageError: Git refuses to read it.
    """
    return tuple(sorted(filter(None, _must(root, "ls-files", "-z").split("\0"))))


def ignored(root: Path) -> frozenset[str]:
    """Return the files below a repository's root that Git ignores and does not track, as `a/b`.

    Raises:
        UsageError: Git refuses to read it.
    """
    names = _must(root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard")
    return frozenset(filter(None, names.split("\0")))


def _compared(root: Path, event: Event) -> tuple[str, str]:
    """Return what is compared; without a base, everything is new."""
    end = resolve(root, event.head or event.commit)
    if not event.base:
        return _must(root, "hash-object", "-t", "tree", "--stdin"), end
    start = resolve(root, event.base)
    if event.name != PULL_REQUEST:
        return start, end
    common = merge_base(root, start, end)
    if common is None:
        raise UsageError(
            f"{event} has nothing in common with that branch",
            cause=f"{start} and {end} have no common ancestor",
        )
    return common, end


def _ref(root: Path, ref: str) -> str | None:
    """Return the commit that a ref names, by exactly this name: no `main~1`."""
    exists = _git(root, "show-ref", "--verify", "--quiet", ref).ok
    return commit_of(root, ref) if exists else None


def _names(root: Path, prefix: str) -> tuple[str, ...]:
    """Return the names of refs below a prefix."""
    refs = _must(root, "for-each-ref", "--format=%(refname)", prefix).splitlines()
    return tuple(ref.removeprefix(prefix) for ref in refs)


def _shallow(message: str) -> UsageError:
    return UsageError(
        message,
        cause="this is a shallow clone: its older commits are not here",
        remedy="`git fetch --unshallow`; in a workflow, `fetch-depth: 0` for actions/checkout",
    )


def _git(root: Path, *argv: str) -> process.Completed:
    return process.run(["git", "-C", str(root), *argv])


def _must(root: Path, *argv: str) -> str:
    """Run Git, which has to succeed; return what it printed, without the last line's end.

    Raises:
        UsageError: It failed.
    """
    result = _git(root, *argv)
    if not result.ok:
        raise UsageError(f"`git {argv[0]}` failed", cause=result.stderr.strip())
    return result.stdout.removesuffix("\n")
