"""Brings every external image of a run into the engine before anything is built.

A failed pull does not end the run: it is retried where that makes sense, reported with its cause
and remedy, and the build is tried. What came is pinned to its digest and tagged to be kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TypeVar

from bailing_tasks.console import Console, Transfer, size
from bailing_tasks.engine.base import Engine, Limits, Progress
from bailing_tasks.engine.registry import Registries
from bailing_tasks.errors import PullError, UnreachableError
from bailing_tasks.mirrors import Source, sources
from bailing_tasks.names import kept_name
from bailing_tasks.platforms import Platform
from bailing_tasks.retry import ATTEMPTS, retried
from bailing_tasks.state import Pin, State
from bailing_tasks.wanted import WantedImage

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one image.

    Attributes:
        reference: The image in canonical form.
        platform: Its platform.
        status: `pulled`, `present` or `failed`.
        digest: The digest it is pinned to; empty where there is none.
        served_from: The repository that served it.
        bytes: What came over the network, in bytes.
        seconds: How long it took.
        cause: Why it failed.
        remedy: What to do about that.
    """

    reference: str
    platform: str
    status: str
    digest: str = ""
    served_from: str = ""
    bytes: int = 0
    seconds: float = 0.0
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class PrefetchResult:
    """What a prefetch did.

    Attributes:
        images: What became of each image.
        seconds: How long it took in all.
        stopped: Whether the failures end the run.
    """

    images: tuple[Outcome, ...]
    seconds: float
    stopped: bool

    def count(self, status: str) -> int:
        """Return how many images ended so."""
        return sum(image.status == status for image in self.images)

    def check(self) -> None:
        """End the run where it was decided to.

        Raises:
            PullError: An image failed, and the run is not to go on without it.
        """
        failed = [image for image in self.images if image.status == "failed"]
        if self.stopped:
            names = ", ".join(f"{image.reference} ({image.platform})" for image in failed)
            raise PullError(
                f"{len(failed)} of {len(self.images)} images could not be pulled: {names}",
                cause=failed[0].cause,
                remedy=failed[0].remedy,
            )


