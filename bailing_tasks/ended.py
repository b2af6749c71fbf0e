"""How one step of a run of many builds ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bailing_tasks.build import BuildResult
from bailing_tasks.errors import BailingError
from bailing_tasks.history import FAILED
from bailing_tasks.refusals import Refusal
from bailing_tasks.variants import Variant

LEFT_OUT = "left out"
REFUSED = "refused"
STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one step of a run ended.

    Attributes:
        variant: What it was for.
        result: `built`, `pulled`, `tagged`, `skipped`; `failed`; `refused`, because of its files;
            `left out`, since what it needs failed or is refused; `stopped`, since the run ended
            before; `interrupted`, by Ctrl-C.
        reason: Why.
        seconds: How long it took.
        built: What there is now; None where there is nothing.
        error: What failed.
        log: The last lines of what BuildKit said, where it failed.
    """

    variant: Variant
    result: str
    reason: str
    seconds: float = 0.0
    built: BuildResult | None = None
    error: BailingError | None = None
    log: tuple[str, ...] = ()

    @classmethod
    def made(cls, variant: Variant, built: BuildResult) -> Ended:
        """Return the end of a step whose image is here."""
        return cls(
            variant=variant,
            result=built.result,
            reason=built.reason,
            seconds=built.seconds,
            built=built,
        )

    @classmethod
    def failed(
        cls, variant: Variant, error: BailingError, seconds: float = 0.0, log: Sequence[str] = ()
    ) -> Ended:
        """Return the end of a step that failed."""
        return cls(
            variant=variant,
            result=FAILED,
            reason=error.cause or error.message,
            seconds=seconds,
            error=error,
            log=tuple(log),
        )

    @classmethod
    def refused(cls, refusal: Refusal) -> Ended:
        """Return the end of a step that could not begin."""
        return cls(
            variant=refusal.variant,
            result=LEFT_OUT if refusal.needs else REFUSED,
            reason=refusal.reason,
            error=None if refusal.needs else refusal.error,
        )

    @property
    def ok(self) -> bool:
        """Whether its image is here."""
        return self.built is not None
