"""What stand-in images are made from: root file systems of Debian, and uv from PyPI."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox import aptsources
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.making import Making
from bailing_tasks.sandbox.model import Report
from bailing_tasks.sandbox.platforms import Architecture

_PYTHONS = (sys.executable, "/usr/bin/python3")
_WHEEL_SYSTEMS = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_31")
_PIP_RETRIES = 5
_EXECUTABLE = 0o755
_READABLE = 0o644
_EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/lib/python3*/EXTERNALLY-MANAGED",
)
"""Not unpacked into images; without the last, pip and uv refuse to install beside Debian's."""
_INCLUDED = ("/usr/share/doc/*/copyright",)


def open_to_all(overlay: Path) -> None:
    """Let everybody read what goes into an image, whatever the umask: modes go along."""
    for path in (overlay, *overlay.rglob("*")):
        if path.is_symlink():
            continue
        runs = path.is_dir() or os.access(path, os.X_OK)
        path.chmod(_EXECUTABLE if runs else _READABLE)


def bootstrap_command(making: Making, *, target: Path, overlay: Path) -> list[str]:
    """Return the command that makes a root file system.

    Args:
        making: What it is for.
        target: The archive it writes.
        overlay: A folder whose content is copied over it; certificates are in it.
    """
    dpkg = [f"path-exclude={pattern}" for pattern in _EXCLUDED]
    dpkg += [f"path-include={pattern}" for pattern in _INCLUDED]
    sources = [aptsources.one_line(source) for source in making.sources]
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={making.arch.debian}",
        f"--include={','.join(making.recipe.base_packages)}",
        *(f"--aptopt={option}" for option in making.machine.options),
        *(f"--dpkgopt={option}" for option in dpkg),
        f"--essential-hook=sync-in {overlay} /",
        "--skip=output/dev",
        making.recipe.suite,
        str(target),
        *sources,
    ]


def bootstrap(making: Making, report: Report) -> None:
    """Make the root file system unless it is there."""
    target = making.rootfs
    if target.is_file():
        return
    report(f"making a root file system of Debian {making.recipe.suite} for {making.arch.platform}")
    temporary = making.home.temporary / "bootstrap"
    shutil.rmtree(temporary, ignore_errors=True)
    overlay = temporary / "overlay"
    certificates = overlay / "usr/local/share/ca-certificates"
    certificates.mkdir(parents=True)
    for certificate in making.machine.certificates:
        shutil.copyfile(certificate, certificates / certificate.name)
    for path, pointed in making.links.items():
        (overlay / path).parent.mkdir(parents=True, exist_ok=True)
        (overlay / path).symlink_to(pointed)
    open_to_all(overlay)
    part = temporary / target.name
    argv = bootstrap_command(making, target=part, overlay=overlay)
    done = process.run(argv, env={"PATH": making.home.path, "TMPDIR": str(temporary)})
    if not done.ok:
        lines = done.stderr.strip().splitlines()
        raise EngineError(
            f"no root file system of Debian {making.recipe.suite} for {making.arch.platform}",
            cause="\n    ".join(lines[-8:]),
            remedy=f"see what stops it with: {process.quote(argv)}",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    shutil.rmtree(temporary, ignore_errors=True)


def uv(home: Home, arch: Architecture, report: Report) -> tuple[Path, Path]:
    """Return uv and uvx for an architecture, out of the wheel on PyPI."""
    folder = home.standins / f"uv-{arch.debian}"
    programs = (folder / "uv", folder / "uvx")
    if folder.is_dir():
        return programs
    report(f"getting uv for {arch.platform}")
    part = home.temporary / f"uv-{arch.debian}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    options = ["--no-deps", "--only-binary=:all:", "--retries", str(_PIP_RETRIES)]
    options += [f"--platform={name}_{arch.machine}" for name in _WHEEL_SYSTEMS]
    python = _python_with_pip()
    argv = [python, "-m", "pip", "download", "--quiet", *options, "--dest", str(part), "uv"]
    done = process.run(argv)
    if not done.ok:
        raise EngineError(
            f"uv for {arch.platform} could not be had",
            cause=done.stderr.strip(),
            remedy=f"see what stops it with: {process.quote(argv)}",
        )
    wheel = next(part.glob("uv-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = Path(member).name
            if name in ("uv", "uvx") and "/scripts/" in member:
                (part / name).write_bytes(archive.read(member))
                (part / name).chmod(_EXECUTABLE)
    wheel.unlink()
    part.replace(folder)
    return programs


def _python_with_pip() -> str:
    for python in _PYTHONS:
        if Path(python).exists() and process.run([python, "-m", "pip", "--version"]).ok:
            return python
    raise EngineError(
        "uv for the stand-in images comes from PyPI, and there is no pip to get it with",
        remedy="apt-get install python3-pip, or run from an environment that has pip",
    )