@dataclass(kw_only=True)
class Prefetcher:
    """Brings images into an engine.

    Attributes:
        engine: Where to.
        state: Where pins are kept.
        pins: The pins of this run, which it adds to.
        mirrors: For a registry host, addresses to try before it.
        console: Who is told.
        registries: Who is asked for digests.
    """

    engine: Engine
    state: State
    pins: dict[tuple[str, str], Pin]
    mirrors: Mapping[str, Sequence[str]]
    console: Console
    registries: Registries = field(default_factory=Registries)

    def fetch_all(self, wanted: Sequence[WantedImage]) -> dict[tuple[str, str], Outcome]:
        """Bring all of them, in order; a failure is an outcome."""
        outcomes = {}
        for number, image in enumerate(wanted, 1):
            title = f"[{number}/{len(wanted)}] {image.reference.familiar} ({image.platform})"
            outcomes[image.key] = self._fetch(image, title)
        return outcomes

    def obtain(self, image: WantedImage) -> Pin:
        """Bring one image, once, without a word, and return what it was pinned to.

        Raises:
            PullError: It could not be had.
        """
        pin, _ = self._bring(image, Transfer())
        return pin

    def _fetch(self, image: WantedImage, title: str) -> Outcome:
        started = time.monotonic()
        pin = self.pins.get(image.key)
        if pin and self._has(pin):
            self._keep(pin, image)
            self.console.say(f"{title}: present")
            return _outcome(image, "present", started, pin)
        transfer = Transfer()
        try:
            with self.console.transfer(f"{title}: pulling") as transfer:
                pin, status = retried(
                    lambda: self._bring(image, transfer),
                    lambda error, number, wait: self.console.say(
                        f"{title}: {error.cause}; attempt {number} of {ATTEMPTS} in {wait:.0f} s"
                    ),
                )
        except PullError as error:
            return self._failed(image, error, started, title)
        self._keep(pin, image)
        self.pins[pin.key] = pin
        self.state.keep_pin(pin)
        outcome = _outcome(image, status, started, pin, transfer.bytes)
        self.console.say(f"{title}: {_describe(outcome)}")
        return outcome

    def _failed(self, image: WantedImage, error: PullError, started: float, title: str) -> Outcome:
        if is_present(self.engine, None, image):
            self.console.say(f"{title}: present (not pinned: {error.cause})")
            return _outcome(image, "present", started, None)
        self.console.warn(f"{title}: failed\n{error.cause}\nremedy: {error.remedy}")
        return Outcome(
            reference=str(image.reference),
            platform=str(image.platform),
            status="failed",
            seconds=time.monotonic() - started,
            cause=error.cause,
            remedy=error.remedy,
        )

    def _bring(self, image: WantedImage, transfer: Transfer) -> tuple[Pin, str]:
        """Resolve and pull an image at the first source that has it."""
        return self._at_first_source(
            image, lambda source: self._bring_from(source, image, transfer)
        )

    def _pin(self, image: WantedImage) -> Pin:
        """Resolve an image at the first source that has it; pull nothing."""
        return self._at_first_source(image, lambda source: self._resolve(source, image))

    def _at_first_source(self, image: WantedImage, attempt: Callable[[Source], Value]) -> Value:
        errors: list[PullError] = []
        for source in sources(image.reference, self.mirrors, self.engine.registry_mirrors):
            try:
                return attempt(source)
            except PullError as error:
                if error.final:
                    raise
                errors.append(error)
        raise PullError(
            errors[-1].message,
            cause="; ".join(dict.fromkeys(error.cause for error in errors)),
            remedy="; ".join(dict.fromkeys(error.remedy for error in errors)),
            transient=any(error.transient for error in errors),
        )

    def check_obtainable(self, image: WantedImage) -> None:
        """Make sure that an image is there, or that a registry has it; pull nothing.

        Raises:
            PullError: Neither.
        """
        if not is_present(self.engine, self.pins.get(image.key), image):
            self._pin(image)

    def commands(self, image: WantedImage) -> tuple[str, ...]:
        """Return the commands that would bring an image; none where it is there.

        Its digest is asked for, and the pin is taken into this run but not kept.
        """
        pin = self.pins.get(image.key)
        if pin is None:
            try:
                pin = self._pin(image)
            except PullError:
                return (f"docker pull --platform {image.platform} {image.reference.familiar}",)
            self.pins[pin.key] = pin
        if self._has(pin):
            return ()
        tags = (f"docker tag {pin.image} {name}" for name in self._names(pin, image))
        return (f"docker pull {pin.image}", *tags)

    def _bring_from(
        self, source: Source, image: WantedImage, transfer: Transfer
    ) -> tuple[Pin, str]:
        pin = self._resolve(source, image)
        if self._has(pin):
            return pin, "present"
        sizes = self.registries.layers(image.reference, pin.digest, source)
        self.engine.pull(
            pin.image,
            wanted=image.reference,
            platform=image.platform if pin.digest == pin.index_digest else None,
            on_progress=_meter(transfer, sizes),
            limits=Limits(),
        )
        if not self._has(pin):
            raise PullError(
                f"{image.reference.familiar} for {image.platform} could not be pulled",
                cause=f"{source.repository} has it, but not for {image.platform}",
                remedy=f"choose a tag that has {image.platform}",
            )
        return pin, "pulled"

    def _resolve(self, source: Source, image: WantedImage) -> Pin:
        """Ask a source for an image's digest; for the image's own registry, the engine as well."""
        try:
            resolved = self.registries.resolve(image.reference, image.platform, source)
            digest, index_digest = resolved.digest, resolved.index_digest
        except UnreachableError:
            found = None if source.mirror else self.engine.registry_digest(image.reference)
            if found is None or image.reference.digest not in (None, found):
                raise
            digest = index_digest = found
        return Pin(
            reference=str(image.reference),
            platform=str(image.platform),
            digest=digest,
            index_digest=index_digest,
            served_from=source.repository,
            resolved_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _has(self, pin: Pin) -> bool:
        return _holds(self.engine, pin.image, Platform.parse(pin.platform))

    def _keep(self, pin: Pin, image: WantedImage) -> None:
        for name in self._names(pin, image):
            self.engine.tag(pin.image, name)

    def _names(self, pin: Pin, image: WantedImage) -> list[str]:
        """Return the tags an image gets; its own name among them where nothing else has that."""
        names = [kept_name(*pin.key)]
        if image.reference.tag and image.platform == self.engine.platform:
            own = str(replace(image.reference, digest=None))
            names += [] if self.engine.image(own) else [own]
        return names


def is_present(engine: Engine, pin: Pin | None, image: WantedImage) -> bool:
    """Whether an engine has an image for its platform: by its pin, else under its own name."""
    name = pin.image if pin else image.reference.familiar
    return _holds(engine, name, image.platform)


def _holds(engine: Engine, name: str, platform: Platform) -> bool:
    found = engine.image(name)
    return found is not None and platform.takes(found.platform)


def _meter(transfer: Transfer, sizes: Mapping[str, int]) -> Callable[[Progress], None]:
    """Count what comes; a layer so small that no progress is told counts when it is there."""

    def show(progress: Progress) -> None:
        size = sizes.get(progress.layer, progress.total)
        if progress.status == "Downloading" and progress.current:
            transfer.update(progress.layer, progress.current, size)
        elif progress.status in ("Download complete", "Pull complete") and size:
            transfer.update(progress.layer, size, size)

    return show


def _outcome(
    image: WantedImage, status: str, started: float, pin: Pin | None, count: int = 0
) -> Outcome:
    return Outcome(
        reference=str(image.reference),
        platform=str(image.platform),
        status=status,
        digest=pin.digest if pin else "",
        served_from=pin.served_from if pin else "",
        bytes=count,
        seconds=time.monotonic() - started,
    )


def _describe(outcome: Outcome) -> str:
    if outcome.status == "present":
        return "present"
    came = size(outcome.bytes) if outcome.bytes else "(its layers were here)"
    return f"pulled {came} in {outcome.seconds:.1f} s from {outcome.served_from}"


Chooser = Callable[[Sequence[Outcome]], str]
"""Decides what to do about images that failed: `retry`, `continue` or `stop`."""


def fetch(
    prefetcher: Prefetcher, wanted: Sequence[WantedImage], *, choose: Chooser
) -> PrefetchResult:
    """Bring all images of a run; see the module.

    Args:
        prefetcher: Who brings them.
        wanted: What is needed.
        choose: Asked while there are failures.
    """
    started = time.monotonic()
    outcomes = prefetcher.fetch_all(wanted)
    decision = ""
    while failed := [outcome for outcome in outcomes.values() if outcome.status == "failed"]:
        decision = choose(failed)
        if decision != "retry":
            break
        outcomes |= prefetcher.fetch_all(
            [image for image in wanted if outcomes[image.key].status == "failed"]
        )
    return PrefetchResult(
        images=tuple(outcomes.values()),
        seconds=time.monotonic() - started,
        stopped=bool(failed) and decision == "stop",
    )
