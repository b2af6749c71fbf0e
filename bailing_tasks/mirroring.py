"""Where the images of a workspace stand in a mirror: a project of a registry. Pure.

`docker.io/library/python:3.11` stands at `registry.example/team/docker.io/library/python:3.11`.
Each host has a folder of its own, so that no two images meet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.mirrors import mirror_address
from bailing_tasks.references import DEFAULT_HOST, DEFAULT_TAG, Reference, is_sha256
from bailing_tasks.settings import Settings, Target
from bailing_tasks.tag_names import sanitized
from bailing_tasks.versions import parse
from bailing_tasks.wanted import WantedImage

if TYPE_CHECKING:
    from bailing_tasks.state import Pin

VERSION = "{version}"
"""What stands for the version in the pattern of a tag."""

_PLAIN = re.compile(r"[a-z0-9.-]+")
_WITH_PORT = re.compile(r"([a-z0-9.-]+):([0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project of a registry.

    Attributes:
        host: The registry, with its port.
        project: The path on it; empty for the registry itself.
    """

    host: str
    project: str

    def __str__(self) -> str:
        return self.below("")

    def below(self, path: str) -> str:
        """Return the name of what is in it."""
        return "/".join(filter(None, (self.host, self.project, path)))


def place(text: str) -> Place:
    """Read REGISTRY/PROJECT; the project may have several parts, or none.

    Raises:
        UsageError: It is no such thing.
    """
    host, _, project = text.rstrip("/").partition("/")
    try:
        found = Reference.parse("/".join(filter(None, (host, project, "x"))))
    except UsageError:
        found = None
    if found is None or found.host != host or found.digest:
        raise UsageError(
            f"{text!r} is no place for images",
            cause="it begins with no registry, or an image cannot be named after it",
            remedy="write it as registry.example/project, in lower case and without https://; a "
            "registry without a dot in its name needs its port",
        )
    if host == DEFAULT_HOST:
        raise UsageError(
            f"{text!r} cannot take images of other registries",
            cause="names on Docker Hub have two parts, somebody/name: there are no folders",
            remedy="choose another registry",
        )
    return Place(host=host, project=project)


def prefix_of(host: str) -> str:
    """Return the folder of a host, where the settings name none; no two hosts have one.

    A host is a folder's name already, unless it has a port (`localhost_5000`). What else a host may
    hold, upper case and brackets, a path may not: it is written in hexadecimal. One underscore
    tells the second kind, two tell the third; hosts of the first kind have none.
    """
    if _PLAIN.fullmatch(host):
        return host
    with_port = _WITH_PORT.fullmatch(host)
    if with_port:
        return f"{with_port[1]}_{with_port[2]}"
    return f"host_x_{host.encode().hex()}"


