"""A workspace's `.env`: brought up to date with its `.env.example`, and read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import env_file
from bailing_tasks.errors import UsageError
from bailing_tasks.state import write_in_one_step


@dataclass(frozen=True, kw_only=True)
class DotEnv:
    """A `.env` as it is to be.

    Attributes:
        text: What it is to hold.
        status: `new`, `changed` or `unchanged`, compared with what is there; `absent` where there
            is neither a file nor an example.
        added: The names that it gets from the example.
        removed: The names that the example does not have; they stay.
    """

    text: str
    status: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def planned(root: Path) -> DotEnv:
    """Return what a workspace's `.env` is to be; nothing is written.

    Without an example it stays as it is; without a file it becomes the example.

    Raises:
        UsageError: One of the two cannot be read, or a line is malformed.
    """
    text, example = _text(root / env_file.NAME), _text(root / env_file.EXAMPLE)
    if example is None:
        return DotEnv(text=text or "", status="absent" if text is None else "unchanged")
    if text is None:
        names = dict.fromkeys(e.name for e in env_file.entries(example, path=env_file.EXAMPLE))
        return DotEnv(text=example, status="new", added=tuple(names))
    followed = env_file.follow(text, example)
    return DotEnv(
        text=followed.text,
        status="changed" if followed.added else "unchanged",
        added=followed.added,
        removed=followed.removed,
    )


def write(root: Path, file: DotEnv) -> None:
    """Write a workspace's `.env` in one step, unless it stands there already.

    Its permissions stay; a new one is its owner's alone, as it holds secrets. Where it is a link,
    what that leads to is written.

    Raises:
        UsageError: It cannot be written.
    """
    if file.status in ("unchanged", "absent"):
        return
    path = root / env_file.NAME
    try:
        place = path.resolve()
        mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o600
        write_in_one_step(place, os.fsencode(file.text), mode=mode)
    except OSError as error:
        raise UsageError(f"{path} cannot be written", cause=str(error)) from error


def variables(file: DotEnv, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment, and beneath it what `.env` defines.

    Raises:
        UsageError: `.env` names a variable that is not defined.
    """
    return {**env_file.read(file.text, environment), **environment}


def _text(path: Path) -> str | None:
    try:
        return os.fsdecode(path.read_bytes())  # as the environment is: any bytes survive
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read", cause=str(error)) from error
