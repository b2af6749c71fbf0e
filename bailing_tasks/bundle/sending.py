"""Sends the images of a bundle to a registry, as they would stand in a mirror that is filled there.

What is there is not sent again, and a name stands for an image once all of it is there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bailing_tasks import image_index
from bailing_tasks.bundle.contents import Built, External
from bailing_tasks.bundle.ownership import variant
from bailing_tasks.bundle.reading import Bundle
from bailing_tasks.console import Console
from bailing_tasks.engine.blobs import manifests
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.mirroring import Place, built_names, check_distinct, mirror_reference, prefixes
from bailing_tasks.names import registry_tag
from bailing_tasks.outcomes import short
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.retry import retried
from bailing_tasks.settings import Settings
from bailing_tasks.units import size
from bailing_tasks.variants import Variant

SENT = "sent"
PRESENT = "present"


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One image that is sent, for all its platforms.

    Attributes:
        name: What people call it.
        destination: Its name in the registry.
        images: It, once a platform.
        raw: The manifest or index that the name stands for; with its digest it has to be the same.
    """

    name: str
    destination: Reference
    images: tuple[External | Built, ...]
    raw: bytes

    @property
    def digest(self) -> str:
        """The digest that the name stands for."""
        return image_index.digest(self.raw)


def sendings(bundle: Bundle, settings: Settings, to: Place) -> tuple[Sending, ...]:
    """Return what is sent where.

    Args:
        bundle: The bundle.
        settings: The settings of the workspace.
        to: The project of a registry that takes it.

    Raises:
        SettingsError: The folders of two registries' images, or two targets, would be one.
        UsageError: A name would be none.
    """
    references: dict[str, list[External]] = {}
    for image in bundle.contents.external:
        references.setdefault(image.reference, []).append(image)
    hosts = [Reference.parse(each).host for each in references]
    folders = prefixes(hosts, settings.mirror_names)
    external = [
        Sending(
            name=Reference.parse(name).familiar,
            destination=mirror_reference(Reference.parse(name), to, folders),
            images=tuple(images),
            raw=_of_registry(bundle, images),
        )
        for name, images in references.items()
    ]
    return (*external, *_built(bundle, settings, to))


def _built(bundle: Bundle, settings: Settings, to: Place) -> list[Sending]:
    """Return what is sent of the images that were built; those of a target and Python are one."""
    groups: dict[tuple[str, str], list[Built]] = {}
    for image in bundle.contents.built:
        groups.setdefault((image.target, image.python), []).append(image)
    check_distinct((variant(images[0], settings).target for images in groups.values()), to)
    return [
        Sending(
            name=name if python in ("", settings.plain_python) else f"{name} (Python {python})",
            destination=_destination(variant(images[0], settings), images[0].version, settings, to),
            images=tuple(images),
            raw=_joined(bundle, images),
        )
        for (name, python), images in groups.items()
    ]


def _destination(of: Variant, version: str, settings: Settings, to: Place) -> Reference:
    """Return the name of an image that was built."""
    plain, *_ = built_names(of.target, to, version, settings.versions)
    return replace(plain, tag=registry_tag(str(plain.tag), of.python, settings))


def _of_registry(bundle: Bundle, images: Sequence[External]) -> bytes:
    """Return the manifest or index of an image: the original, where the bundle has all of that."""
    digests = {image.index_digest for image in images}
    if len(digests) == 1 and all(image.digest == image.pinned for image in images):
        with_all = _whole(bundle, *digests)
        if with_all is not None:
            return with_all
    return _joined(bundle, images)


def _whole(bundle: Bundle, digest: str) -> bytes | None:
    """Return an index, or a manifest that stands in none, all of whose images are in a bundle."""
    try:
        raw = bundle.read(digest)
        for entry in json.loads(raw).get("manifests") or ():
            bundle.open(str(entry["digest"])).close()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return raw


def _joined(bundle: Bundle, images: Sequence[External | Built]) -> bytes:
    """Return an index of images for several platforms, and of what attests them."""
    entries = []
    for image in images:
        manifest, *_ = manifests(bundle, image.digest)
        raw, listed = bundle.read(manifest), bundle.read(image.digest)
        entries.append(image_index.entry(Platform.parse(image.platform), raw, listed))
    return image_index.index(entries, {})


def send(
    bundle: Bundle, todo: Sequence[Sending], plain_http: Collection[str], console: Console
) -> list[str]:
    """Send images to a registry; return what was done for each.

    Raises:
        RegistryError: The registry denies one, or cannot be reached.
    """
    uploads = Uploads(plain_http)
    found = []
    for number, each in enumerate(todo, 1):
        status = retried(
            functools.partial(_send, uploads, bundle, each, console),
            lambda error, attempt, wait: console.say(f"{error.cause}; again in {wait:.0f} s"),
        )
        bytes_ = sum(image.size for image in each.images)
        done = f"{status} {size(bytes_)}" if status == SENT else status
        console.say(f"[{number}/{len(todo)}] {each.name}: {done} ({each.destination.familiar})")
        found.append(status)
    return found


def _send(uploads: Uploads, bundle: Bundle, sending: Sending, console: Console) -> str:
    uploads.listen_again()
    before = uploads.standing(sending.destination)
    if before == sending.digest:
        return PRESENT
    for image in sending.images:
        for digest in reversed(manifests(bundle, image.digest)):
            named = replace(sending.destination, tag=None, digest=digest)
            uploads.image(bundle, digest, named)
    uploads.put(sending.raw, sending.destination)
    if before:
        console.warn(f"{sending.destination.familiar} was another image ({short(before)})")
    return SENT
