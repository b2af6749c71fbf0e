"""Follows one pull: what the engine tells of it, and when it is given up."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bailing_tasks.engine.base import Limits, Progress
from bailing_tasks.errors import PullError
from bailing_tasks.failures import pull_error
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

if TYPE_CHECKING:
    from bailing_tasks.engine.docker import Traffic
    from bailing_tasks.engine.transport import Transport

TICK_SECONDS = 0.2
"""How often a silent pull is looked at."""

HERE = frozenset(
    {"Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Already exists"}
)
"""What an engine says of a layer of which nothing more has to come."""
COMING = frozenset({"Pulling fs layer", "Waiting", "Downloading"})


@dataclass(kw_only=True)
class Pull:
    """One pull.

    Attributes:
        wanted: The reference that people know it by.
        platform: The platform to choose from an index; None where the digest decides.
        host: The registry that is asked.
        limits: When it is given up.
        traffic: What it shares with the other pulls of its engine.
    """

    wanted: Reference
    platform: Platform | None
    host: str
    limits: Limits
    traffic: Traffic
    _layers: dict[str, tuple[str, int]] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.traffic.moved = self._started

    def take(self, document: Mapping[str, Any]) -> Progress:
        """Return where the pull stands, by what the engine said.

        Raises:
            PullError: It said that the pull failed.
        """
        if "error" in document:
            raise self.failed(str(document["error"]))
        detail = document.get("progressDetail") or {}
        progress = Progress(
            status=document.get("status", ""),
            layer=document.get("id", ""),
            current=detail.get("current", 0),
            total=detail.get("total", 0),
        )
        # The engine repeats itself: only what changes is progress.
        state = (progress.status, progress.current)
        if self._layers.get(progress.layer) != state:
            self._layers[progress.layer] = state
            self.traffic.moved = time.monotonic()
        return progress

    def check(self) -> None:
        """Give the pull up where that is due.

        Raises:
            PullError: It is due.
        """
        now = time.monotonic()
        if self.limits.cancelled.is_set():
            raise self._given_up("interrupted", "run it again: it goes on from here")
        if self.limits.left() <= 0:
            raise self._given_up(
                f"the time that --timeout gives was over, {now - self._started:.0f} s after this "
                "attempt began",
                "run it again: it goes on from here; or give it more time",
            )
        if self._waits() and now - self.traffic.moved > self.limits.stall:
            raise self.failed(f"nothing came for {self.limits.stall:.0f} s", sign="timed out")

    def failed(self, said: str, *, sign: str | None = None) -> PullError:
        """Return the error for what the engine or the registry said."""
        return pull_error(
            said,
            reference=self.wanted,
            platform=str(self.platform or ""),
            host=self.host,
            sign=sign,
        )

    def broken(self, said: str) -> PullError:
        """Return the error for a connection to the engine that broke."""
        return PullError(
            self.failed("").message,
            cause=f"the connection to the engine broke ({said})",
            remedy="`docker info` shows whether the engine is well; then run it again",
            transient=True,
        )

    def _given_up(self, cause: str, remedy: str) -> PullError:
        return PullError(self.failed("").message, cause=cause, remedy=remedy, final=True)

    def _waits(self) -> bool:
        """Whether something has to come; unpacking what is here may take long, in silence."""
        statuses = {status for status, _ in self._layers.values()}
        return bool(statuses & COMING) or not statuses & HERE


def forget_damaged(transport: Transport) -> None:
    """Have the containerd store forget a blob that came damaged.

    It keeps what came as the beginning of the blob, and would not ask the registry again for hours.
    Only where an image is removed it collects at once what nothing needs.
    """
    from docker.errors import DockerException

    repository, tag = "localhost/bailing-tasks/nothing", uuid.uuid4().hex
    with contextlib.suppress(DockerException, OSError):
        client = transport.client()
        client.import_image_from_data(bytes(1024), repository=repository, tag=tag)
        client.remove_image(f"{repository}:{tag}")
