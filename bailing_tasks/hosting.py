"""Where a Git remote is hosted, by its URL. Pure."""

from __future__ import annotations

import re

from bailing_tasks.errors import UsageError
from bailing_tasks.references import Reference

NO_DEFAULT = "it is not set, and no Git remote at github.com or gitlab.com names one"
"""Why the repository of a workspace's images is not known."""

_SCP = re.compile(r"^(?:[^/]*@)?(?P<host>[^@:/]+):(?!//)(?P<path>[^?#]+)$")
_URL = re.compile(
    r"^(?P<scheme>https?|ssh|git|git\+ssh|ssh\+git)://(?:[^/]*@)?"
    r"(?P<host>[^@:/]+)(?P<port>:\d*)?/(?P<path>[^?#]+)$"
)
_PUBLIC = frozenset({"bitbucket.org", "codeberg.org", "github.com", "gitlab.com"})
"""Hosts that serve by HTTPS what they serve by SSH."""
_HOST = re.compile(r"[a-z0-9.-]+\.[a-z][a-z0-9-]*")
_PATH = re.compile(r"[\w./~%+-]+", re.ASCII)
_ALIASES = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",
    "www.gitlab.com": "gitlab.com",
    "altssh.gitlab.com": "gitlab.com",
}
"""Other names of a host; two of them serve SSH on the port of HTTPS."""


def image_repository(url: str) -> str | None:
    """Return where a hosted repository has its images, lower-cased as their names must be.

    Known for github.com (ghcr.io, `owner/name`) and gitlab.com (with subgroups). Anywhere else,
    and where the name cannot be an image's, it is None: a guess would be a stranger's namespace.
    """
    match = _hosted(url)
    path = _path(match).lower() if match else ""
    host = _host(match) if match else ""
    if host == "github.com" and path.count("/") == 1:
        name = f"ghcr.io/{path}"
    elif host == "gitlab.com":
        name = f"registry.gitlab.com/{path}"
    else:
        return None
    try:
        return name if Reference.parse(name).repository == name else None
    except UsageError:
        return None


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
    return f"{scheme}://{_host(match)}{port}/{_path(match)}"


def public_address(url: str) -> str | None:
    """Return where a machine elsewhere fetches a URL without a login; None where it cannot.

    Credentials are left out, and SSH becomes HTTPS on the public hosts that serve both. An address
    that would need quotes is none.
    """
    match = _hosted(url)
    if not match or not _PATH.fullmatch(match["path"]) or not _HOST.fullmatch(_host(match)):
        return None
    found = {"scheme": "ssh", "port": "", **match.groupdict()}
    path = match["path"].strip("/")
    if found["scheme"] in ("http", "https"):
        return f"{found['scheme']}://{_host(match)}{found['port'] or ''}/{path}"
    return f"https://{_host(match)}/{path}" if _host(match) in _PUBLIC else None


def _hosted(url: str) -> re.Match[str] | None:
    match = _URL.match(url) or _SCP.match(url)
    return match if match and "/" in _path(match) else None


def _host(match: re.Match[str]) -> str:
    host = match["host"].lower()
    return _ALIASES.get(host, host)


def _path(match: re.Match[str]) -> str:
    return match["path"].strip("/").removesuffix(".git")
