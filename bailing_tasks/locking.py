"""Reads, applies and renews a workspace's `images.lock`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bailing_tasks import lockfile
from bailing_tasks.errors import PullError, UsageError
from bailing_tasks.lockfile import Key, Locked
from bailing_tasks.parallel import in_parallel
from bailing_tasks.references import Reference
from bailing_tasks.resolver import Resolver
from bailing_tasks.retry import retried
from bailing_tasks.state import Pin, write_in_one_step
from bailing_tasks.wanted import WantedImage


def read(root: Path) -> dict[Key, Locked] | None:
    """Return what a workspace's lock file binds; None where there is no such file.

    Raises:
        UsageError: It cannot be read.
    """
    path = root / lockfile.NAME
    try:
        return lockfile.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read", cause=str(error)) from error


def write(root: Path, locked: Mapping[Key, Locked]) -> None:
    """Write a workspace's lock file in one step.

    Raises:
        UsageError: It cannot be written.
    """
    path = root / lockfile.NAME
    try:
        write_in_one_step(path, lockfile.render(locked.values()).encode(), mode=0o644)
    except OSError as error:
        raise UsageError(f"{path} cannot be written", cause=str(error)) from error


def bind(pins: Mapping[Key, Pin], locked: Mapping[Key, Locked]) -> dict[Key, Pin]:
    """Return pins that agree with a lock: one that does not gives way to what is locked."""
    bound = dict(pins)
    for key, each in locked.items():
        if key in pins and pins[key].digest == each.digest:
            config_digest = pins[key].config_digest or each.config_digest
            bound[key] = replace(pins[key], config_digest=config_digest)
        else:
            bound[key] = Pin(
                reference=each.reference,
                platform=each.platform,
                digest=each.digest,
                index_digest=each.index_digest,
                served_from="",
                resolved_at="",
                config_digest=each.config_digest,
            )
    return bound


def check_frozen(wanted: Iterable[WantedImage], locked: Mapping[Key, Locked] | None) -> None:
    """Make sure that a lock binds every image of a run.

    Raises:
        UsageError: It does not; each image that is missing is named.
    """
    missing = [
        f"{image.reference.familiar} ({image.platform}), named at {', '.join(image.named_at)}"
        for image in wanted
        if image.key not in (locked or {})
    ]
    if locked is None or missing:
        raise UsageError(
            f"--frozen: {len(missing)} images are not in {lockfile.NAME}"
            if locked is not None
            else f"--frozen: there is no {lockfile.NAME}",
            cause="; ".join(missing),
            remedy="run `invoke lock`, and review and commit the file",
        )


def renewed(
    wanted: Sequence[WantedImage],
    *,
    locked: Mapping[Key, Locked],
    pins: Mapping[Key, Pin],
    resolver: Resolver,
    update: str | None,
    jobs: int,
) -> dict[Key, Locked]:
    """Return the lock of the images of a workspace.

    Args:
        wanted: Every image of the workspace.
        locked: What is locked now; it stays, unless it is updated.
        pins: What builds use now: it is locked where nothing is yet.
        resolver: Asks registries for the rest.
        update: The image to renew, by any of its names; all of them if empty, None for none.
        jobs: How many questions at once.

    Raises:
        UsageError: There is no such image to renew.
        PullError: A registry could not say.
    """
    renewing = {image.key for image in wanted if update is not None and _is(image, update)}
    if update and not renewing:
        raise UsageError(
            f"no image of this workspace is called {update!r}",
            remedy="`invoke images` lists them",
        )
    known = bind(pins, locked)
    held = [image for image in wanted if image.key in known.keys() - renewing]
    kept = {
        image.key: replace(locked.get(image.key) or _locked(pin), config_digest=pin.config_digest)
        for image, pin in in_parallel(
            lambda image: _completed(resolver, known[image.key], image), held, jobs=jobs
        )
    }
    asked = [image for image in wanted if image.key not in kept]
    answers = in_parallel(lambda image: _answer(resolver, image), asked, jobs=jobs)
    found: dict[Key, Locked] = {}
    errors: list[PullError] = []
    for image, answer in answers:
        if isinstance(answer, PullError):
            errors.append(answer)
        else:
            found[image.key] = _locked(answer)
    if errors:
        raise PullError(
            f"{len(errors)} images could not be resolved; {lockfile.NAME} stays as it is",
            cause="; ".join(f"{error.message}: {error.cause}" for error in errors),
            remedy="; ".join(dict.fromkeys(error.remedy for error in errors)),
        )
    return kept | found


def _completed(resolver: Resolver, pin: Pin, image: WantedImage) -> Pin:
    """Return a pin with the digest of the configuration, where that is known or a source tells."""
    return pin if pin.config_digest else resolver.described(pin, image).pin


def _answer(resolver: Resolver, image: WantedImage) -> Pin | PullError:
    try:
        return retried(
            lambda: resolver.described(resolver.resolve(image), image).pin,
            lambda *_: resolver.registries.listen_again(),
            left=resolver.limits.left,
        )
    except PullError as error:
        return error


def _is(image: WantedImage, name: str) -> bool:
    """Whether an image goes by a name, with or without its tag; every one does by an empty one."""
    if not name:
        return True
    reference = Reference.parse(name)
    same = image.reference.repository == reference.repository
    return same and (image.reference == reference or ":" not in name.rpartition("/")[2])


def _locked(pin: Pin) -> Locked:
    return Locked(
        reference=pin.reference,
        platform=pin.platform,
        digest=pin.digest,
        index_digest=pin.index_digest,
        config_digest=pin.config_digest,
    )
