"""Copies the external images of a workspace into a mirror, registry to registry.

Whatever fails, the others are copied; at the end an error names all that failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bailing_tasks import process
from bailing_tasks.console import Console
from bailing_tasks.engine.copying import Copies, Tally
from bailing_tasks.errors import PullError, RegistryError, RemoteError
from bailing_tasks.mirroring import Copy
from bailing_tasks.mirrors import Source
from bailing_tasks.parallel import in_parallel
from bailing_tasks.progress import Transfers, meter, transfers
from bailing_tasks.resolver import Resolver, combined
from bailing_tasks.retry import ATTEMPTS, retried
from bailing_tasks.units import size

SENT = "sent"
PRESENT = "present"
FAILED = "failed"
FOLLOW = "`invoke lock --update`, or `invoke prefetch --refresh` where there is no lock"


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What became of one image.

    Attributes:
        reference: The image in canonical form.
        destination: Its name in the mirror.
        status: `sent`, `present` or `failed`.
        digest: The digest of its index, or of its manifest where there is none.
        layers: How many layers were looked at; none where it was there.
        layers_sent: How many of them were not there.
        bytes: What was sent, in bytes.
        seconds: How long it took.
        cause: Why it failed.
        remedy: What to do about that.
    """

    reference: str
    destination: str
    status: str
    digest: str = ""
    layers: int = 0
    layers_sent: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cause: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        if self.status == FAILED:
            return f"{self.reference}: failed\n{self.cause}\nremedy: {self.remedy}"
        if self.status == PRESENT:
            return f"{self.reference}: present"
        return (
            f"{self.reference}: sent {self.layers_sent} of {self.layers} layers, "
            f"{size(self.bytes)} in {self.seconds:.1f} s"
        )


@dataclass(frozen=True, kw_only=True)
class MirrorResult:
    """What a mirror was given.

    Attributes:
        images: What became of each image.
        bytes: What was sent, in bytes.
        seconds: How long it took in all.
    """

    images: tuple[Mirrored, ...]
    bytes: int
    seconds: float

    def counts(self) -> dict[str, int]:
        """Return how many images ended in which way."""
        found = [image.status for image in self.images]
        return {status: found.count(status) for status in (SENT, PRESENT, FAILED)}

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts().items())
        return f"{counts}; {size(self.bytes)} in {self.seconds:.1f} s"

    def check(self) -> None:
        """End the run where something failed.

        Raises:
            RegistryError: It names all that failed.
        """
        failed = [image for image in self.images if image.status == FAILED]
        if failed:
            raise RegistryError(
                f"{len(failed)} of {len(self.images)} images could not be mirrored"
                + ("; the others are there" if len(failed) < len(self.images) else ""),
                cause="\n  ".join(f"{image.reference}: {image.cause}" for image in failed),
                remedy="\n  ".join(dict.fromkeys(image.remedy for image in failed)),
            )


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Copies images.

    Attributes:
        resolver: Knows who may have an image, and asks what it is where it is not pinned.
        registries: Copies.
        console: Who is told.
        jobs: How many images at once.
    """

    resolver: Resolver
    registries: Copies
    console: Console
    jobs: int

    def push(self, copies: Sequence[Copy]) -> MirrorResult:
        """Copy images; a failure is part of the result."""
        started = time.monotonic()
        with transfers(self.console, len(copies)) as shown:
            ended = in_parallel(lambda copy: self._pushed(copy, shown), copies, jobs=self.jobs)
            found = {id(copy): image for copy, image in self._tell(ended, shown)}
        images = tuple(found[id(copy)] for copy in copies)
        return MirrorResult(
            images=images,
            bytes=sum(image.bytes for image in images),
            seconds=time.monotonic() - started,
        )

    def commands(self, copies: Sequence[Copy]) -> list[str]:
        """Return the commands that do the same; none for what is there."""
        found = in_parallel(self._command, copies, jobs=self.jobs)
        lines = {id(copy): line for copy, line in found}
        return [lines[id(copy)] for copy in copies if lines[id(copy)]]

    def _command(self, copy: Copy) -> str:
        try:
            digest, (source, *_) = self._asked(copy)
            if self.registries.standing(copy.destination) == digest:
                return ""
        except RemoteError as error:
            return f"# {copy.image.reference}: {error.cause}"
        argv = ("docker", "buildx", "imagetools", "create", "--tag")
        return process.quote([*argv, str(copy.destination), f"{source.repository}@{digest}"])

    def _tell(
        self, ended: Iterator[tuple[Copy, Mirrored]], shown: Transfers
    ) -> Iterator[tuple[Copy, Mirrored]]:
        for copy, image in ended:
            shown.ended(str(image), failed=image.status == FAILED)
            yield copy, image

    def _pushed(self, copy: Copy, shown: Transfers) -> Mirrored:
        """Copy one image, again where that may help."""
        started, title = time.monotonic(), str(copy.image.reference)
        with shown.image(title) as transfer:
            tally = Tally(on_progress=meter(transfer))

            def on_wait(error: RemoteError, number: int, wait: float) -> None:
                self.console.say(
                    f"{title}: {error.cause}; attempt {number} of {ATTEMPTS} in {wait:.0f} s"
                )
                self.resolver.registries.listen_again()
                self.registries.listen_again()

            status, digest, cause, remedy = FAILED, "", "", ""
            try:
                status, digest = retried(lambda: self._copied(copy, tally), on_wait)
            except RemoteError as error:
                cause, remedy = error.cause or error.message, error.remedy
                if copy.pin and isinstance(error, PullError) and not error.transient:
                    remedy += f"\nif the tag has moved, and the old image is gone: {FOLLOW}"
        return Mirrored(
            reference=title,
            destination=str(copy.destination),
            status=status,
            digest=digest,
            layers=len(tally.layers),
            layers_sent=len(tally.layers & tally.sent),
            bytes=tally.bytes,
            seconds=time.monotonic() - started,
            cause=cause,
            remedy=remedy,
        )

    def _copied(self, copy: Copy, tally: Tally) -> tuple[str, str]:
        """Copy an image from the first source that has all of it; return what was done, and what.

        Raises:
            PullError: None has it.
            RegistryError: The mirror denies it, or cannot be reached.
        """
        digest, sources = self._asked(copy)
        if self.registries.standing(copy.destination) == digest:
            return PRESENT, digest
        errors: list[PullError] = []
        for source in sources:
            try:
                self.registries.copy(copy.image.reference, digest, source, copy.destination, tally)
            except PullError as error:
                errors.append(error)
                continue
            return SENT, digest
        raise combined(copy.image, errors)

    def _asked(self, copy: Copy) -> tuple[str, tuple[Source, ...]]:
        """Return what an image is, and who may have it.

        Raises:
            PullError: It is not pinned, and nobody has it.
        """
        pin = copy.pin or self.resolver.resolve(copy.image)
        return pin.index_digest, self.resolver.places(copy.image, pin)
