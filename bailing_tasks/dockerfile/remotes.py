"""Sources of COPY and ADD that are no paths: files from the web, and Git repositories.

The rules are those of ``dfgitutil`` and ``dispatchCopy`` in BuildKit.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bailing_tasks.dockerfile.dialect import Unknown
from bailing_tasks.dockerfile.text import Refused, from_raw
from bailing_tasks.dockerfile.values import check_bool, check_digest, is_true

_PROTOCOL = re.compile(r"([a-zA-Z0-9]+)://")
_SCP_STYLE = re.compile(
    r"[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:[^?#]*(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?"
)
_KEYS = frozenset({"ref", "tag", "branch", "subdir", "checksum", "commit", "mtime"})
_SWITCHES = frozenset({"keep-git-dir", "submodules", "fetch-by-commit"})
_QUERY_REMEDY = f"use {', '.join(sorted(_KEYS | _SWITCHES))}, each once"
_MTIMES = ("checkout", "commit")
_NO_PAIR = re.compile(r";|%(?![0-9a-fA-F]{2})")


class Remote(NamedTuple):
    """A source that is not a path.

    Attributes:
        is_git: Whether it is a Git repository, and no file from the web.
        checksum: What its address says that it holds; empty for nothing.
        keep_git_dir: ``true`` or ``false`` where its address says so.
    """

    is_git: bool
    checksum: str = ""
    keep_git_dir: str = ""


def remotes(
    sources: Iterable[str], *, is_add: bool, checksum: str, keep_git_dir: str, unknown: Unknown
) -> list[Remote | None]:
    """The sources of a COPY or an ADD, None for a path.

    Args:
        sources: Its sources, variables expanded.
        is_add: Whether it is an ADD.
        checksum: The value of ``--checksum``.
        keep_git_dir: That of ``--keep-git-dir``; empty where it has none.
        unknown: Called for an unknown query of a Git repository.

    Raises:
        Refused: An address is malformed, or does not go with the flags.
    """
    found = [_remote(source, unknown) for source in sources]
    if checksum:
        if len(found) != 1:
            raise Refused("--checksum stands with several sources", "add each by itself")
        if found[0] is None:
            raise Refused("--checksum stands with a local source", "remove it")
        if not found[0].is_git:
            check_digest(checksum)
    if not is_add and any(found):
        raise Refused("COPY takes no URL and no Git repository", "use ADD")
    for remote in filter(None, found):
        if checksum and remote.checksum not in ("", checksum):
            raise Refused("--checksum and the Git address differ", "leave one of them")
        if keep_git_dir and remote.keep_git_dir not in ("", keep_git_dir):
            raise Refused("keep-git-dir is both true and false", "leave one of them")
        keep_git_dir = remote.keep_git_dir or keep_git_dir
    return found


def _remote(source: str, unknown: Unknown) -> Remote | None:
    address = _git_address(source)
    if address is None:
        is_http = source.startswith(("http://", "https://"))
        return Remote(is_git=False) if is_http else None
    values = _query_values(address[0], unknown)
    _check_ref(address[1], values)
    keep = values.get("keep-git-dir")
    return Remote(
        is_git=True,
        checksum=values.get("commit", values.get("checksum", "")),
        keep_git_dir="" if keep is None else "true" if not keep or is_true(keep) else "false",
    )


def _git_address(source: str) -> tuple[str, str] | None:
    """The query and the fragment of a Git repository's address; None for anything else."""
    match = _PROTOCOL.match(source)
    if match is None:
        scp = _SCP_STYLE.fullmatch(source)
        if scp is None or any(map(_NO_PAIR.search, (scp["query"] or "").split("&"))):
            return None
        return scp["query"] or "", scp["fragment"] or ""
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
    return url.query, unquote(url.fragment)


def _query_values(query: str, unknown: Unknown) -> Mapping[str, str]:
    """The values of a query; as in Go, a pair that is malformed does not count."""
    if not query:
        return {}
    from urllib.parse import parse_qsl

    pairs = "&".join(pair for pair in query.split("&") if not _NO_PAIR.search(pair))
    values: dict[str, str] = {}
    for key, value in parse_qsl(pairs, keep_blank_values=True):
        if key in values:
            raise Refused(f"a Git address names {key!r} twice", _QUERY_REMEDY)
        if key not in _KEYS and key not in _SWITCHES:
            unknown(Refused(f"a Git address has no query {key!r}", _QUERY_REMEDY))
        elif not value and key in _KEYS:
            raise Refused(f"{key} of a Git address has no value", _QUERY_REMEDY)
        elif value and key in _SWITCHES:
            check_bool(f"{key} of a Git address", value)
        elif key == "mtime" and value not in _MTIMES:
            raise Refused(f"mtime of a Git address is {value!r}", f"use {' or '.join(_MTIMES)}")
        values[key] = value
    return values


def _check_ref(fragment: str, values: Mapping[str, str]) -> None:
    """Refuse an address that names different things to check out."""
    if "tag" in values and "branch" in values:
        raise Refused("a Git address names a tag and a branch", "leave one of them")
    ref, _, folder = fragment.partition(":")
    folder = posixpath.normpath("/" + folder).lstrip("/")
    refs = [ref, values.get("ref", ""), _full("tags", values), _full("heads", values)]
    folders = [folder, values.get("subdir", "")]
    for named in (refs, folders):
        if len({each for each in named if each}) > 1:
            raise Refused("a Git address contradicts itself", f"leave one of {', '.join(named)}")


def _full(kind: str, values: Mapping[str, str]) -> str:
    """The full name of the tag or branch in a query; empty for none."""
    name = values.get("tag" if kind == "tags" else "branch", "")
    prefix = f"refs/{kind}/"
    return name if not name or name.startswith(prefix) else prefix + name
