"""Downloads images from registries into an OCI image layout.

A blob is checked while it comes and has its name only when it is whole; what came of an interrupted
one is kept and not asked for again. The manifest is written last: no half image can be taken.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import BinaryIO

import requests

from bailing_tasks.engine.answers import CHUNK, Failed, is_over, pieces
from bailing_tasks.engine.base import Limits, Progress
from bailing_tasks.engine.blobs import Blob, Manifest
from bailing_tasks.engine.layout import Layout
from bailing_tasks.engine.registry import Registries
from bailing_tasks.errors import PullError
from bailing_tasks.mirrors import Source
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.state import write_in_one_step


@dataclass(frozen=True, kw_only=True)
class _Download:
    """What all blobs of one image have in common."""

    source: Source
    wanted: Reference
    failed: Failed
    on_progress: Callable[[Progress], None]
    limits: Limits

    def tell(self, status: str, blob: Blob, current: int) -> None:
        self.on_progress(
            Progress(status=status, layer=blob.short, current=current, total=blob.size)
        )

    def check(self) -> None:
        """Raise PullError where the download is to be given up, by whatever it ended."""
        if is_over(self.limits):
            why = "it was interrupted" if self.limits.cancelled.is_set() else "its time is over"
            raise PullError(
                f"{self.wanted.familiar} could not be pulled",
                cause=why,
                remedy="run it again: it goes on from here",
                final=True,
            )


class Downloads:
    """Downloads into one layout; several threads may use it, and share what they all need.

    Args:
        layout: Where to.
        plain_http: Hosts of registries that are asked by HTTP.
    """

    def __init__(self, layout: Layout, plain_http: Collection[str] = ()) -> None:
        self._layout = layout
        self._registries = Registries(plain_http)
        self._locks: dict[str, threading.Lock] = {}

    def image(
        self,
        digest: str,
        *,
        source: Source,
        wanted: Reference,
        platform: Platform | None,
        on_progress: Callable[[Progress], None],
        limits: Limits,
    ) -> None:
        """Download an image by the digest of its manifest; all else is as in `Engine.pull`.

        Raises:
            PullError: It could not be downloaded.
        """
        download = _Download(
            source=source,
            wanted=wanted,
            failed=Failed(reference=wanted, platform=str(platform or ""), host=source.host),
            on_progress=on_progress,
            limits=limits,
        )
        if not digest.startswith("sha256:"):
            raise PullError(
                f"{wanted.familiar} could not be pulled",
                cause=f"its digest is no SHA-256: {digest}",
                remedy="name it by a tag, or by another digest",
            )
        self._registries.limits = limits
        self._registries.listen_again()
        raw = self._registries.manifest(wanted, digest, source)
        try:
            manifest = Manifest.parse(raw)
            self._layout.make()
            for blob in (manifest.config, *manifest.layers):
                self._blob(blob, download)
            write_in_one_step(self._layout.path(digest), raw)
        except ValueError as error:
            raise download.failed(str(error), sign="digest") from error
        except OSError as error:
            raise PullError(
                f"{wanted.familiar} could not be pulled",
                cause=f"{self._layout.folder} cannot be written to ({error})",
                remedy="free disk space there, or make the folder writable, then run it again",
                final=True,
            ) from error

    def _blob(self, blob: Blob, download: _Download) -> None:
        with self._locks.setdefault(blob.digest, threading.Lock()):
            if self._layout.has(blob):
                download.tell("Already exists", blob, 0)
                return
            download.check()
            partial = self._layout.partial(blob.digest)
            with partial.open("a+b") as file:
                try:
                    digest = self._receive(file, blob, download)
                except PullError:
                    download.check()
                    raise
                os.fsync(file.fileno())
            if digest != blob.digest:
                partial.unlink()
                raise download.failed(
                    f"a blob has the digest {digest}, not {blob.digest}", sign="wrong digest"
                )
            partial.replace(self._layout.path(blob.digest))
            download.tell("Pull complete", blob, blob.size)

    def _receive(self, file: BinaryIO, blob: Blob, download: _Download) -> str:
        """Write what is missing of a blob; return the digest of the whole."""
        found = _digest_so_far(file)
        download.tell("Starting", blob, file.tell())
        if file.tell() < blob.size:
            with self._registries.blob(
                download.wanted,
                blob.digest,
                download.source,
                start=file.tell(),
                stall=download.limits.stall,
            ) as response:
                if response.status_code != requests.codes.partial_content:
                    file.seek(0)
                    file.truncate()
                    found = hashlib.sha256()
                    download.tell("Starting", blob, 0)
                for chunk in pieces(response, download.limits):
                    file.write(chunk)
                    found.update(chunk)
                    download.tell("Downloading", blob, file.tell())
                    if file.tell() > blob.size:
                        break
            file.flush()
        if file.tell() < blob.size:
            raise download.failed(
                f"the connection ended after {file.tell()} of {blob.size} bytes",
                sign="connection aborted",
            )
        return f"sha256:{found.hexdigest()}"


def _digest_so_far(file: BinaryIO) -> hashlib._Hash:
    """Read a file to its end."""
    found = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(CHUNK):
        found.update(chunk)
    return found
