"""What happened in a repository, in GitHub's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

PUSH = "push"
PULL_REQUEST = "pull_request"
BRANCHES = "refs/heads/"
TAGS = "refs/tags/"
PULLS = "refs/pull/"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event, as GitHub describes it (Events that trigger workflows).

    Attributes:
        name: GitHub's name for it: `push`, `pull_request`, `schedule`, `workflow_dispatch`.
        ref: Its ref: `refs/heads/main`, `refs/tags/v1.2.3`, `refs/pull/12/merge`.
        commit: The commit that is built, 40 hex digits; empty for a branch that was deleted.
        base: What it is compared with, a commit: where the branch stood before a push, the tip of
            the base branch of a pull request. A shallow clone may lack it. Empty for a tag, and
            where there is none: then everything is new.
        base_branch: The branch that a pull request is to be merged into; empty for anything else.
        head: The tip of a pull request's branch, where `commit` is its merge into the base branch;
            empty where it is `commit`.
    """

    name: str
    ref: str
    commit: str
    base: str = ""
    base_branch: str = ""
    head: str = ""

    @property
    def branch(self) -> str:
        """The branch it is on; empty for a tag or a pull request."""
        return self.ref.removeprefix(BRANCHES) if self.ref.startswith(BRANCHES) else ""

    @property
    def tag(self) -> str:
        """The Git tag; empty for anything else."""
        return self.ref.removeprefix(TAGS) if self.ref.startswith(TAGS) else ""

    @property
    def number(self) -> str:
        """The pull request's number; empty for anything else."""
        return self.ref.split("/")[2] if self.ref.startswith(PULLS) else ""

    def __str__(self) -> str:
        if self.number:
            return f"pull request {self.number} to {self.base_branch}"
        kind = "tag" if self.tag else "branch"
        return f"{self.name} of {kind} {self.tag or self.branch}"
