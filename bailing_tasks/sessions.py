"""What noxfiles share: the Python versions to test on, and where to find them.

Importing this needs the standard library alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""The Python versions the library is tested on."""


def add_pyenv_to_path(versions: Iterable[str] = PYTHONS) -> None:
    """Let nox find the Pythons that pyenv has installed but not activated.

    Its shims are taken from PATH: they answer for versions that they then do not start. The
    versions themselves come last, so that any other program of that name is found first.
    """
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [
        str(folder / "bin")
        for version in versions
        for folder in sorted(root.glob(f"{version}.*"))[-1:]
    ]
    shims = str(root.parent / "shims")
    kept = [part for part in os.environ["PATH"].split(os.pathsep) if part != shims]
    os.environ["PATH"] = os.pathsep.join([*kept, *found])
