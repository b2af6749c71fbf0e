"""Reads the settings of a workspace, with what Git and its templates say."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bailing_tasks import git, hosting, rendering, templates
from bailing_tasks.configuration import load
from bailing_tasks.settings import Settings


def settings(
    root: Path,
    *,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any],
    describe: Callable[[], str],
    overwrite: bool,
) -> Settings:
    """Return the settings of a workspace.

    Args:
        root: Its folder.
        environment: Environment variables.
        overrides: What the command line gave, by key.
        describe: Returns the version of what is checked out; asked where it is needed.
        overwrite: Whether templates are rendered over files that were edited by hand.

    Raises:
        SettingsError: A key is unknown, a value has the wrong type, or the file is no TOML.
        UsageError: `.env` cannot be read.
    """
    remote = git.remote_url(root) or ""
    found = load(
        root,
        environment=environment,
        overrides=overrides,
        remote_path=hosting.repository_path(remote),
        remote_name=hosting.repository_name(remote),
        source=hosting.web_address(remote) or "",
        describe=describe,
        rendered=functools.partial(templates.find, root),
    )
    dockerfiles = {target.dockerfile for target in found.targets}
    rendered = rendering.in_memory(
        root, found.templates, environment, dockerfiles, overwrite=overwrite
    )
    return replace(found, rendered=rendered)
