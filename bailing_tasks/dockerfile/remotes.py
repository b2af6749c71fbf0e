"""Sources of COPY and ADD that are no paths: files from the web, and Git repositories.

The rules are those of ``dfgitutil`` and ``dispatchCopy`` in BuildKit.
"""

from __future__ import annotations

import re

from bailing_tasks.dockerfile.text import Refused, from_raw
from bailing_tasks.dockerfile.values import check_bool, check_digest

_PROTOCOL = re.compile(r"([a-zA-Z0-9]+)://")
_SCP_STYLE = re.compile(r"[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:[^?#]*(?:\?(?P<query>[^#]*))?(?:#.*)?")
_QUERY_KEYS = frozenset({"ref", "tag", "branch", "subdir", "checksum", "commit"})
_SWITCHES = frozenset({"keep-git-dir", "submodules"})


def remote_kind(source: str) -> str:
    """``git`` or ``http`` for a source that is no path; empty for a path.

    Raises:
        Refused: It is a Git repository with a malformed query.
    """
    query = _git_query(source)
    if query is not None:
        _check_query(query)
        return "git"
    return "http" if source.startswith(("http://", "https://")) else ""


def check_remotes(sources: list[str], *, is_add: bool, checksum: str) -> None:
    """What COPY and ADD refuse of sources and of ``--checksum``."""
    kinds = [remote_kind(source) for source in sources]
    if checksum:
        if len(sources) != 1:
            raise Refused("--checksum stands with several sources", "add each by itself")
        if not kinds[0]:
            raise Refused("--checksum stands with a local source", "remove it")
        if kinds[0] == "http":
            check_digest(checksum)
    if not is_add and any(kinds):
        raise Refused("COPY takes no URL and no Git repository", "use ADD")


def _git_query(source: str) -> str | None:
    """The query of a Git repository's address; None for anything else."""
    match = _PROTOCOL.match(source)
    if match is None:
        scp = _SCP_STYLE.fullmatch(source)
        return (scp["query"] or "") if scp else None
    protocol = match[1].lower()
    if protocol not in ("http", "https", "ssh", "git"):
        return None
    from urllib.parse import unquote, urlsplit  # most files name no address

    try:
        url = urlsplit(from_raw(source))
        _ = url.port
    except ValueError:
        return None
    if protocol in ("http", "https") and not unquote(url.path).endswith(".git"):
        return None
    return url.query


def _check_query(query: str) -> None:
    if not query:
        return
    from urllib.parse import parse_qsl

    values: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        remedy = "use ref, tag, branch, subdir, checksum, keep-git-dir or submodules, each once"
        if key in values:
            raise Refused(f"a Git address names {key!r} twice", remedy)
        if key not in _QUERY_KEYS and key not in _SWITCHES:
            raise Refused(f"a Git address has no query {key!r}", remedy)
        if not value and key in _QUERY_KEYS:
            raise Refused(f"{key} of a Git address has no value", remedy)
        if value and key in _SWITCHES:
            check_bool(f"{key} of a Git address", value)
        values[key] = value
    if "tag" in values and "branch" in values:
        raise Refused("a Git address names a tag and a branch", "leave one of them")
