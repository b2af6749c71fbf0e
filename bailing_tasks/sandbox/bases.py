"""Stand-in images: made from Debian's packages, pushed to the registry, one index per name.

What is made is found again by a key over everything it was made from: root file systems as
files, images as tags of the platform in the registry. The tag that people use is set last, and
keeps the platforms that were there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from bailing_tasks import process
from bailing_tasks.errors import EngineError, RegistryError
from bailing_tasks.sandbox import aptsources, engine, registry, render, standins, system
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.model import Report, StandinImage
from bailing_tasks.sandbox.platforms import Architecture, architecture

_FORMAT = 1
"""Counts changes in how stand-ins are made; older ones are made again."""
_KEY_DIGITS = 16
_PYTHONS = (sys.executable, "/usr/bin/python3")
_WHEEL_SYSTEMS = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_31")
_PIP_RETRIES = 5
_EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/lib/python3*/EXTERNALLY-MANAGED",
)
"""Not unpacked into images; without the last, pip and uv refuse to install beside Debian's."""
_INCLUDED = ("/usr/share/doc/*/copyright",)


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
        return _key([self.rootfs_key, asdict(self.recipe)])

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


def ensure(
    home: Home,
    *,
    port: int,
    store: str,
    reference: str,
    recipe: standins.Recipe,
    platforms: Sequence[str],
    report: Report,
) -> StandinImage:
    """Return the stand-in for a reference, made for the platforms it is not there for yet.

    Raises:
        EngineError: It could not be made.
        RegistryError: The registry failed.
    """
    repository, tag = standins.repository(reference)
    here = machine()
    descriptors = _present(port, repository, tag)
    before = dict(descriptors)
    for platform in platforms:
        making = Making(
            home=home,
            port=port,
            store=store,
            reference=reference,
            recipe=recipe,
            arch=architecture(platform),
            machine=here,
        )
        found = registry.manifest(port, repository, making.tag)
        if found is None:
            found = _make(making, repository, report)
        descriptors[making.arch.platform] = _descriptor(found, making.arch)
    current = registry.manifest(port, repository, tag)
    if current is None or descriptors != before:
        body = render.index(list(descriptors.values()))
        digest = registry.put_index(port, repository, tag, body)
    else:
        digest = current.digest
    return StandinImage(reference=reference, platforms=tuple(sorted(descriptors)), digest=digest)


def _present(port: int, repository: str, tag: str) -> dict[str, Mapping[str, object]]:
    """Return the descriptors in the index under a tag, by platform."""
    current = registry.manifest(port, repository, tag)
    if current is None:
        return {}
    found: dict[str, Mapping[str, object]] = {}
    for entry in cast("list[dict[str, Any]]", current.document.get("manifests", [])):
        platform = entry.get("platform", {})
        parts = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
        found["/".join(part for part in parts if part)] = entry
    return found


def _descriptor(found: registry.Manifest, arch: Architecture) -> Mapping[str, object]:
    os_name, _, rest = arch.platform.partition("/")
    name, _, variant = rest.partition("/")
    platform = {"architecture": name, "os": os_name, **({"variant": variant} if variant else {})}
    return {
        "mediaType": found.media_type,
        "size": found.size,
        "digest": found.digest,
        "platform": platform,
    }


def _make(making: Making, repository: str, report: Report) -> registry.Manifest:
    """Build and push the image of one platform, and return its manifest."""
    rootfs = _rootfs(making, report)
    report(f"building the stand-in for {making.reference} on {making.arch.platform}")
    context = making.home.temporary / f"build-{making.tag}"
    shutil.rmtree(context, ignore_errors=True)
    (context / "tools").mkdir(parents=True)
    (context / rootfs.name).hardlink_to(rootfs)
    if making.recipe.uv:
        for program in _uv(making.home, making.arch, report):
            (context / "tools" / program.name).hardlink_to(program)
    variables = standins.environment(
        making.recipe,
        certificates=bool(making.machine.certificates),
        index=making.machine.index,
    )
    text = standins.dockerfile(making.recipe, variables=variables, rootfs=rootfs.name)
    homes.write(context / "Dockerfile", text)
    name = f"{registry.address(making.port)}/{repository}:{making.tag}"
    options = ["--platform", making.arch.platform, "--provenance=false", "--tag", name]
    what = f"the stand-in for {making.reference} on {making.arch.platform}"
    run = engine.docker
    build = ["buildx", "build", "--builder", "default", "--progress", "plain", *options]
    run(making.home, making.store, [*build, str(context)], what=f"building {what}")
    run(making.home, making.store, ["push", "--quiet", name], what=f"pushing {what}")
    run(making.home, making.store, ["image", "rm", name], what=f"untagging {what}")
    shutil.rmtree(context)
    found = registry.manifest(making.port, repository, making.tag)
    if found is None or "manifests" in found.document:
        raise RegistryError(f"{name} was pushed, and the registry does not have its manifest")
    return found


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


def _rootfs(making: Making, report: Report) -> Path:
    """Return the archive of a root file system, made if it is not there."""
    folder = making.home.standins
    target = folder / f"{making.recipe.suite}-{making.arch.debian}-{making.rootfs_key}.tar"
    if target.is_file():
        return target
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
    folder.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    shutil.rmtree(temporary, ignore_errors=True)
    return target


def _uv(home: Home, arch: Architecture, report: Report) -> tuple[Path, Path]:
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
