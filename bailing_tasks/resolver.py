"""Asks registries which digest an image has: the mirrors of its host in order, then the source.

A mirror is believed only if the source has the same image under that tag, unless it is trusted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bailing_tasks.engine.base import Engine, Limits
from bailing_tasks.errors import AbsentError, PullError, UnreachableError
from bailing_tasks.mirrors import DOCKER_HUB, Source, origin, sources
from bailing_tasks.outcomes import short
from bailing_tasks.references import Reference
from bailing_tasks.state import Pin
from bailing_tasks.wanted import WantedImage

if TYPE_CHECKING:
    from bailing_tasks.engine.registry import Registries


@dataclass(frozen=True, kw_only=True)
class Described:
    """What the manifest of an image says.

    Attributes:
        pin: The image's pin, with the digest of its configuration.
        sizes: The bytes of its layers, by the short id that engines show.
    """

    pin: Pin
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Resolver:
    """Finds the digests of images.

    Attributes:
        engine: Which engine will pull them: it may reach registries that this process does not.
        mirrors: For a registry host, addresses to try before it.
        plain_http: Hosts of registries that are asked by HTTP.
        trust_mirrors: Whether a mirror is believed without asking the source.
        offline: Whether no registry may be asked.
        limits: When a request is given up.
        warn: Told what people should know.
    """

    engine: Engine
    mirrors: Mapping[str, Sequence[str]]
    plain_http: Collection[str] = ()
    trust_mirrors: bool = False
    offline: bool = False
    limits: Limits = field(default_factory=Limits)
    warn: Callable[[str], None]
    _warned: set[str] = field(default_factory=set, init=False)

    @functools.cached_property
    def registries(self) -> Registries:
        """The registries, spoken to on first use."""
        from bailing_tasks.engine.registry import Registries

        found = Registries(self.plain_http)
        found.limits = self.limits
        return found

    @property
    def remaining(self) -> Mapping[str, int]:
        """How many pulls a host still allows, for those that were asked and said so."""
        return self.registries.remaining if "registries" in self.__dict__ else {}

    def resolve(self, image: WantedImage, digest: str | None = None) -> Pin:
        """Return what an image is at the first source that has it; arguments as for `pins`.

        Raises:
            PullError: None has it.
        """
        errors: list[PullError] = []
        for pin in self.pins(image, errors, digest):
            return pin
        raise combined(image, errors)

    def pins(
        self, image: WantedImage, errors: list[PullError], digest: str | None = None
    ) -> Iterator[Pin]:
        """Yield what an image is at each source that has it, asked one after the other.

        Args:
            image: The image.
            errors: Takes the failures of sources that do not have it.
            digest: The digest of the platform's manifest, where only that will do.
        """
        if self.offline:
            errors.append(_offline(image))
            return
        wanted = (
            replace(image, reference=replace(image.reference, digest=digest)) if digest else image
        )
        for source in self._sources(image):
            try:
                pin = self._ask(wanted, source)
                self._compare(wanted, source, pin)
            except PullError as error:
                errors.append(error)
                continue
            yield replace(pin, reference=str(image.reference))

    def check_online(self, image: WantedImage) -> None:
        """Make sure that a registry may be asked.

        Raises:
            PullError: It may not.
        """
        if self.offline:
            raise _offline(image)

    def moved(self, pin: Pin, image: WantedImage) -> str:
        """Return the index digest that a pin's tag stands for now; empty if it is still the same.

        The source is asked, or who served the pin where mirrors are trusted or the source cannot
        be reached.

        Raises:
            PullError: Nobody can be asked.
        """
        if not image.reference.tag or image.reference.digest:
            return ""
        *mirrors, origin = self._sources(image)
        served = [source for source in mirrors if pin.served_from in ("", source.repository)]
        order = [*served, origin] if self.trust_mirrors else [origin, *served]
        error = _offline(image)
        for source in order:
            try:
                found = self.registries.head(image.reference, source)
            except PullError as raised:
                error = raised
                continue
            return found if found and found not in (pin.index_digest, pin.digest) else ""
        raise error

    def has(self, image: WantedImage) -> bool:
        """Whether a source has an image's tag, for whichever platform.

        Raises:
            PullError: None of them has it, and one could not be asked.
        """
        self.check_online(image)
        errors: list[PullError] = []
        for source in self._sources(image):
            try:
                self.registries.head(image.reference, source)
            except AbsentError:
                continue
            except UnreachableError as error:
                if not source.mirror and self.engine.registry_digest(image.reference, self.limits):
                    return True
                errors.append(error)
            except PullError as error:
                errors.append(error)
            else:
                return True
        if errors:
            raise errors[0]
        return False

    def described(self, pin: Pin, image: WantedImage) -> Described:
        """Return what the manifest of a pin says; nothing new where no source has it."""
        for source in () if self.offline else self.places(image, pin):
            if found := self.registries.contents(image.reference, pin.digest, source):
                return Described(
                    pin=replace(pin, config_digest=found.config.digest),
                    sizes={layer.short: layer.size for layer in found.layers},
                )
        return Described(pin=pin)

    def source(self, pin: Pin, image: WantedImage) -> Source:
        """Return the registry that served a pin, and how it is reached.

        One that the settings do not name any more is reached as Docker would.
        """
        served = (found for found in self._sources(image) if found.repository == pin.served_from)
        return next(served, None) or origin(Reference.parse(pin.image), self.plain_http)

    def places(self, image: WantedImage, pin: Pin | None) -> tuple[Source, ...]:
        """Return the registries that may have an image, the one that served its pin first."""
        found = self._sources(image)
        if not pin or not pin.served_from:
            return found
        served = self.source(pin, image)
        return (served, *(each for each in found if each != served))

    def _warn_once(self, text: str) -> None:
        """Warn of what several images may meet, in the words of the first."""
        first = text.partition("\n")[0]
        if first not in self._warned:
            self._warned.add(first)
            self.warn(text)

    def _sources(self, image: WantedImage) -> tuple[Source, ...]:
        # Engines are asked only where they have mirrors: they take their time to answer.
        on_hub = image.reference.host == DOCKER_HUB
        daemon_mirrors = self.engine.registry_mirrors if on_hub else ()
        return sources(image.reference, self.mirrors, daemon_mirrors, plain_http=self.plain_http)

    def _ask(self, image: WantedImage, source: Source) -> Pin:
        """Ask a source for an image's digest; for the image's own registry, the engine as well."""
        try:
            resolved = self.registries.resolve(image.reference, image.platform, source)
            digest, index_digest = resolved.digest, resolved.index_digest
        except UnreachableError:
            found = (
                None if source.mirror else self.engine.registry_digest(image.reference, self.limits)
            )
            if found is None or image.reference.digest not in (None, found):
                raise
            digest = index_digest = found
        return Pin(
            reference=str(image.reference),
            platform=str(image.platform),
            digest=digest,
            index_digest=index_digest,
            served_from=source.repository,
            resolved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _compare(self, image: WantedImage, source: Source, pin: Pin) -> None:
        """Refuse a mirror that has something else under a tag than the source, if that answers."""
        if not source.mirror or self.trust_mirrors or image.reference.digest:
            return
        *_, origin = self._sources(image)
        try:
            found = self.registries.head(image.reference, origin)
        except PullError as error:
            self._warn_once(
                f"the mirror {source.host} is believed: {origin.host} cannot be asked\n"
                f"{error.cause}"
            )
            return
        if found and found not in (pin.index_digest, pin.digest):
            name = image.reference.familiar
            self._warn_once(
                f"the mirror {source.host} has another {name} than {origin.host}: "
                f"{short(pin.index_digest)}, not {short(found)}; it is not used\n"
                "`trust-mirrors = true` in the settings takes it all the same"
            )
            raise PullError(
                f"{name} for {image.platform} could not be pulled",
                cause=f"the mirror {source.host} has another image under that tag",
                remedy="bring the mirror up to date, or trust it: trust-mirrors = true",
            )


def combined(image: WantedImage, errors: Sequence[PullError]) -> PullError:
    """Return one failure for those of all sources."""
    error = PullError(
        f"{image.reference.familiar} for {image.platform} could not be pulled",
        cause="; ".join(dict.fromkeys(error.cause for error in errors)),
        remedy="; ".join(dict.fromkeys(error.remedy for error in errors)),
        transient=any(error.transient for error in errors),
        final=any(error.final for error in errors),
    )
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    error.retry_after = min(waits, default=None)
    return error


def _offline(image: WantedImage) -> PullError:
    return PullError(
        f"{image.reference.familiar} for {image.platform} is not here",
        cause="it is not here, and --offline forbids asking a registry",
        remedy="run `invoke prefetch` without --offline",
        final=True,
    )
