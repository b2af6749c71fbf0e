"""Brings the images of a bundle into engines, under the names that builds and people know.

What an engine has is left as it is. Pins come last: what they name is there then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bailing_tasks import kept, lockfile, locking
from bailing_tasks.bundle.contents import Built, External
from bailing_tasks.bundle.reading import Bundle
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.blobs import Manifest, described, manifests
from bailing_tasks.errors import EngineError, UsageError
from bailing_tasks.lockfile import Key, Locked
from bailing_tasks.names import LABEL
from bailing_tasks.outcomes import short
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.settings import Target
from bailing_tasks.state import Pin
from bailing_tasks.units import size
from bailing_tasks.wanted import WantedImage

LOADED = "loaded"
PRESENT = "present"


@dataclass(frozen=True, kw_only=True)
class Loading:
    """One image that is brought into one engine.

    Attributes:
        image: The image.
        engine: The engine.
        name: The name that lasts.
        others: Names that people use.
        content: What makes it the same as another, by `image_content`.
        pin: What an image from a registry is bound to.
        label: What the label of a built image says, where another with the same is as good.
    """

    image: External | Built
    engine: Engine
    name: str
    others: tuple[str, ...]
    content: str
    pin: Pin | None = None
    label: str = ""


def external(bundle: Bundle, image: External, engine: Engine) -> Loading:
    """Return how an image from a registry is brought into an engine."""
    pin = pin_of(bundle, image)
    name, *others = kept.tags(engine, pin, _wanted(image))
    return Loading(
        image=image,
        engine=engine,
        name=name,
        others=tuple(others),
        content=described(bundle, image.digest).content,
        pin=pin,
    )


def built(bundle: Bundle, image: Built, engine: Engine, target: Target, name: str) -> Loading:
    """Return how an image that was built is brought into an engine, under people's name for it."""
    return Loading(
        image=image,
        engine=engine,
        name=image.kept,
        others=(name,),
        content=described(bundle, image.digest).content,
        label="" if target.from_image else image.label,  # which may be that of any other image
    )


def pin_of(bundle: Bundle, image: External) -> Pin:
    """Return what builds are bound to, with the digests that engines know its content by."""
    manifest, *_ = manifests(bundle, image.digest)
    return replace(
        image.pin,
        config_digest=Manifest.parse(bundle.read(manifest)).config.digest,
        repacked="" if image.digest == image.pinned else image.digest,
    )


def is_present(loading: Loading) -> bool:
    """Whether an engine has the image, by its content."""
    if loading.pin:
        return kept.held_name(loading.engine, loading.pin) is not None
    found = loading.engine.image(loading.name)
    if found is None:
        return False
    same_inputs = bool(loading.label) and found.labels.get(LABEL) == loading.label
    return same_inputs or found.content == loading.content


def load(bundle: Bundle, loadings: Sequence[Loading], console: Console) -> list[str]:
    """Bring images into their engines; return what was done for each.

    A name that people use goes to what the bundle has; if it stood for another image, it is said.

    Raises:
        EngineError: An engine refuses one, or failed.
    """
    found = []
    for number, loading in enumerate(loadings, 1):
        before = {name: loading.engine.image(name) for name in loading.others}
        status = _load(bundle, loading)
        console.say(f"[{number}/{len(loadings)}] {title(loading)}: {_done(loading, status)}")
        here = loading.engine.image(loading.name)
        for name, image in before.items():
            if image and here and image.id != here.id:
                console.say(f"{name} was another image ({short(image.id)}), and is this one now")
        found.append(status)
    return found


def title(loading: Loading) -> str:
    """Return what people call the image."""
    image = loading.image
    return image.title if isinstance(image, External) else f"{loading.others[0]} ({image.platform})"


def commands(loading: Loading, path: str) -> list[str]:
    """Return what loading would do, in a form for a shell."""
    engine = loading.engine
    done = (
        []
        if is_present(loading)
        else [f"# loads {loading.name} from {path}: {loading.image.digest}"]
    )
    missing = [name for name in loading.others if not _names(loading, name)]
    return done + [engine.shown("tag", loading.name, name) for name in missing]


