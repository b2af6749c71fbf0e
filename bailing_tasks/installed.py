"""How these tasks are installed here, for the workflows that install them elsewhere."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bailing_tasks import git, process
from bailing_tasks.errors import UsageError
from bailing_tasks.install_command import (
    PROJECT,
    Checkout,
    Install,
    Installation,
    derive,
    installed_commit,
    is_folder,
    local_folder,
)
from bailing_tasks.settings import Settings

KEY = "ci.install"
PACKAGE = Path(__file__).resolve().parent


def install(settings: Settings) -> Install:
    """Return what installs the tasks in CI: the setting, else what installs the same as here.

    Raises:
        SettingsError: It is not set, and another machine could not install the same.
    """
    if settings.ci.install:
        return Install(command=settings.ci.install, origin=settings.origins[KEY])
    return derive(installation())


def installation(package: Path = PACKAGE) -> Installation:
    """Return how the tasks that run were installed.

    An installation that Python's path hides, by a folder of the same package before it, is not
    the one that runs.

    Args:
        package: The folder of the package that runs.
    """
    try:
        found = importlib.metadata.distribution(PROJECT)
    except importlib.metadata.PackageNotFoundError:
        return _run_from(package.parent)
    document = _document(found.read_text("direct_url.json"))
    editable = is_folder(document, editable=True)
    holds = Path(local_folder(document)) if editable else Path(str(found.locate_file("")))
    # A wheel leaves a RECORD; a checkout's own metadata, or a system package, has none.
    if found.read_text("RECORD") is None or not package.is_relative_to(holds.resolve()):
        return _run_from(package.parent)
    return Installation(version=found.version, direct_url=document, checkout=_checkout(document))


def _run_from(folder: Path) -> Installation:
    """Return the same for a folder that is on Python's path."""
    document = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    return Installation(version="", direct_url=document, checkout=_checkout(document))


def _document(text: str | None) -> Mapping[str, Any] | None:
    """Return `direct_url.json`; an empty document where it cannot be read."""
    if text is None:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def _checkout(document: Mapping[str, Any] | None) -> Checkout | None:
    """Return the clone on this machine that a document names; None where there is none."""
    name = local_folder(document)
    folder = Path(name)
    if not name or not folder.is_dir() or process.find("git") is None:
        return None
    try:
        # A virtual environment may be in the folder of another repository.
        if "pyproject.toml" not in git.tracked(folder):
            return None
        commit = installed_commit(document) or git.head(folder)
        return Checkout(
            remote=git.remote_url(folder) or "",
            commit=commit,
            folder=git.folder(folder),
            clean=not git.uncommitted(folder),
            pushed=git.is_pushed(folder, commit),
        )
    except UsageError:
        return None
