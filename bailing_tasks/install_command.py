"""The command that installs these tasks in CI as they are installed here, pinned. Pure.

How they are installed is recorded in `direct_url.json` (PEP 610), which an installer writes for
everything that it does not take from an index by its name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from bailing_tasks.errors import SettingsError
from bailing_tasks.hosting import public_address

PROJECT = "bailing-tasks"

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FOLDER = re.compile(r"[\w./+-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A clone on this machine that the tasks were installed from, or run from.

    Attributes:
        remote: The URL of its remote; empty for none.
        commit: The commit that was installed, else the one that is checked out.
        folder: The project's folder from the repository's root; empty for the root.
        clean: Whether all files are as they are committed.
        pushed: Whether a branch of the remote, as last fetched, has the commit.
    """

    remote: str
    commit: str
    folder: str
    clean: bool
    pushed: bool


@dataclass(frozen=True, kw_only=True)
class Installation:
    """How the tasks were installed.

    Attributes:
        version: Their version.
        direct_url: The document of PEP 610; None where they came from an index.
        checkout: The clone in the folder that it names; None where there is none.
    """

    version: str
    direct_url: Mapping[str, Any] | None = None
    checkout: Checkout | None = None


@dataclass(frozen=True, kw_only=True)
class Install:
    """A command that installs the tasks.

    Attributes:
        command: The command.
        origin: What it was derived from.
        notes: What the user has to do before it works.
    """

    command: str
    origin: str
    notes: tuple[str, ...] = ()


def local_folder(direct_url: Mapping[str, Any] | None) -> str:
    """Return the path on this machine that a document of PEP 610 names; empty for none."""
    url = urlsplit(str((direct_url or {}).get("url", "")))
    return unquote(url.path) if url.scheme == "file" else ""


def is_folder(direct_url: Mapping[str, Any] | None, *, editable: bool) -> bool:
    """Whether a document of PEP 610 is for a folder; with `editable`, for one that is run from."""
    info = (direct_url or {}).get("dir_info")
    return isinstance(info, Mapping) and (not editable or info.get("editable") is True)


def installed_commit(direct_url: Mapping[str, Any] | None) -> str:
    """Return the Git commit that a document of PEP 610 names; empty for none."""
    info = (direct_url or {}).get("vcs_info")
    if not isinstance(info, Mapping) or info.get("vcs") != "git":
        return ""
    commit = str(info.get("commit_id", ""))
    return commit if _COMMIT.fullmatch(commit) else ""


def derive(found: Installation) -> Install:
    """Return the command that installs the same version, or the same commit.

    Raises:
        SettingsError: Another machine could not install the same.
    """
    document = found.direct_url
    if document is None:
        return _install(f"{PROJECT}=={found.version}", "installed version")
    place = local_folder(document)
    if is_folder(document, editable=False):
        if found.checkout is None:
            raise _unknown(f"they are installed from {place}, which is not a Git checkout of them")
        if not found.checkout.clean:
            raise _unknown(f"they are installed from {place}, which has uncommitted changes")
        return _of_checkout(found.checkout, place, "local checkout")
    commit = installed_commit(document)
    if not commit:
        raise _unknown(f"they are installed from {place or 'an archive'}, not from a Git commit")
    if found.checkout is not None:
        return _of_checkout(found.checkout, place, "installed commit")
    address = public_address(str(document.get("url", "")))
    if address is None:
        raise _unknown("they are installed from a Git repository that CI cannot reach")
    folder = str(document.get("subdirectory", ""))
    return _install(_from_git(address, commit, folder), "installed commit")


def _of_checkout(checkout: Checkout, place: str, origin: str) -> Install:
    address = public_address(checkout.remote)
    if address is None:
        raise _unknown(f"they are installed from {place}, which has no public remote")
    commit = checkout.commit[:7]
    note = f"CI installs commit {commit} of {address}, which no branch there had when it was last "
    note += "fetched: push it first"
    requirement = _from_git(address, checkout.commit, checkout.folder)
    return _install(requirement, origin, *(() if checkout.pushed else (note,)))


def _from_git(address: str, commit: str, folder: str) -> str:
    if folder and not _FOLDER.fullmatch(folder):
        raise _unknown(f"they are in the folder {folder!r}, which a requirement cannot name")
    subdirectory = f"#subdirectory={folder}" if folder else ""
    return f"{PROJECT} @ git+{address}@{commit}{subdirectory}"


def _install(requirement: str, origin: str, *notes: str) -> Install:
    command = f"pip install {shlex.quote(requirement)}"
    return Install(command=command, origin=origin, notes=notes)


def _unknown(cause: str) -> SettingsError:
    return SettingsError(
        "how CI is to install these tasks is not known",
        cause=cause,
        remedy="set `install` in [tool.bailing-tasks.ci] to a command that installs them, or "
        "install them here from a Git commit that CI can fetch",
    )
