"""Copies images from registry to registry, byte for byte: manifests, blobs, and what attests them.

A layer is sent as it comes, neither held in memory nor on disk, and checked on the way. What the
other registry has is not sent again; a tag is put last, so that none stands for half an image.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field, replace

import requests

from bailing_tasks.engine.answers import Failed, pieces, reason
from bailing_tasks.engine.base import Progress
from bailing_tasks.engine.blobs import Blob, Manifest
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.mirrors import Source
from bailing_tasks.references import Reference, is_sha256


@dataclass(kw_only=True)
class Tally:
    """What was done for one image, over all attempts.

    Attributes:
        on_progress: Told where the sending of each blob stands.
        layers: The digests of the layers that were looked at.
        sent: Those of them that were sent.
        bytes: How many bytes were sent, configurations included.
    """

    on_progress: Callable[[Progress], None]
    layers: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What all parts of one image have in common."""

    wanted: Reference
    source: Source
    destination: Reference
    tally: Tally

    @property
    def failed(self) -> Failed:
        return Failed(reference=self.wanted, platform="", host=self.source.host)


class Copies(Uploads):
    """Copies images; several threads may use it, and share what their images share.

    Args:
        plain_http: Hosts of registries that are asked by HTTP.
    """

    def __init__(self, plain_http: Collection[str] = ()) -> None:
        super().__init__(plain_http)
        self._where: dict[tuple[str, str], str] = {}
        self._locks: dict[str, threading.Lock] = {}

    def copy(
        self, wanted: Reference, digest: str, source: Source, destination: Reference, tally: Tally
    ) -> None:
        """Copy an image, with all platforms of its index and what attests them.

        Args:
            wanted: What people know it by, for messages.
            digest: The digest of its index, or of its manifest where there is none.
            source: The registry that has it.
            destination: The tag that it gets.
            tally: Counts what is sent.

        Raises:
            PullError: The source does not have all of it, or cannot be reached.
            RegistryError: The destination denies it, or cannot be reached.
        """
        job = _Job(wanted=wanted, source=source, destination=destination, tally=tally)
        self.put(self._whole(digest, job), destination)

    def _whole(self, digest: str, job: _Job) -> bytes:
        """Return a manifest or an index, once all that it names is there."""
        raw = self.manifest(job.wanted, digest, job.source)
        try:
            listed, blobs = _parts(raw)
        except ValueError as error:
            raise job.failed(f"{digest} is no image ({error})", sign="digest") from error
        for each in listed:
            named = replace(job.destination, tag=None, digest=each)
            if self.standing(named) != each:
                self.put(self._whole(each, job), named)
        for blob in blobs:
            self._pass(blob, job)
        job.tally.layers.update(blob.digest for blob in blobs[1:])
        return raw

    def _pass(self, blob: Blob, job: _Job) -> None:
        """See that the destination has a blob: it is there, taken from beside, or sent."""
        to, failed = self._towards(job.destination)
        with self._locks.setdefault(blob.digest, threading.Lock()):
            if not self._has(blob, to, failed, unknown=False) and not self._from_beside(blob, job):
                self._end(
                    self._begin(to, failed), blob, lambda: self._passing(blob, job), to, failed
                )
                job.tally.sent.add(blob.digest)
                job.tally.bytes += blob.size
            self._where[to.url, blob.digest] = to.name

    def _from_beside(self, blob: Blob, job: _Job) -> bool:
        """Whether the destination took a blob from another of its own repositories."""
        to, failed = self._towards(job.destination)
        own = job.source.name if job.source.url == to.url else None
        name = self._where.get((to.url, blob.digest), own)
        return name not in (None, to.name) and self._mount(blob, str(name), to, failed)

    @contextlib.contextmanager
    def _passing(self, blob: Blob, job: _Job) -> Iterator[_Passing]:
        # What breaks while it is sent may be the destination's: it does not go through `blob`.
        response = self._open_blob(
            blob.digest, job.source, job.failed, start=0, stall=self.limits.stall
        )
        with response, contextlib.closing(self._checked(blob, response, job)) as found:
            yield _Passing(blob.size, found)

    def _checked(
        self, blob: Blob, response: requests.Response, job: _Job
    ) -> Generator[bytes, None, None]:
        """Yield a blob as it comes; the last piece only if all of it is what it has to be."""
        found, count = hashlib.sha256(), 0
        try:
            for piece in pieces(response, self.limits):
                found.update(piece)
                count += len(piece)
                digest = f"sha256:{found.hexdigest()}" if count == blob.size else blob.digest
                if count > blob.size or digest != blob.digest:
                    raise job.failed(f"a blob is not {blob.digest}", sign="wrong digest")
                job.tally.on_progress(
                    Progress(status="Downloading", layer=blob.short, current=count, total=blob.size)
                )
                yield piece
        except requests.RequestException as error:
            raise job.failed(reason(error), sign="connection aborted") from error
        if count < blob.size:
            raise job.failed(
                f"the connection ended after {count} of {blob.size} bytes",
                sign="connection aborted",
            )


class _Passing:
    def __init__(self, size: int, found: Iterator[bytes]) -> None:
        self._size = size
        self._found = found

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._found


def _parts(raw: bytes) -> tuple[list[str], list[Blob]]:
    """Return the manifests that an index lists, or a manifest's blobs, from outside.

    Layers that are had from elsewhere are left there, as clients do (OCI image specification,
    `urls` of a descriptor).

    Raises:
        ValueError: It is neither.
    """
    try:
        document = json.loads(raw)
        if "manifests" in document:
            listed = [str(each["digest"]) for each in document["manifests"]]
            if not all(map(is_sha256, listed)):
                raise ValueError("a digest is no SHA-256")
            return listed, []
        elsewhere = {each["digest"] for each in document["layers"] if each.get("urls")}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"neither an index nor a manifest: {error}") from error
    config, *layers = Manifest.parse(raw).blobs
    return [], [config, *(layer for layer in layers if layer.digest not in elsewhere)]