def prefixes(hosts: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of each host.

    Args:
        hosts: The hosts of a workspace's images.
        names: For a host, the folder that the settings name.

    Raises:
        SettingsError: A folder is no path of an image, or two hosts would share one.
    """
    found = {
        host: names.get(host) or prefix_of(host) for host in dict.fromkeys((*sorted(hosts), *names))
    }
    for host, prefix in found.items():
        if not _is_path(prefix):
            raise SettingsError(
                f"the folder {prefix!r} of {host} can be no part of an image's name",
                remedy="lower-case letters, digits and . _ - between slashes: change mirror-names",
            )
        for other, its in found.items():
            if other != host and f"{its}/".startswith(f"{prefix}/"):
                raise SettingsError(
                    f"images of {host} and {other} would meet in one folder of the mirror",
                    cause=f"that of {host} is {prefix!r}, that of {other} is {its!r}",
                    remedy="let neither begin with the other: change mirror-names",
                )
    return found


def _is_path(prefix: str) -> bool:
    try:
        return Reference.parse(f"{DEFAULT_HOST}/{prefix}/x").path == f"{prefix}/x"
    except UsageError:
        return False


def own_tag(digest: str) -> str:
    """Return the tag of an image that is named by its digest: what has none may be collected.

    `sha256-<hex>` alone would be taken for what is said of that image (OCI distribution
    specification, referrers tag schema).

    Raises:
        UsageError: It is no SHA-256 digest.
    """
    if not is_sha256(digest):
        raise UsageError(
            f"{digest} cannot be mirrored",
            cause="only SHA-256 digests can",
            remedy="name the image by a tag, or by its other digest",
        )
    return f"at-{digest.replace(':', '-')}"


def mirror_reference(reference: Reference, to: Place, folders: Mapping[str, str]) -> Reference:
    """Return the name of an image in a mirror; no two images have one.

    Where it has a tag and a digest, the digest decides: two of one tag are two images.

    Args:
        reference: The image.
        to: The mirror.
        folders: The folder of each host, by `prefixes`.

    Raises:
        UsageError: The name would be too long, or the digest is no SHA-256.
    """
    tag = own_tag(reference.digest) if reference.digest else reference.tag
    return Reference.parse(f"{to.below(f'{folders[reference.host]}/{reference.path}')}:{tag}")


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One image that is to stand in a mirror.

    Attributes:
        image: The image, for the first of its platforms.
        pin: What it is pinned to; None where it is not.
        destination: Its name in the mirror.
    """

    image: WantedImage
    pin: Pin | None
    destination: Reference


def copies(
    wanted: Sequence[WantedImage],
    pins: Mapping[tuple[str, str], Pin],
    to: Place,
    names: Mapping[str, str],
) -> tuple[Copy, ...]:
    """Return the images that a mirror needs, each once: all of its platforms come with it.

    Where platforms are pinned to different images, the newest has the tag, the others a tag by
    their digest.

    Args:
        wanted: Every image of a workspace.
        pins: What they are pinned to.
        to: The mirror.
        names: For a host, the folder that the settings name.

    Raises:
        SettingsError: As `prefixes`.
        UsageError: As `mirror_reference`.
    """
    folders = prefixes((image.reference.host for image in wanted), names)
    platforms: dict[str, list[WantedImage]] = {}
    for image in wanted:
        platforms.setdefault(str(image.reference), []).append(image)
    return tuple(
        copy
        for _, images in sorted(platforms.items())
        for copy in _copies(images, pins, to, folders)
    )


def _copies(
    images: Sequence[WantedImage],
    pins: Mapping[tuple[str, str], Pin],
    to: Place,
    folders: Mapping[str, str],
) -> list[Copy]:
    destination = mirror_reference(images[0].reference, to, folders)
    pinned = [(pins[image.key], image) for image in images if image.key in pins]
    pinned.sort(key=lambda each: each[0].resolved_at, reverse=True)
    if not pinned:
        return [Copy(image=images[0], pin=None, destination=destination)]
    found: dict[str, Copy] = {}
    for pin, image in pinned:
        digest = pin.index_digest
        name = replace(destination, tag=own_tag(digest)) if found else destination
        found.setdefault(digest, Copy(image=image, pin=pin, destination=name))
    return list(found.values())


def mirrors(hosts: Iterable[str], at: Place, names: Mapping[str, str]) -> dict[str, str]:
    """Return for each host its mirror in a place, as the setting `mirrors` has it.

    Raises:
        SettingsError: As `prefixes`.
    """
    folders = prefixes(hosts, names)
    return {host: at.below(folders[host]) for host in sorted(set(hosts))}


def mirrors_setting(hosts: Iterable[str], at: Place, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the settings by which a prefetch takes images from a mirror.

    Raises:
        SettingsError: As `prefixes`.
    """
    found = mirrors(hosts, at, names).items()
    table = ", ".join(f"{json.dumps(host)} = [{json.dumps(address)}]" for host, address in found)
    return (
        "[tool.bailing-tasks]",
        f"mirrors = {{ {table} }}",
        "",
        "[tool.bailing-tasks.prefetch]",
        "trust-mirrors = true  # the sources are not asked whether a tag has moved there",
    )


def through(settings: Settings, at: Place, hosts: Iterable[str]) -> Settings:
    """Return settings by which images are taken from a place first, and believed.

    Raises:
        SettingsError: As `prefixes`.
    """
    first = {
        host: (address,) for host, address in mirrors(hosts, at, settings.mirror_names).items()
    }
    behind = without(settings.mirrors, at)
    return replace(
        settings,
        mirrors={
            host: (*first.get(host, ()), *behind.get(host, ())) for host in {**first, **behind}
        },
        prefetch=replace(settings.prefetch, trust_mirrors=True),
    )


def without(known: Mapping[str, Sequence[str]], at: Place) -> dict[str, tuple[str, ...]]:
    """Return mirrors less those in a place: what is to be brought there is not asked of it."""
    return {
        host: tuple(address for address in addresses if not _is_in(address, at))
        for host, addresses in known.items()
    }


def _is_in(address: str, at: Place) -> bool:
    _, host, prefix = mirror_address(address)
    return f"{host}/{prefix}/".startswith(f"{at}/")


def check_distinct(targets: Iterable[Target], at: Place) -> None:
    """Make sure that no two targets have one repository in a place.

    Raises:
        SettingsError: Two have.
    """
    owners: dict[str, str] = {}
    for target in targets:
        owner = owners.setdefault(_name(target), target.name)
        if owner != target.name:
            raise SettingsError(
                f"{owner} and {target.name} would both be {at.below(_name(target))}",
                cause="a target's name there is the last part of its repository",
                remedy="set `repository` of one of them to one with another last part",
            )


def _name(target: Target) -> str:
    return (target.repository or target.image).rpartition("/")[2]


def built_names(target: Target, at: Place, version: str, scheme: str) -> tuple[Reference, ...]:
    """Return the names that an image of a target may have in a place, the likeliest first.

    Its repository there is the last part of the one that it has, or of its local name.

    Args:
        target: The target.
        at: The place.
        version: The version, as a Git tag names it or as it is; empty for `latest`.
        scheme: How Git tags name versions.
    """
    name = _name(target)
    found = parse(version, scheme)
    texts = (*([found.text] if found else []), version) if version else (DEFAULT_TAG,)
    patterns = [tag for tag in target.tags if VERSION in tag] if version else []
    tags = [each.replace(VERSION, text) for text in texts for each in (*patterns[:1], VERSION)]
    return tuple(
        Reference.parse(f"{at.below(name)}:{sanitized(tag)}") for tag in dict.fromkeys(tags)
    )
