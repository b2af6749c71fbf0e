"""Which image a stand-in can be made for, and how. Pure.

A stand-in has the name of the image it stands in for, and from Debian's packages and PyPI what
builds use of it. It says so in a label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LABEL = "io.bailing-tasks.standin"
CERTIFICATE_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

PYTHON_SUITES: Mapping[str, str] = {"3.11": "bookworm", "3.13": "trixie"}
"""The Debian suite that has each Python; a Python that no suite has gets no stand-in."""

_UV = re.compile(
    r"^ghcr\.io/astral-sh/uv:python(?P<python>3\.\d+)-(?:bookworm|trixie)(?P<slim>-slim)?$"
)
_PYTHON = re.compile(
    r"^docker\.io/library/python:(?P<python>3\.\d+)(?P<slim>-slim)?(?:-(?:bookworm|trixie))?$"
)
_DEBIAN = re.compile(r"^docker\.io/library/debian:(?P<suite>bookworm|trixie)(?:-slim)?$")
APT_CONFIG_PATH = "etc/apt/apt.conf.d/docker-clean"
APT_CONFIG = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
"""
"""As in the official images: apt leaves no packages behind in a layer."""

_HEADERS = "python3-dev"
_PIP = ("python3-pip", "python3-venv")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a stand-in is made.

    Attributes:
        suite: The Debian suite it is made from.
        python: As `3.11`; empty for none.
        uv: Whether uv and uvx are in it.
        pip: Whether pip and venv are in it.
        headers: Whether Python's headers are in it, so that C extensions compile once a
            compiler is installed.
    """

    suite: str
    python: str = ""
    uv: bool = False
    pip: bool = False
    headers: bool = False

    @property
    def description(self) -> str:
        """What it is made of, for the label and for people."""
        parts = [f"debian {self.suite}", f"python {self.python}" if self.python else ""]
        parts += [name for name in ("uv", "pip", "headers") if getattr(self, name)]
        return ", ".join(part for part in parts if part)

    @property
    def base_packages(self) -> tuple[str, ...]:
        """The Debian packages in its root file system, beside the essential ones."""
        python = ("python3-minimal", "python3") if self.python else ()
        return ("ca-certificates", *python)

    @property
    def extra_packages(self) -> tuple[str, ...]:
        """The Debian packages that are added in a layer above it."""
        return (*(_PIP if self.pip else ()), *((_HEADERS,) if self.headers else ()))


def recipe(reference: str) -> Recipe | None:
    """Return how the stand-in for a canonical reference is made; None where there is none."""
    if match := _DEBIAN.match(reference):
        return Recipe(suite=match["suite"])
    for pattern, uv in ((_UV, True), (_PYTHON, False)):
        match = pattern.match(reference)
        if match and match["python"] in PYTHON_SUITES:
            return Recipe(
                suite=PYTHON_SUITES[match["python"]],
                python=match["python"],
                uv=uv,
                pip=not uv,
                headers=not match["slim"],
            )
    return None


def repository(reference: str) -> tuple[str, str]:
    """Return the registry's name for a reference, `host/path`, and its tag."""
    name, _, tag = reference.rpartition(":")
    return name, tag


def overlay_links(made: Recipe) -> dict[str, str]:
    """Return the symbolic links, path in the image to target, that the recipe wants."""
    if not made.python:
        return {}
    names = ("python", "python3", f"python{made.python}")
    return {f"usr/local/bin/{name}": f"/usr/bin/python{made.python}" for name in names}


def environment(made: Recipe, *, certificates: bool, index: str) -> dict[str, str]:
    """Return the image's environment.

    Args:
        made: The recipe.
        certificates: Whether the machine has certificates of its own in its trust store.
        index: The package index that this machine's pip is set to; empty for pip's default.
    """
    variables = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
    if made.python:
        variables["LANG"] = "C.UTF-8"
    if made.uv:
        variables["UV_TOOL_BIN_DIR"] = "/usr/local/bin"
    if certificates:
        for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
            variables[name] = CERTIFICATE_BUNDLE
    if index:
        variables |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
    return variables


def dockerfile(made: Recipe, *, variables: Mapping[str, str], rootfs: str) -> str:
    """Return the Dockerfile that makes the stand-in from its root file system.

    Args:
        made: The recipe.
        variables: The image's environment.
        rootfs: Name of the archive in the build context; what is laid over it is in
            `overlay/` beside it.
    """
    lines = ["FROM scratch", f"ADD {rootfs} /", "COPY overlay/ /"]
    lines += [f"ENV {name}={value}" for name, value in variables.items()]
    if made.extra_packages:
        lines.append(
            "RUN apt-get update"
            f" && apt-get install -y --no-install-recommends {' '.join(made.extra_packages)}"
            " && rm -rf /var/lib/apt/lists/*"
        )
    lines.append(f'LABEL {LABEL}="{made.description}"')
    command = "/usr/local/bin/uv" if made.uv else "python3" if made.python else "bash"
    lines.append(f'CMD ["{command}"]')
    return "\n".join(lines) + "\n"
