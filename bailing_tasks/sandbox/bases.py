"""Stand-in images, built and pushed to the registry, one index per name.

What is made is found again by a key over everything it was made from: root file systems as
files, images as tags of the platform in the registry. The tag that people use is set last, and
keeps the platforms that were there.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from bailing_tasks.errors import RegistryError
from bailing_tasks.sandbox import engine, materials, registry, render, standins
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.making import Making, machine
from bailing_tasks.sandbox.model import Report, StandinImage
from bailing_tasks.sandbox.platforms import Architecture, architecture


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
    descriptors = present(port, repository, tag)
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


def present(port: int, repository: str, tag: str) -> dict[str, Mapping[str, object]]:
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
    context = _context(making, report)
    report(f"building the stand-in for {making.reference} on {making.arch.platform}")
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


def _context(making: Making, report: Report) -> Path:
    """Return the folder that the image is built from."""
    materials.bootstrap(making, report)
    context = making.home.temporary / f"build-{making.tag}"
    shutil.rmtree(context, ignore_errors=True)
    programs = context / "overlay/usr/local/bin"
    programs.mkdir(parents=True)
    if making.recipe.uv:
        for program in materials.uv(making.home, making.arch, report):
            (programs / program.name).hardlink_to(program)
    (context / making.rootfs.name).hardlink_to(making.rootfs)
    homes.write(context / "overlay" / standins.APT_CONFIG_PATH, standins.APT_CONFIG)
    materials.open_to_all(context / "overlay")
    homes.write(context / "Dockerfile", making.dockerfile)
    return context