def pins(
    bundle: Bundle,
    known: Mapping[Key, Pin],
    locked: Mapping[Key, Locked],
    console: Console,
) -> list[Pin]:
    """Return the pins of a bundle that are not known; it is said where they take another's place.

    What the bundle was built on counts: builds here are to find it made from the same.

    Raises:
        UsageError: An image is not known to be the one that its pin binds here.
    """
    found = []
    for image in bundle.contents.external:
        pin = pin_of(bundle, image)
        before, lock = known.get(pin.key), locked.get(pin.key)
        _check_content(image, pin, locking.bind(known, locked).get(pin.key), is_locked=bool(lock))
        if lock and lock.digest != image.pinned:
            console.warn(
                f"images.lock binds {image.title} to {short(lock.digest)}, and the bundle has "
                f"{short(image.pinned)}\ntake the images.lock that it was saved with"
            )
        elif before and before.digest != image.pinned:
            console.say(
                f"{image.title} was pinned to {short(before.digest)}, "
                f"and is to {short(image.pinned)} now, as in the bundle"
            )
        if before and before.digest == image.pinned:
            repacked = pin.repacked or before.repacked
            pin = replace(before, config_digest=pin.config_digest, repacked=repacked)
        if pin != before:
            found.append(pin)
    return found


def _check_content(image: External, pin: Pin, bound: Pin | None, *, is_locked: bool) -> None:
    """Make sure that an image in a bundle is the one that its pin binds here.

    Under another manifest than the pinned one, only the configuration's digest can show that.

    Raises:
        UsageError: It is another image, or that cannot be known.
    """
    if image.pinned in (image.digest, pin.config_digest) or not bound:
        return
    if bound.digest != image.pinned or bound.config_digest == pin.config_digest:
        return
    if not bound.config_digest and not is_locked:
        return
    where = lockfile.NAME if is_locked else "an earlier prefetch"
    known = f"not {short(bound.config_digest)}" if bound.config_digest else "which is not recorded"
    raise UsageError(
        f"{image.title} in the bundle is not known to be the image of {where}; nothing was changed",
        cause="its manifest is not the one that is pinned, and its configuration is "
        f"{short(pin.config_digest)}, {known}",
        remedy="where its registry can be reached, run `invoke lock`, which records the digest of "
        "its configuration, and `invoke bundle-save`",
    )


def _load(bundle: Bundle, loading: Loading) -> str:
    image, engine = loading.image, loading.engine
    status = PRESENT if is_present(loading) else LOADED
    if status == LOADED:
        engine.load(bundle, image.digest, loading.name)
        _check(loading)
    elif isinstance(image, External) and loading.pin:
        kept.keep(engine, loading.pin, _wanted(image))
    for name in loading.others:
        if not _names(loading, name):
            engine.tag(loading.name, name)
    return status


def _check(loading: Loading) -> None:
    """Make sure that an engine has what the bundle has."""
    found = loading.engine.image(loading.name)
    pin = loading.pin
    if (
        found is None
        or found.content != loading.content
        or (pin and not kept.is_of(loading.engine, found, pin))
    ):
        raise EngineError(
            f"{title(loading)} could not be loaded",
            cause="the engine took it, and has something else under its name",
            remedy="`docker info` shows whether the engine is well; then run it again",
        )


def _names(loading: Loading, name: str) -> bool:
    """Whether a name stands for the image already."""
    one, other = loading.engine.image(name), loading.engine.image(loading.name)
    return one is not None and other is not None and one.id == other.id


def _done(loading: Loading, status: str) -> str:
    return f"{status} {size(loading.image.size)}" if status == LOADED else status


def _wanted(image: External) -> WantedImage:
    return WantedImage(
        reference=Reference.parse(image.reference),
        platform=Platform.parse(image.platform),
        named_at=(),
        targets=(),
    )
