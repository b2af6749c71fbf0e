"""A private engine, registry and stand-in base images, started by this project itself.

For a Debian machine that has no Docker engine or no way to an image registry, and for the
project's own tests. It needs root and the machine's Debian mirror; a system Docker is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bailing_tasks.sandbox.model import (
    STORES,
    DownResult,
    EngineStatus,
    RegistryStatus,
    Report,
    SandboxStatus,
    StandinImage,
    silent,
)

__all__ = [
    "STORES",
    "DownResult",
    "EngineStatus",
    "RegistryStatus",
    "SandboxStatus",
    "StandinImage",
    "buildx",
    "down",
    "environment",
    "planned",
    "status",
    "unavailable",
    "up",
]


def up(
    *,
    references: Iterable[str],
    platforms: Iterable[str],
    store: str = STORES[0],
    report: Report = silent,
) -> SandboxStatus:
    """Start registry and engine unless they run, and make the stand-ins that are not there.

    Args:
        references: Canonical names of the images to stand in for; may be empty.
        platforms: The platforms to make them for.
        store: Image store of the engine, one of `STORES`.
        report: Takes a line of progress.

    Raises:
        UsageError: There is no stand-in for a reference or a platform, or no such store.
        EngineError: The machine does not allow it.
        RegistryError: The registry failed.
    """
    from bailing_tasks.sandbox import lifecycle

    return lifecycle.up(references=references, platforms=platforms, store=store, report=report)


def down(*, purge: bool = False, report: Report = silent) -> DownResult:
    """Stop engines and registry, and take away bridges and rules; state and images stay.

    Args:
        purge: Remove them too.
        report: Takes a line of progress.

    Raises:
        EngineError: Something cannot be stopped or removed, or is not the sandbox's.
    """
    from bailing_tasks.sandbox import lifecycle

    return lifecycle.down(purge=purge, report=report)


def status() -> SandboxStatus:
    """Return what the sandbox is and does; nothing is changed."""
    from bailing_tasks.sandbox import lifecycle

    return lifecycle.status()


def environment(status: SandboxStatus, store: str = STORES[0]) -> dict[str, str]:
    """Return the environment variables with which a process uses the sandbox.

    Args:
        status: From `up` or `status`.
        store: Which engine.
    """
    from bailing_tasks.sandbox import lifecycle

    return lifecycle.environment(status, store)


def buildx() -> Path | None:
    """Return the buildx that the sandbox has unpacked; None where it has none yet."""
    from bailing_tasks.sandbox import home

    path = home.locate().plugins / "docker-buildx"
    return path if path.is_file() else None


def unavailable() -> str | None:
    """Return why no sandbox can be had on this machine; None where it can."""
    from bailing_tasks.sandbox import system

    return system.unavailable()


def planned(
    references: Iterable[str], platforms: Iterable[str], store: str = STORES[0]
) -> list[str]:
    """Return what `up` would do, a line for each step; empty where there is nothing to do.

    Raises:
        UsageError: As `up` would.
    """
    from bailing_tasks.sandbox import lifecycle

    return lifecycle.planned(references=references, platforms=platforms, store=store)
