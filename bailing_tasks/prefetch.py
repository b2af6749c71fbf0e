"""Brings external images into an engine before anything is built.

A failed pull does not end the run: it is retried where that makes sense, reported with its cause
and remedy, and the build is tried. What came is pinned to its digest and tagged to be kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from bailing_tasks import forecast, inquiry, kept
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine, Limits
from bailing_tasks.errors import PullError, RemoteError
from bailing_tasks.inquiry import Asked
from bailing_tasks.names import kept_name
from bailing_tasks.outcomes import Outcome, describe
from bailing_tasks.parallel import in_parallel
from bailing_tasks.progress import Transfer, Transfers, meter
from bailing_tasks.resolver import Resolver, combined
from bailing_tasks.retry import ATTEMPTS, retried
from bailing_tasks.state import Pin, State
from bailing_tasks.wanted import WantedImage

ASKED_AT_ONCE = 32
"""How many images engine and registries are asked about at once; pulls have their own limit."""
ASKING_SECONDS = 5.0
"""How long pulls wait for answers; an image without one is asked about again when it is pulled."""


@dataclass(kw_only=True)
class Prefetcher:
    """Brings images into an engine.

    Attributes:
        engine: Where to.
        state: Where pins are kept.
        pins: The pins of this run, which it adds to.
        locked: What the lock file binds, by reference and platform.
        resolver: Asks registries.
        console: Who is told.
        limits: When all of it is given up; renewed by `begin`.
        timeout: Seconds that it may take; 0 for as long as it takes.
        jobs: How many pulls at once.
        jobs_per_host: How many of them from one registry.
        refresh: Whether tags that have moved are followed.
        place: What people are told of the engine with each image; nothing where there is one.
    """

    engine: Engine
    state: State
    pins: dict[tuple[str, str], Pin]
    locked: frozenset[tuple[str, str]] = frozenset()
    resolver: Resolver
    console: Console
    limits: Limits = field(default_factory=Limits)
    timeout: float = 0.0
    jobs: int = 1
    jobs_per_host: int = 1
    refresh: bool = False
    place: str = ""
    _named: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)

    def begin(self) -> None:
        """Let the time that it may take begin now."""
        self.limits.deadline = time.monotonic() + self.timeout if self.timeout else None

    def fetch_all(self, wanted: Sequence[WantedImage], shown: Transfers) -> list[Outcome]:
        """Bring all of them; a failure is an outcome."""
        known = self._ask_all(wanted)
        present = [asked for asked in known if asked.held_as]
        missing = [asked for asked in known if not asked.held_as]
        self._warn_of_moved(known)
        outcomes = [self._end(asked, self._present(asked), shown) for asked in present]
        self._tell_unasked(present)
        self._foresee(missing)
        pulls = in_parallel(
            lambda asked: self._fetch(asked, shown),
            sorted(missing, key=lambda asked: -sum(asked.sizes.values())),
            jobs=self.jobs,
            group=lambda asked: asked.host,
            jobs_per_group=self.jobs_per_host,
            clashes=lambda running, waiting: (
                _are_one(running, waiting) or shown.clash(running.sizes, waiting.sizes)
            ),
        )
        return outcomes + [self._end(*ended, shown) for _, ended in pulls]

    def _ask_all(self, wanted: Sequence[WantedImage]) -> list[Asked]:
        """Find out about all images; what is not answered in time stays open."""

        def look(image: WantedImage) -> Asked:
            return inquiry.look(self.engine, image, self.pins.get(image.key))

        looks = in_parallel(look, wanted, jobs=ASKED_AT_ONCE)
        known = {image.key: asked for image, asked in looks}
        if not self.resolver.offline:
            answers = in_parallel(
                self._ask, list(known.values()), jobs=ASKED_AT_ONCE, within=ASKING_SECONDS
            )
            known |= {asked.image.key: answer for asked, answer in answers}
        return [known[image.key] for image in wanted]

    def _ask(self, asked: Asked) -> Asked:
        follow = self.refresh and asked.image.key not in self.locked
        return inquiry.ask(self.engine, self.resolver, asked, follow=follow)

    def obtain(self, image: WantedImage) -> Pin:
        """Bring one image without a word, and return what it was pinned to.

        Raises:
            PullError: It could not be had.
        """
        self.begin()
        asked = Asked(image=image, pin=None)
        pin, _ = retried(
            lambda: self._bring(asked, Transfer()),
            lambda *_: self.resolver.registries.listen_again(),
            left=self.limits.left,
        )
        return pin

    def settle(self, wanted: Sequence[WantedImage], *, keep: bool) -> None:
        """Pin images without pulling them; what cannot be found out stays open.

        Args:
            wanted: The images.
            keep: Whether the pins are kept for later runs.
        """
        for asked in self._ask_all([image for image in wanted if image.key not in self.pins]):
            if asked.pin:
                self.pins[asked.image.key] = asked.pin
                if keep:
                    self.state.keep_pin(asked.pin)

    def commands(self, wanted: Sequence[WantedImage]) -> list[str]:
        """Return the commands that would bring images; none for what is there.

        Digests are asked for, and the pins are taken into this run but not kept.
        """
        return [line for asked in self._ask_all(wanted) for line in self._commands(asked)]

    def _commands(self, asked: Asked) -> tuple[str, ...]:
        image = asked.image
        if asked.held_as:
            return ()
        if self.resolver.offline:
            return (f"# {asked.title} is not here, and --offline forbids pulling it",)
        pin, name = asked.pin, image.reference.familiar
        if pin is None:
            return (self.engine.shown("pull", "--platform", str(image.platform), name),)
        self.pins[image.key] = pin
        platform = ("--platform", str(image.platform)) if pin.digest == pin.index_digest else ()
        names = kept.tags(self.engine, pin, image)
        tags = (self.engine.shown("tag", pin.image, new) for new in names)
        return (self.engine.shown("pull", *platform, pin.image), *tags)

    def _foresee(self, missing: Sequence[Asked]) -> None:
        """Warn where pulls or disk space will not suffice."""
        layers = {layer: count for asked in missing for layer, count in asked.sizes.items()}
        space = forecast.space(layers, self.engine.free_bytes() if layers else None)
        pulls = forecast.pulls([asked.host for asked in missing], self.resolver.remaining)
        for warning in (*space, *pulls):
            self.console.warn(warning)

    def _fetch(self, asked: Asked, shown: Transfers) -> tuple[Asked, Outcome]:
        started = time.monotonic()
        first = [asked.error] if asked.error else []
        with shown.image(asked.title) as transfer:
            transfer.expect(asked.sizes)

            def attempt() -> tuple[Pin, str]:
                if first:
                    raise first.pop()
                return self._bring(asked, transfer)

            def on_wait(error: RemoteError, number: int, wait: float) -> None:
                self.console.say(
                    f"{asked.title}: {error.cause}; attempt {number} of {ATTEMPTS} in {wait:.0f} s"
                )
                self.resolver.registries.listen_again()
                transfer.give_way()

            try:
                pin, status = retried(
                    attempt, on_wait, left=self.limits.left, sleep=self.limits.cancelled.wait
                )
            except PullError as error:
                return asked, self._failed(asked, error, time.monotonic() - started)
        asked = replace(asked, pin=pin, held_as=kept_name(*pin.key, pin.digest))
        seconds = time.monotonic() - started
        return asked, replace(self._outcome(asked, status), bytes=transfer.bytes, seconds=seconds)

    def _bring(self, asked: Asked, transfer: Transfer) -> tuple[Pin, str]:
        """Pull an image from the first source that has it; return its pin and what was done."""
        image, errors = asked.image, list[PullError]()
        if self.limits.left() <= 0:
            raise PullError(
                f"{asked.title} was not pulled",
                cause="the time of --timeout was over",
                remedy="run it again: what came is kept; or give it more time (--timeout)",
                final=True,
            )
        for pin in self._candidates(asked, errors):
            if kept.keep(self.engine, pin, image):
                return pin, "present"
            self.resolver.check_online(image)
            try:
                self._pull(pin, image, transfer)
                return pin, "pulled"
            except PullError as error:
                if error.final:
                    raise
                errors.append(error)
        raise combined(image, errors)

    def _candidates(self, asked: Asked, errors: list[PullError]) -> Iterator[Pin]:
        """Yield the pin that is known, then the same digest at other sources."""
        known = asked.pin
        if known and known.served_from:
            yield known
        for pin in self.resolver.pins(asked.image, errors, known.digest if known else None):
            if not known or pin.served_from != known.served_from:
                source = {"served_from": pin.served_from, "resolved_at": pin.resolved_at}
                yield replace(known, **source) if known else pin

    def _pull(self, pin: Pin, image: WantedImage, transfer: Transfer) -> None:
        whole = pin.digest == pin.index_digest
        others = {other.key for other in list(self.pins.values()) if other.image == pin.image}
        if whole and {*others, self._named.setdefault(pin.image, pin.key)} - {pin.key}:
            # An index's digest names one platform's image at a time; the other one is kept.
            self.engine.untag(pin.image)
        self.engine.pull(
            pin.image,
            source=self.resolver.source(pin, image),
            wanted=image.reference,
            platform=image.platform if whole else None,
            on_progress=meter(transfer),
            limits=self.limits,
        )
        if not kept.keep(self.engine, pin, image):
            raise PullError(
                f"{image.reference.familiar} for {image.platform} could not be pulled",
                cause=f"{pin.served_from} has it, but not for {image.platform}",
                remedy=f"choose a tag that has {image.platform}",
            )

    def _failed(self, asked: Asked, error: PullError, seconds: float) -> Outcome:
        image, outcome = asked.image, self._outcome(asked, "failed")
        here = None if asked.pin or asked.moved_from else kept.by_its_name(self.engine, image)
        if here:
            # Whatever it is: this run builds on it, and asks no registry.
            self.pins[image.key] = here
            return replace(outcome, status="present", cause=error.cause)
        remedy = error.remedy
        known = asked.pin and asked.pin.key in self.pins
        if known and not (self.refresh or error.transient or error.final):
            remedy += f"\nif the tag has moved, and the old image is gone: {self._follow(asked)}"
        return replace(outcome, cause=error.cause, remedy=remedy, seconds=seconds)

    def _present(self, asked: Asked) -> Outcome:
        remedy = self._follow(asked) if asked.moved_to else ""
        return replace(self._outcome(asked, "present"), remedy=remedy)

    def _follow(self, asked: Asked) -> str:
        """Return the command that follows a tag."""
        locked = asked.image.key in self.locked
        return "`invoke lock --update`" if locked else "`invoke prefetch --refresh`"

    def _outcome(self, asked: Asked, status: str) -> Outcome:
        return Outcome(
            reference=str(asked.image.reference),
            platform=str(asked.image.platform),
            status=status,
            builder=self.engine.builder,
            digest=asked.pin.digest if asked.pin else "",
            served_from=asked.pin.served_from if asked.pin else "",
            moved_from=asked.moved_from,
            moved_to=asked.moved_to,
        )

    def _end(self, asked: Asked, outcome: Outcome, shown: Transfers) -> Outcome:
        """Keep the pin of an image that is here, and tell people about it."""
        pin = asked.pin
        if pin and asked.held_as:
            kept.keep(self.engine, pin, asked.image, asked.held_as)
            pin = kept.completed(self.engine, pin)
            if pin != self.pins.get(pin.key):
                self.pins[pin.key] = pin
                self.state.keep_pin(pin)
        text = f"{asked.title}{self.place}: {describe(outcome)}"
        shown.ended(text, failed=outcome.status == "failed")
        return outcome

    def _warn_of_moved(self, known: Sequence[Asked]) -> None:
        for asked in known:
            if asked.moved_name:
                self.console.warn(
                    f"{kept.moved_message(asked.moved_name, asked.title)}\n"
                    "that image is not used; the tag is set again with the right one"
                )

    def _tell_unasked(self, present: Sequence[Asked]) -> None:
        for cause in dict.fromkeys(asked.error.cause for asked in present if asked.error):
            self.console.say(f"whether tags have moved is not known: {cause}")


def _are_one(one: Asked, other: Asked) -> bool:
    """Whether two images have one name in an engine, for two platforms: an index's digest."""
    return one.pin is not None and other.pin is not None and one.pin.image == other.pin.image
