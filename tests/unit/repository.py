"""A real Git repository for a test, apart from the settings of whoever runs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bailing_tasks import process

WHEN = 1_700_000_000
"""When its commits were made."""


class Repository:
    """A Git repository.

    Args:
        root: Its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def new(cls, root: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
        """Make one with a branch `main` and no commit."""
        for name in os.environ:
            if name.startswith(("GIT_", "GITHUB_", "BAILING_TASKS_")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", "someone")
            monkeypatch.setenv(f"GIT_{role}_EMAIL", "someone@mail.example")
            monkeypatch.setenv(f"GIT_{role}_DATE", f"{WHEN} +0200")
        root.mkdir(parents=True)
        made = cls(root)
        made.git("init", "-q", "-b", "main")
        return made

    def git(self, *argv: str) -> str:
        """Run Git, which has to succeed; return what it printed."""
        result = process.run(["git", "-C", str(self.root), *argv])
        assert result.ok, result.stderr
        return result.stdout.strip()

    def write(self, *paths: str) -> None:
        """Write files, each with something new."""
        for path in paths:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            old = file.read_text() if file.exists() else ""
            file.write_text(f"{old}{path} {len(old)}\n" * 3)

    def commit(self, *paths: str) -> str:
        """Commit changes of files, or nothing; return the commit."""
        self.write(*paths)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", " ".join(paths) or "nothing")
        return self.git("rev-parse", "HEAD")

    def clone(self, root: Path, *options: str) -> Repository:
        """Return a clone of it."""
        self.git("clone", "-q", *options, self.root.as_uri(), str(root))
        return Repository(root)

    def without_git(self) -> Path:
        """Return its folder, where only the files are left."""
        shutil.rmtree(self.root / ".git")
        return self.root
