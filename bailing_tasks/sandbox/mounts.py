"""Folders of ours, removed with what is mounted in them."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError

_MOUNTS = Path("/proc/self/mountinfo")
_REMOVALS = 10
_WAIT_SECONDS = 0.3


def clear(folder: Path) -> None:
    """Remove a folder with everything in it; what is mounted there is unmounted first.

    Raises:
        EngineError: Something is still mounted there, and nothing was removed; or it cannot be
            removed.
    """
    for mount in reversed(mounted_under(folder)):
        process.run(["umount", "--lazy", mount])
    if left := mounted_under(folder):
        raise EngineError(
            f"{folder} was not removed: {left[0]} is still mounted", remedy=f"umount {left[0]}"
        )
    for _ in range(_REMOVALS):  # a program that was just ended may still write there
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_WAIT_SECONDS)
    raise EngineError(f"{folder} could not be removed", remedy=f"rm -rf {folder}")


def mounted_under(folder: Path) -> list[str]:
    """Return the mount points in a folder, in the order they were mounted."""
    lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    return [point for point in map(mount_point, lines) if Path(point).is_relative_to(folder)]


def mount_point(line: str) -> str:
    """Return the mount point in a line of mountinfo, in which spaces are written as octal."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
