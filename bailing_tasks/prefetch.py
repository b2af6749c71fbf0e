"""Brings every external image of a run into the engine before anything is built.

A failed pull does not end the run: it is retried where that makes sense, reported with its cause
and remedy, and the build is tried. What came is pinned to its digest and tagged to be kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bailing_tasks import forecast, kept
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine, Limits, Progress
from bailing_tasks.errors import PullError
from bailing_tasks.outcomes import Outcome, PrefetchResult, describe
from bailing_tasks.parallel import in_parallel
from bailing_tasks.progress import Transfer, Transfers, transfers
from bailing_tasks.resolver import Resolver, combined
from bailing_tasks.retry import ATTEMPTS, retried
from bailing_tasks.state import Pin, State
from bailing_tasks.units import size
from bailing_tasks.wanted import WantedImage

ASKED_AT_ONCE = 16
"""How many images engine and registries are asked about at once; pulls have their own limit."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is known of an image before it is pulled.

    Attributes:
        image: The image.
        pin: What it is pinned to; None where that is not known.
        held: Whether the engine has it.
        sizes: The bytes of its layers, by the short id that engines show.
        moved_from: The index digest that it was pinned to before its tag was followed.
        moved_to: The index digest that its tag stands for now, if it is not followed there.
        error: Why nothing is known of it, or of where its tag stands.
    """

    image: WantedImage
    pin: Pin | None
    held: bool
    sizes: Mapping[str, int] = field(default_factory=dict)
    moved_from: str = ""
    moved_to: str = ""
    error: PullError | None = None

    @property
    def host(self) -> str:
        """The registry that it will come from."""
        served_from = self.pin.served_from if self.pin else ""
        return (served_from or self.image.reference.repository).partition("/")[0]

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.image.reference.familiar} ({self.image.platform})"


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
        limits: When all of it is given up.
        jobs: How many pulls at once.
        jobs_per_host: How many of them from one registry.
        refresh: Whether tags that have moved are followed.
    """

    engine: Engine
    state: State
    pins: dict[tuple[str, str], Pin]
    locked: frozenset[tuple[str, str]] = frozenset()
    resolver: Resolver
    console: Console
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    jobs_per_host: int = 1
    refresh: bool = False

    def fetch_all(self, wanted: Sequence[WantedImage], shown: Transfers) -> list[Outcome]:
        """Bring all of them; a failure is an outcome."""
        answers = in_parallel(self._ask, wanted, jobs=ASKED_AT_ONCE)
        known = {image.key: asked for image, asked in answers}
        present = [known[image.key] for image in wanted if known[image.key].held]
        missing = [known[image.key] for image in wanted if not known[image.key].held]
        outcomes = [self._end(asked, self._present(asked), shown) for asked in present]
        self._tell_unasked(present)
        full = self._foresee(missing)
        pulls = in_parallel(
            lambda asked: self._fetch(asked, shown, full),
            sorted(missing, key=lambda asked: -sum(asked.sizes.values())),
            jobs=self.jobs,
            group=lambda asked: asked.host,
            jobs_per_group=self.jobs_per_host,
            clashes=lambda running, waiting: shown.clash(running.sizes, waiting.sizes),
        )
        return outcomes + [self._end(*ended, shown) for _, ended in pulls]

    def obtain(self, image: WantedImage) -> Pin:
        """Bring one image, once, without a word, and return what it was pinned to.

        Raises:
            PullError: It could not be had.
        """
        return self._bring(Asked(image=image, pin=None, held=False), Transfer())[0]

    def commands(self, image: WantedImage) -> tuple[str, ...]:
        """Return the commands that would bring an image; none where it is there.

        Its digest is asked for, and the pin is taken into this run but not kept.
        """
        asked = self._ask(image)
        if asked.held:
            return ()
        if asked.pin is None:
            name = image.reference.familiar
            return (self.engine.shown("pull", "--platform", str(image.platform), name),)
        self.pins[image.key] = asked.pin
        names = kept.tags(self.engine, asked.pin, image)
        return (
            self.engine.shown("pull", asked.pin.image),
            *(self.engine.shown("tag", asked.pin.image, name) for name in names),
        )

    def _ask(self, image: WantedImage) -> Asked:
        """Find out whether an image is here, and what a registry says of it."""
        pin = self.pins.get(image.key)
        held = pin is not None and kept.keep(self.engine, pin, image)
        asked = Asked(image=image, pin=pin, held=held)
        if self.resolver.offline:
            return asked
        try:
            if pin and held:
                moved_to = self.resolver.moved(pin, image)
                if not moved_to or not self.refresh or image.key in self.locked:
                    return replace(asked, moved_to=moved_to)
                asked = replace(asked, moved_from=pin.index_digest)
                pin = self.resolver.resolve(image)
            elif not pin or not pin.served_from:
                pin = self.resolver.resolve(image, pin.digest if pin else None)
            held = kept.keep(self.engine, pin, image)
            sizes = {} if held else self.resolver.sizes(pin, image)
            return replace(asked, pin=pin, held=held, sizes=sizes)
        except PullError as error:
            return replace(asked, error=error)

    def _foresee(self, missing: Sequence[Asked]) -> PullError | None:
        """Warn of limits and disk space; return the failure of all where they cannot fit."""
        layers = {layer: count for asked in missing for layer, count in asked.sizes.items()}
        text, full = forecast.space(layers, self.engine.free_bytes() if layers else None)
        if full:
            return PullError(
                "there is no room for the images",
                cause=text,
                remedy="free disk space (`docker system df` shows what takes it)",
                final=True,
            )
        warnings = forecast.pulls([asked.host for asked in missing], self.resolver.remaining)
        for warning in filter(None, (text, *warnings)):
            self.console.warn(warning)
        return None

    def _fetch(
        self, asked: Asked, shown: Transfers, full: PullError | None
    ) -> tuple[Asked, Outcome]:
        started = time.monotonic()
        first = [error for error in (full or asked.error,) if error]
        with shown.image(asked.title) as transfer:
            transfer.expect(asked.sizes)

            def attempt() -> tuple[Pin, str]:
                if first:
                    raise first.pop()
                return self._bring(asked, transfer)

            def on_wait(error: PullError, number: int, wait: float) -> None:
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
        asked = replace(asked, pin=pin, held=True)
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
            )
        for pin in self._candidates(asked, errors):
            if kept.keep(self.engine, pin, image):
                return pin, "present"
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
                yield replace(pin, index_digest=known.index_digest) if known else pin

    def _pull(self, pin: Pin, image: WantedImage, transfer: Transfer) -> None:
        self.engine.pull(
            pin.image,
            source=self.resolver.source(pin, image),
            wanted=image.reference,
            platform=image.platform if pin.digest == pin.index_digest else None,
            on_progress=_meter(transfer),
            limits=self.limits,
        )
        if not kept.keep(self.engine, pin, image):
            raise PullError(
                f"{image.reference.familiar} for {image.platform} could not be pulled",
                cause=f"{pin.served_from} has it, but not for {image.platform}",
                remedy=f"choose a tag that has {image.platform}",
            )

    def _failed(self, asked: Asked, error: PullError, seconds: float) -> Outcome:
        image = asked.image
        if not asked.pin and kept.is_present(self.engine, None, image):
            return replace(self._outcome(asked, "present"), cause=error.cause)
        remedy = error.remedy
        if asked.pin and asked.pin.key in self.pins and not error.transient and not error.final:
            remedy += f"\nif the tag has moved, and the old image is gone: {self._follow(asked)}"
        outcome = self._outcome(asked, "failed")
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
            digest=asked.pin.digest if asked.pin else "",
            served_from=asked.pin.served_from if asked.pin else "",
            moved_from=asked.moved_from,
            moved_to=asked.moved_to,
        )

    def _end(self, asked: Asked, outcome: Outcome, shown: Transfers) -> Outcome:
        """Keep the pin of an image that is here, and tell people about it."""
        pin = asked.pin
        if pin and asked.held and pin != self.pins.get(pin.key):
            self.pins[pin.key] = pin
            self.state.keep_pin(pin)
        text = f"{asked.title}: {describe(outcome)}"
        shown.ended(text, failed=outcome.status == "failed")
        return outcome

    def _tell_unasked(self, present: Sequence[Asked]) -> None:
        for cause in dict.fromkeys(asked.error.cause for asked in present if asked.error):
            self.console.say(f"whether tags have moved is not known: {cause}")


