"""What Debian, Python wheels and QEMU call a platform. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bailing_tasks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The names of one platform.

    Attributes:
        platform: As in `docker --platform`.
        debian: Debian's architecture.
        machine: As in `uname -m` and in the tags of wheels.
        qemu: The emulator's suffix, as in `qemu-aarch64-static`.
    """

    platform: str
    debian: str
    machine: str
    qemu: str


_ARCHITECTURES = tuple(
    Architecture(platform=platform, debian=debian, machine=machine, qemu=qemu)
    for platform, debian, machine, qemu in (
        ("linux/amd64", "amd64", "x86_64", "x86_64"),
        ("linux/arm64", "arm64", "aarch64", "aarch64"),
        ("linux/arm/v7", "armhf", "armv7l", "arm"),
        ("linux/386", "i386", "i686", "i386"),
        ("linux/ppc64le", "ppc64el", "ppc64le", "ppc64le"),
        ("linux/s390x", "s390x", "s390x", "s390x"),
    )
)


_DEFAULT_ARM64 = "/v8"
_RUN_BY = {"i386": "amd64"}
"""Architectures whose programs the processors of another one run as their own."""


def architecture(platform: str) -> Architecture:
    """Return the names of a platform.

    Raises:
        UsageError: No stand-in can be made for it.
    """
    for known in _ARCHITECTURES:
        if platform.removesuffix(_DEFAULT_ARM64) == known.platform:
            return known
    raise UsageError(
        f"no stand-in image can be made for the platform {platform!r}",
        remedy=f"use one of {', '.join(known.platform for known in _ARCHITECTURES)}",
    )


def host_architecture(machine: str) -> Architecture | None:
    """Return the names of the platform of a machine (`uname -m`), None for an unknown one."""
    return next((known for known in _ARCHITECTURES if known.machine == machine), None)


def is_foreign(arch: Architecture, *, host: Architecture) -> bool:
    """Return whether a host has to emulate an architecture."""
    return arch != host and _RUN_BY.get(arch.debian) != host.debian
