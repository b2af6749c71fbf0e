"""Emulation of foreign architectures: QEMU registered with the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.model import Report
from bailing_tasks.sandbox.platforms import Architecture

_BINFMT = Path("/proc/sys/fs/binfmt_misc")


def ensure(home: Home, foreign: Sequence[Architecture], report: Report) -> None:
    """Let the kernel run programs of foreign architectures, in containers too.

    Raises:
        EngineError: The kernel or the emulator does not have it.
    """
    for arch in foreign:
        if is_registered(arch):
            continue
        report(f"registering the emulator for {arch.platform}")
        if not (_BINFMT / "status").exists():
            _must(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], home, arch)
        _must(["update-binfmts", "--enable", f"qemu-{arch.qemu}"], home, arch)
        if not is_registered(arch):
            raise EngineError(
                f"{arch.platform} cannot be emulated on this machine",
                cause="the kernel did not take the emulator",
                remedy="use only this machine's own platform",
            )


def is_registered(arch: Architecture) -> bool:
    """Return whether the kernel runs programs of an architecture, with the emulator kept open."""
    try:
        entry = (_BINFMT / f"qemu-{arch.qemu}").read_text(encoding="ascii")
    except OSError:
        return False
    flags = next((line for line in entry.splitlines() if line.startswith("flags:")), "")
    return entry.startswith("enabled") and "F" in flags.partition(":")[2]


def _must(argv: Sequence[str], home: Home, arch: Architecture) -> None:
    done = process.run(argv, env={"PATH": home.path})
    if not done.ok:
        raise EngineError(
            f"{arch.platform} cannot be emulated on this machine",
            cause=done.stderr.strip() or f"{process.quote(argv)} exited with {done.returncode}",
            remedy="use only this machine's own platform, or a kernel with binfmt_misc",
        )