def _meter(transfer: Transfer) -> Callable[[Progress], None]:
    """Count what comes; a layer so small that no progress is told counts when it is there."""

    def show(progress: Progress) -> None:
        _, total = transfer.layers.get(progress.layer, (0, progress.total))
        if progress.status == "Already exists":
            transfer.skip(progress.layer)
        elif progress.status == "Downloading" and progress.current:
            transfer.update(progress.layer, progress.current, total or progress.total)
        elif progress.status in ("Download complete", "Pull complete") and total:
            transfer.update(progress.layer, total, total)

    return show


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
    outcomes: dict[tuple[str, str], Outcome] = {}
    left, count, decision = wanted, 0, "retry"
    while left and decision == "retry":
        with transfers(prefetcher.console, len(left)) as shown:
            try:
                found = prefetcher.fetch_all(left, shown)
            except KeyboardInterrupt:
                prefetcher.limits.cancelled.set()
                raise
        outcomes |= {outcome.key: outcome for outcome in found}
        count += shown.bytes
        left = [image for image in wanted if outcomes[image.key].status == "failed"]
        decision = choose([outcomes[image.key] for image in left]) if left else ""
    return PrefetchResult(
        images=tuple(outcomes[image.key] for image in wanted),
        bytes=count,
        seconds=time.monotonic() - started,
        stopped=bool(left) and decision == "stop",
    )


def summary(result: PrefetchResult) -> str:
    """Return a prefetch's result in a line."""
    counts = ", ".join(f"{count} {status}" for status, count in result.counts().items())
    return f"prefetch: {counts}; {size(result.bytes)} in {result.seconds:.1f} s"
