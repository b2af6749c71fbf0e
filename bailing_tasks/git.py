"""What Git knows of the workspace."""

from __future__ import annotations

import re
from pathlib import Path

from bailing_tasks import process

_SCP = re.compile(r"^(?:[^@/]+@)?[^:/]+:(?!//)(?P<path>.+)$")
_URL = re.compile(r"^(?:https?|ssh|git)://(?:[^@/]+@)?[^/]+/(?P<path>.+)$")


def remote_path(root: Path) -> str | None:
    """Return `owner/name` of the workspace's remote; None where there is none, or no owner."""
    url = remote_url(root)
    return repository_path(url) if url else None


def remote_url(root: Path, remote: str = "origin") -> str | None:
    """Return the URL of a remote, or None where there is no Git, repository or remote."""
    if process.find("git") is None:
        return None
    result = process.run(["git", "-C", str(root), "config", "--get", f"remote.{remote}.url"])
    return result.stdout.strip() or None


def repository_path(url: str) -> str | None:
    """Return `owner/name` of a hosted repository, lower-cased as image names must be.

    A remote that is a folder has no owner and gives None.
    """
    match = _URL.match(url) or _SCP.match(url)
    if not match:
        return None
    path = match["path"].strip("/").removesuffix(".git").lower()
    return path if "/" in path else None
