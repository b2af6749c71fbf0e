"""Debian packages: some installed on the system, most only unpacked into the sandbox's folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox import render, system
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.model import Report
from bailing_tasks.sandbox.platforms import Architecture

ENGINE_SUITE = "trixie"
"""The suite whose engine is recent enough and still runs on the Debian before it."""

UNPACKED = (
    ("docker.io", ENGINE_SUITE),
    ("docker-cli", ENGINE_SUITE),
    ("docker-buildx", ENGINE_SUITE),
    ("containerd", ENGINE_SUITE),
    ("runc", ""),
    ("tini", ""),
    ("docker-registry", ""),
)
"""Packages and their suites; an empty one is the machine's own."""

_NETWORK_PROGRAMS = {"ip": "iproute2", "iptables": "iptables"}
_BOOTSTRAP_PROGRAMS = {"mmdebstrap": "mmdebstrap"}
_EMULATION_PROGRAMS = {"update-binfmts": "binfmt-support", "arch-test": "arch-test"}
_KEEP_SYSTEM = ("--no-install-recommends", "--no-remove")
_ATTEMPTS = 3
_WAIT_SECONDS = 3.0


def missing(home: Home, *, bootstrap: bool, foreign: Sequence[Architecture]) -> tuple[str, ...]:
    """Return the packages that have to be installed on the system.

    Args:
        home: The sandbox.
        bootstrap: Whether root file systems are to be made.
        foreign: The architectures to emulate.
    """
    programs = dict(_NETWORK_PROGRAMS)
    if bootstrap:
        programs |= _BOOTSTRAP_PROGRAMS
    if foreign:
        programs |= _EMULATION_PROGRAMS
        programs |= {f"qemu-{arch.qemu}-static": "qemu-user-static" for arch in foreign}
    found = [
        package for name, package in programs.items() if process.find(name, path=home.path) is None
    ]
    return tuple(dict.fromkeys(found))


def install_command(home: Home, packages: Sequence[str]) -> list[str]:
    """Return the command that installs packages on the system."""
    config = str(home.apt / "system" / "apt.conf")
    return ["apt-get", "-c", config, "install", "-y", *_KEEP_SYSTEM, *packages]


def install(home: Home, packages: Sequence[str], report: Report) -> None:
    """Install packages on the system, from its own Debian sources; others are not asked.

    Raises:
        EngineError: apt failed.
    """
    if not packages:
        return
    report(f"installing Debian packages: {' '.join(packages)}")
    folder = home.apt / "system"
    _prepare(folder, [None], system_wide=True)
    _apt(["apt-get", "-c", str(folder / "apt.conf"), "update"], folder)
    _apt(install_command(home, packages), folder)
    for name in ("lists", "cache"):
        shutil.rmtree(folder / name)


def unpack(
    home: Home,
    report: Report,
    packages: Sequence[tuple[str, str]] = UNPACKED,
    folder: Path | None = None,
) -> None:
    """Download and unpack packages, unless they are there.

    Args:
        home: The sandbox.
        report: Takes a line of progress.
        packages: Names and suites; by default the engine, its client and the registry.
        folder: Where to; by default the sandbox's tools.

    Raises:
        EngineError: apt or dpkg failed.
    """
    place = folder or home.tools
    if place.is_dir():
        return
    own = system.codename()
    wanted = [f"{name}/{suite or own}" for name, suite in packages]
    report(f"unpacking {', '.join(name for name, _ in packages)} into {place}")
    state = home.apt / "tools"
    _prepare(state, list(dict.fromkeys(suite or None for _, suite in packages)), system_wide=False)
    config = str(state / "apt.conf")
    _apt(["apt-get", "-c", config, "update"], state)
    downloads = home.temporary / "packages"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    _apt(["apt-get", "-c", config, "download", *wanted], downloads)
    part = home.temporary / place.name
    for archive in sorted(downloads.glob("*.deb")):
        done = process.run(["dpkg", "-x", str(archive), str(part)])
        if not done.ok:
            raise EngineError(f"{archive.name} could not be unpacked", cause=done.stderr.strip())
    part.replace(place)
    shutil.rmtree(downloads)
    shutil.rmtree(state)


def _prepare(folder: Path, suites: Sequence[str | None], *, system_wide: bool) -> None:
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sources = [source for suite in suites for source in system.debian_sources(suite)]
    homes.write(folder / "sources.list", render.apt_sources(dict.fromkeys(sources)))
    homes.write(folder / "apt.conf", render.apt_config(str(folder), system=system_wide))


def _apt(argv: Sequence[str], cwd: Path) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    for attempt in range(1, _ATTEMPTS + 1):
        done = process.run(argv, env=environment, cwd=cwd)
        if done.ok:
            return
        if attempt < _ATTEMPTS:
            time.sleep(_WAIT_SECONDS * attempt)
    lines = (done.stderr or done.stdout).strip().splitlines()
    raise EngineError(
        "Debian packages for the sandbox could not be had",
        cause="; ".join(lines[-4:]),
        remedy=f"see what stops it with: {process.quote(argv)}",
    )
