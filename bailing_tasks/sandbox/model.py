"""What the sandbox is, as data: frozen, and plain enough to be written as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Report = Callable[[str], None]
"""Takes one line of progress for a person."""

STORES = ("containerd", "classic")
"""The image stores an engine can be had with; the first is the default."""


def silent(line: str) -> None:
    """Take a line of progress and drop it."""


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """One private engine.

    Attributes:
        store: Its image store, one of `STORES`.
        socket: Path of its Unix socket.
        pid: Its process, None where none runs.
        running: Whether the process is there and answers on the socket.
        bridge: Name of its network bridge.
    """

    store: str
    socket: str
    pid: int | None
    running: bool
    bridge: str


@dataclass(frozen=True, kw_only=True)
class RegistryStatus:
    """The private registry.

    Attributes:
        address: `host:port`, empty until the first start has chosen a port.
        pid: Its process, None where none runs.
        running: Whether the process is there and answers.
        access_log: Path of the file with a line for every request.
    """

    address: str
    pid: int | None
    running: bool
    access_log: str


@dataclass(frozen=True, kw_only=True)
class StandinImage:
    """One stand-in image in the registry.

    Attributes:
        reference: The name it stands in for, in canonical form.
        platforms: The platforms it was made for.
        digest: Digest of its index.
    """

    reference: str
    platforms: tuple[str, ...]
    digest: str


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """The whole sandbox.

    Attributes:
        home: Its folder.
        engines: Every engine that was ever started here, running or not.
        registry: The registry.
        images: The stand-in images that were pushed to it.
    """

    home: str
    engines: tuple[EngineStatus, ...]
    registry: RegistryStatus
    images: tuple[StandinImage, ...]


@dataclass(frozen=True, kw_only=True)
class DownResult:
    """What `down` did.

    Attributes:
        stopped: The daemons that were ended, for people.
        removed: Bridges, rules and folders that were taken away, for people.
    """

    stopped: tuple[str, ...]
    removed: tuple[str, ...]
