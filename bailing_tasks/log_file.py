"""The log of a build in the state, written as it comes: logs may be larger than memory."""

from __future__ import annotations

from bailing_tasks.state import State, unwritable

HELD = 64 << 10
"""Characters that are not written yet, at most: those of many builds are held at once."""


class LogFile:
    """One log; it takes the place of an older one when its first lines are written.

    Args:
        state: The workspace's state.
        name: Its path there.
    """

    def __init__(self, state: State, name: str) -> None:
        self.path = state.folder / name
        self._lines: list[str] = []
        self._size = 0
        self._mode = "w"

    def add(self, line: str) -> None:
        """Add a line.

        Raises:
            UsageError: The folder cannot be written to.
        """
        self._lines.append(f"{line}\n")
        self._size += len(line)
        if self._size > HELD:
            self.flush()

    def flush(self) -> None:
        """Write what is held; UsageError where that fails."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(self._mode, encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(self._lines)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._lines, self._size, self._mode = [], 0, "a"

    def text(self) -> str:
        """Return all of it."""
        self.flush()
        return self.path.read_text(encoding="utf-8", errors="surrogateescape")
