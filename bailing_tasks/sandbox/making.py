"""One stand-in to be made: from what, and the key it is found by when it is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox import aptsources, standins, system
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.platforms import Architecture

_FORMAT = 1
"""Counts changes in how root file systems are made; older ones are made again."""
_KEY_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of this machine goes into every stand-in.

    Attributes:
        options: Options of apt.
        certificates: Certificates added to its trust store.
        index: The package index pip is set to, or empty.
    """

    options: tuple[str, ...]
    certificates: tuple[Path, ...]
    index: str

    @property
    def key(self) -> list[object]:
        """What tells two machines apart, for the key of what is made."""
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.certificates]
        return [self.options, digests, self.index]


def machine() -> Machine:
    """Return what this machine puts into its stand-ins."""
    return Machine(
        options=system.apt_options(),
        certificates=system.certificates(),
        index=system.package_index(),
    )


@dataclass(frozen=True, kw_only=True)
class Making:
    """One stand-in to be made for one platform.

    Attributes:
        home: The sandbox.
        port: The registry's port.
        store: The engine that builds it.
        reference: The name it stands in for.
        recipe: How it is made.
        arch: The platform.
        machine: What of this machine goes into it.
    """

    home: Home
    port: int
    store: str
    reference: str
    recipe: standins.Recipe
    arch: Architecture
    machine: Machine

    @property
    def sources(self) -> tuple[aptsources.Source, ...]:
        """Where its packages come from, now and in builds on it."""
        found = aptsources.for_images(system.debian_sources(self.recipe.suite))
        if not found:
            raise EngineError(
                "stand-in images need a Debian mirror that containers can reach",
                cause="the sources of apt on this machine are not http or https",
            )
        return found

    @property
    def rootfs_key(self) -> str:
        """What its root file system is found by."""
        parts = [self.recipe.suite, self.recipe.base_packages, self.links, self.arch.debian]
        sources = [aptsources.one_line(source) for source in self.sources]
        return _key([_FORMAT, *parts, sources, self.machine.key])

    @property
    def key(self) -> str:
        """What the image is found by."""
        return _key([self.rootfs_key, self.dockerfile, standins.APT_CONFIG])

    @property
    def rootfs(self) -> Path:
        """The archive of its root file system."""
        name = f"{self.recipe.suite}-{self.arch.debian}-{self.rootfs_key}.tar"
        return self.home.standins / name

    @property
    def dockerfile(self) -> str:
        """The Dockerfile that makes it."""
        variables = standins.environment(
            self.recipe,
            certificates=bool(self.machine.certificates),
            index=self.machine.index,
        )
        return standins.dockerfile(self.recipe, variables=variables, rootfs=self.rootfs.name)

    @property
    def links(self) -> dict[str, str]:
        """The symbolic links in its root file system."""
        return standins.overlay_links(self.recipe)

    @property
    def tag(self) -> str:
        """The tag of the image of this platform."""
        return f"standin-{self.arch.debian}-{self.key}"


def _key(parts: Sequence[object]) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
