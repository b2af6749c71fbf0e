"""What outlives a run, in `.bailing-tasks/` of the workspace.

A file is written beside its place and renamed, so a run that dies leaves the old one whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from bailing_tasks.errors import UsageError
from bailing_tasks.references import Reference

FOLDER = ".bailing-tasks"
ID = "workspace"
"""The file whose random content makes the workspace's id."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A reference and a platform, bound to a digest and to the repository that served it.

    Attributes:
        reference: The reference in canonical form.
        platform: The platform, such as `linux/amd64`.
        digest: The digest of that platform's manifest.
        index_digest: The digest of the index it stands in; the same where there is no index.
        served_from: The repository that has it, which may be a mirror's; empty where that is not
            known yet.
        resolved_at: When the registry was asked, in UTC by ISO 8601; empty if it was not.
        config_digest: The digest of the image's configuration, which is its id on the classic
            store; empty where that is not known.
        repacked: The digest of another manifest of the same configuration, under which a bundle
            holds the image; empty where there is none.
    """

    reference: str
    platform: str
    digest: str
    index_digest: str
    served_from: str
    resolved_at: str
    config_digest: str = ""
    repacked: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What it pins."""
        return (self.reference, self.platform)

    @property
    def image(self) -> str:
        """The name an engine finds it by: a digest is known only under who served it."""
        repository = self.served_from or Reference.parse(self.reference).repository
        return f"{repository}@{self.digest}"


class State:
    """The state folder of a workspace, made on the first write; several threads may use it.

    Args:
        root: The workspace's folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER
        self._pins = threading.Lock()
        self._token = secrets.token_hex(16)

    @property
    def workspace(self) -> str:
        """The workspace's id: 12 hex digits for names in engines that no other one shares.

        The path is part of it: a copy of the folder, with its state, is another workspace.
        """
        with contextlib.suppress(OSError):
            self._token = (self.folder / ID).read_text(encoding="utf-8").strip()
        text = f"{self._token} {self.folder.resolve()}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]

    def pins(self) -> dict[tuple[str, str], Pin]:
        """Return the pins of earlier runs by what they pin.

        Raises:
            UsageError: The file is not what this project wrote.
        """
        path = self.folder / "pins.json"
        try:
            found = [Pin(**item) for item in json.loads(path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"{path} cannot be read",
                cause=str(error),
                remedy=f"remove {path}; the next prefetch writes it anew",
            ) from error
        return {pin.key: pin for pin in found}

    def keep_pin(self, *new: Pin) -> None:
        """Add pins, or put them in the place of older ones."""
        with self._pins:
            pins = self.pins() | {pin.key: pin for pin in new}
            ordered = [asdict(pins[key]) for key in sorted(pins)]
            self.write("pins.json", json.dumps(ordered, indent=2) + "\n")

    def write(self, name: str, text: str | bytes, *, durable: bool = True) -> Path:
        """Write a file of the state in one step and return its path.

        Args:
            name: Its path there.
            text: What is in it.
            durable: Whether it is on the disk when this returns. What can be made again need not
                be: a machine that loses its power may leave it damaged.

        Raises:
            UsageError: The folder cannot be written to.
        """
        path = self._make() / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = text.encode() if isinstance(text, str) else text
            write_in_one_step(path, content, durable=durable)
        except OSError as error:
            raise unwritable(path, error) from error
        return path

    def append(self, name: str, line: str, *, durable: bool = True) -> None:
        """Append a line to a file of the state.

        Args:
            name: Its path there.
            line: The line, without its end.
            durable: As for `write`.

        Raises:
            UsageError: The folder cannot be written to.
        """
        path = self._make() / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                # What a crash has cut off is no part of this line.
                file.write(b"\n" * _is_cut_off(path) + line.encode() + b"\n")
                file.flush()
                if durable:
                    os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(path, error) from error

    @contextlib.contextmanager
    def locked(self, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the workspace for this run; wait for another run that holds it.

        Args:
            on_wait: Called once with the pid of the run that is waited for.
        """
        path = self._make() / "lock"
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from error
        with file:
            hold(file, on_wait)
            # Who holds it is for people to read; the lock itself needs no space on the disk.
            with contextlib.suppress(OSError):
                file.seek(0)
                file.truncate()
                file.write(f"{os.getpid()}\n")
                file.flush()
            yield

    def _make(self) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                write_in_one_step(ignore, b"*\n")
            if not (self.folder / ID).exists():
                write_in_one_step(self.folder / ID, f"{self._token}\n".encode())
        except OSError as error:
            raise unwritable(self.folder, error) from error
        return self.folder


def _is_cut_off(path: Path) -> bool:
    """Whether the last line of a file has no end."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def hold(file: TextIO, on_wait: Callable[[str], None]) -> None:
    """Lock an open file until it is closed; wait where another process holds it.

    Args:
        file: The file, open for reading and appending.
        on_wait: Called once, with what the file holds, before the wait.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        on_wait(file.read().strip())
        fcntl.flock(file, fcntl.LOCK_EX)


def write_in_one_step(
    path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True
) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    Unless it need not be durable, its content is on the disk before it has its name.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def unwritable(path: Path, error: OSError) -> UsageError:
    """Return the error for a file of the state that cannot be written."""
    return UsageError(
        f"{path} cannot be written",
        cause=str(error),
        remedy="free disk space, or make the folder writable",
    )


def to_json(value: Any) -> str:
    """Return one JSON document, readable by people too."""
    return json.dumps(value, indent=2, ensure_ascii=False)
