"""Where a Git remote is hosted, by its URL. Pure."""

from __future__ import annotations

import re

_SCP = re.compile(r"^(?:[^/]*@)?(?P<host>[^@:/]+):(?!//)(?P<path>[^?#]+)$")
_URL = re.compile(
    r"^(?P<scheme>https?|ssh|git)://(?:[^/]*@)?(?P<host>[^@:/]+)(?P<port>:\d*)?/(?P<path>[^?#]+)$"
)


def repository_path(url: str) -> str | None:
    """Return `owner/name` of a hosted repository, lower-cased as image names must be.

    A remote that is a folder has no owner and gives None.
    """
    match = _hosted(url)
    return _path(match).lower() if match else None


def repository_name(url: str) -> str:
    """Return the last part of a remote's address, without `.git`; empty for no remote."""
    path = url.rstrip("/").removesuffix("/.git")
    return re.split("[/:]", path)[-1].removesuffix(".git")


def web_address(url: str) -> str | None:
    """Return where people read a hosted repository: no user, no password, no `.git`.

    The port of SSH is none of the web's. A remote that is a folder gives None.
    """
    match = _hosted(url)
    if not match:
        return None
    found = {"scheme": "", "port": "", **match.groupdict()}
    web = found["scheme"] in ("http", "https")
    scheme, port = (found["scheme"], found["port"] or "") if web else ("https", "")
    return f"{scheme}://{found['host']}{port}/{_path(match)}"


def _hosted(url: str) -> re.Match[str] | None:
    match = _URL.match(url) or _SCP.match(url)
    return match if match and "/" in _path(match) else None


def _path(match: re.Match[str]) -> str:
    return match["path"].strip("/").removesuffix(".git")
