"""What is checked out: what an image says of where it came from, and the time in its files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bailing_tasks import git, process
from bailing_tasks.errors import UsageError
from bailing_tasks.image_index import SAID, said_of_it
from bailing_tasks.settings import Settings

EPOCH = "SOURCE_DATE_EPOCH"
"""The time that a build is to write, in seconds since 1970 (reproducible-builds.org)."""
DIRTY = "-dirty"
"""Behind a commit: there are changes that it does not have."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where what is built comes from; empty where there is no commit.

    Attributes:
        revision: The commit.
        version: `git describe`'s name of it.
        uncommitted: The files that are not as the commit has them.
        created: When it was committed, by RFC 3339.
        epoch: The same in seconds since 1970, or what the environment says instead.
    """

    revision: str = ""
    version: str = ""
    created: str = ""
    epoch: str = ""
    uncommitted: frozenset[Path] = frozenset()

    @property
    def named(self) -> str:
        """The version, where a Git tag is in it; else empty."""
        return "" if self.revision.startswith(self.version) else self.version

    def labels(
        self, settings: Settings, own: Collection[str], files: Collection[Path]
    ) -> dict[str, str]:
        """Return the labels of an image that is built here.

        A base image has such labels of its own, and none can be removed: where nothing is known, an
        empty one keeps those from standing as this image's.

        Args:
            settings: The workspace's settings.
            own: The labels that the Dockerfile itself gives.
            files: What it is made from.
        """
        dirty = "" if self.uncommitted.isdisjoint(files) else DIRTY
        return {key: "" for key in SAID if key not in own} | said_of_it(
            revision=self.revision and self.revision + dirty,
            source=settings.source,
            version=self.version and self.version + dirty,
            created=self.created,
            licenses=settings.licenses,
        )


def checked_out(root: Path, environment: Mapping[str, str]) -> Origin:
    """Return where what a workspace builds comes from."""
    given = environment.get(EPOCH, "")
    if process.find("git") is None:
        return Origin(epoch=given)
    try:
        commit = git.head(root)
        top = git.top(root)
        uncommitted = frozenset(top / path for path in git.uncommitted(root))
        time = git.commit_time(root, commit)
        version = git.describe(root, commit)
    except UsageError:
        return Origin(epoch=given)
    return Origin(
        revision=commit,
        version=version,
        created=rfc3339(time),
        epoch=given or str(time),
        uncommitted=uncommitted,
    )


def rfc3339(time: int) -> str:
    """Return a time in seconds since 1970 as RFC 3339 has it."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
