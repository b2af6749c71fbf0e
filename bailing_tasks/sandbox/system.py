"""What this machine is: its rights, its Debian, its certificates, its package index."""

from __future__ import annotations

import configparser
import contextlib
import os
import platform
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox import aptsources
from bailing_tasks.sandbox.platforms import Architecture, host_architecture

SUITES = ("bookworm", "trixie")
"""The Debian suites that the engine's packages run on."""

_APT = Path("/etc/apt")
_OS_RELEASE = Path("/etc/os-release")
_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_APT_OPTIONS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)


def unavailable() -> str | None:
    """Return why no sandbox can be had on this machine; None where it can."""
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return (
            "it needs root, to start an engine and make its network: run the same command as root, "
            f"`sudo {process.quote([sys.executable, *sys.argv])}`"
        )
    if host_architecture(platform.machine()) is None:
        return f"it knows no Debian for the machine {platform.machine()}"
    if process.find("apt-get", path=os.defpath) is None:
        return "it needs Debian, and there is no apt-get"
    if codename() not in SUITES:
        return f"it needs Debian {' or '.join(SUITES)}, and this is {codename() or 'another'}"
    if not aptsources.debian_sources(sources(), codename=codename()):
        return f"apt on this machine has no source of Debian's main for {codename()}"
    return None


def host() -> Architecture:
    """Return the names of this machine's own platform.

    Raises:
        EngineError: Debian has none for it.
    """
    found = host_architecture(platform.machine())
    if found is None:
        raise EngineError(f"the sandbox knows no Debian for the machine {platform.machine()}")
    return found


def codename() -> str:
    """Return the Debian suite of this machine, as `bookworm`; empty where unknown."""
    try:
        text = _OS_RELEASE.read_text(encoding="utf-8")
    except OSError:
        return ""
    fields = dict(line.partition("=")[::2] for line in text.splitlines())
    return fields.get("VERSION_CODENAME", "").strip().strip('"')


def sources() -> tuple[aptsources.Source, ...]:
    """Return every source that apt on this machine is told of."""
    found: list[aptsources.Source] = []
    for path in (_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".list":
            found += aptsources.parse_list(text)
        elif path.suffix == ".sources":
            found += aptsources.parse_deb822(text)
    return tuple(found)


def debian_sources(suite: str | None = None) -> tuple[aptsources.Source, ...]:
    """Return the sources of a Debian suite, derived from this machine's own.

    Raises:
        EngineError: The machine has none.
    """
    found = aptsources.debian_sources(sources(), codename=codename(), suite=suite)
    if not found:
        raise EngineError(
            "the sandbox gets its packages from the Debian archive, and apt here knows none",
            cause=f"no source of main for {codename() or 'this suite'} in {_APT}",
            remedy="add a Debian mirror to apt's sources",
        )
    return found


def apt_options() -> tuple[str, ...]:
    """Return the options of this machine's apt that a root file system needs as well.

    One with credentials in it is not returned: it would end up in an image and in messages.
    """
    shown = process.run(["apt-config", "dump"]).stdout
    return tuple(
        line.rstrip(";")
        for line in shown.splitlines()
        if line.partition(" ")[0] in _APT_OPTIONS and "@" not in line
    )


def certificates() -> tuple[Path, ...]:
    """Return the certificates that were added to this machine's trust store."""
    return tuple(sorted(_CERTIFICATES.rglob("*.crt"))) if _CERTIFICATES.is_dir() else ()


def package_index() -> str:
    """Return the package index pip or uv is set to here; empty for the default one.

    One with credentials in it is not returned: it would end up in an image.
    """
    named = [os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)]
    for path in _PIP_FILES:
        parser = configparser.RawConfigParser(strict=False)
        with contextlib.suppress(configparser.Error, UnicodeDecodeError):
            parser.read(Path(path).expanduser(), encoding="utf-8")
        named.append(parser.get("global", "index-url", fallback=""))
    for url in named:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and "@" not in parts.netloc:
            return url
    return ""
