"""What became of the images of a prefetch. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bailing_tasks.errors import PullError
from bailing_tasks.units import size


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one image.

    Attributes:
        reference: The image in canonical form.
        platform: Its platform.
        status: `pulled`, `present` or `failed`.
        builder: The buildx builder of the engine that has it, or should have.
        digest: The digest it is pinned to; empty where there is none.
        served_from: The repository that served it.
        moved_from: The index digest it was pinned to before its tag was followed.
        moved_to: The index digest that its tag stands for now, if it was not followed there.
        bytes: What came over the network, in bytes.
        seconds: How long it took.
        cause: Why it failed, or why it is not pinned.
        remedy: What to do about that.
    """

    reference: str
    platform: str
    status: str
    builder: str = ""
    digest: str = ""
    served_from: str = ""
    moved_from: str = ""
    moved_to: str = ""
    bytes: int = 0
    seconds: float = 0.0
    cause: str = ""
    remedy: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Reference and platform."""
        return (self.reference, self.platform)


@dataclass(frozen=True, kw_only=True)
class PrefetchResult:
    """What a prefetch did.

    Attributes:
        images: What became of each image.
        bytes: What came over the network, in bytes; a layer that images share counts once.
        seconds: How long it took in all.
        stopped: Whether the failures end the run.
    """

    images: tuple[Outcome, ...]
    bytes: int
    seconds: float
    stopped: bool

    def counts(self) -> dict[str, int]:
        """Return how many images ended in which way."""
        found = [image.status for image in self.images]
        return {status: found.count(status) for status in ("pulled", "present", "failed")}

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


def describe(outcome: Outcome) -> str:
    """Return one image's outcome in a line, or in several for a failure."""
    if outcome.status == "failed":
        return f"failed\n{outcome.cause}\nremedy: {outcome.remedy}"
    if outcome.status == "pulled":
        came = size(outcome.bytes) if outcome.bytes else "(its layers were here)"
        text = f"pulled {came} in {outcome.seconds:.1f} s from {outcome.served_from}"
    else:
        text = "present" if outcome.digest else f"present (not pinned: {outcome.cause})"
    if outcome.moved_from:
        text += f"; its tag has moved from {short(outcome.moved_from)}"
    if outcome.moved_to:
        text += f"; its tag stands for {short(outcome.moved_to)} now ({outcome.remedy} follows it)"
    return text


def short(digest: str) -> str:
    """Return the beginning of a digest, enough for people."""
    return digest[:19]
