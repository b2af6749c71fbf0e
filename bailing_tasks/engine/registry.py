"""Asks a registry which digest a reference stands for, and for what that names."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from bailing_tasks.engine.answers import (
    Failed,
    announced,
    as_json,
    checked_digest,
    entries,
    platform_names,
    platform_of,
    reason,
    remaining_pulls,
)
from bailing_tasks.engine.exchange import Exchange
from bailing_tasks.errors import PullError
from bailing_tasks.mirrors import Source
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

if TYPE_CHECKING:
    from bailing_tasks.engine.blobs import Manifest

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a reference stands for at a registry.

    Attributes:
        digest: The digest of the platform's manifest.
        index_digest: The digest of the index, or of the manifest where there is no index.
    """

    digest: str
    index_digest: str


class Registries(Exchange):
    """Asks registries, from many threads at once.

    Attributes:
        remaining: For each host that said so, how many pulls it still allows.
    """

    def __init__(self, plain_http: Collection[str] = ()) -> None:
        super().__init__(plain_http)
        self.remaining: dict[str, int] = {}
        self._counting = threading.Lock()

    def head(self, reference: Reference, source: Source) -> str | None:
        """Return the digest that a source has for a tag, of the index where there is one.

        A HEAD counts for nothing where pulls are limited. None where the source does not say.

        Raises:
            PullError: As `resolve`.
        """
        failed = Failed(reference=reference, platform="", host=source.host)
        response = self._manifest(source, str(reference.tag), failed, method="HEAD")
        return announced(response)

    def resolve(self, reference: Reference, platform: Platform, source: Source) -> Resolved:
        """Return the digest that one source has for a reference and a platform.

        Raises:
            UnreachableError: It cannot be reached from here.
            PullError: It has none, denies it, or answers with something else.
        """
        failed = Failed(reference=reference, platform=str(platform), host=source.host)
        response = self._manifest(source, reference.digest or str(reference.tag), failed)
        digest = checked_digest(response, reference.digest, failed)
        document = as_json(response, failed)
        if "manifests" not in document:
            return Resolved(digest=digest, index_digest=digest)
        offered = {platform_of(entry): entry["digest"] for entry in entries(document, failed)}
        for taken in platform.preferences():
            if taken in offered:
                return Resolved(digest=offered[taken], index_digest=digest)
        raise failed(
            f"no matching manifest for {platform}; the index has {platform_names(document)}"
        )

    def contents(self, reference: Reference, digest: str, source: Source) -> Manifest | None:
        """Return what an image consists of by its manifest; None where that cannot be read."""
        from bailing_tasks.engine.blobs import Manifest

        try:
            return Manifest.parse(self.manifest(reference, digest, source))
        except (PullError, ValueError):
            return None

    def manifest(self, reference: Reference, digest: str, source: Source) -> bytes:
        """Return a manifest, byte for byte as its digest has it.

        Raises:
            PullError: As `resolve`.
        """
        failed = Failed(reference=reference, platform="", host=source.host)
        response = self._manifest(source, digest, failed)
        checked_digest(response, digest, failed)
        return response.content

    @contextlib.contextmanager
    def blob(
        self, reference: Reference, digest: str, source: Source, *, start: int, stall: float
    ) -> Iterator[requests.Response]:
        """Ask for a blob, whose body is then read as it comes; nothing of it is checked.

        Args:
            reference: What it belongs to, for messages.
            digest: Its digest.
            source: The registry that has it.
            start: From which byte on; the status says whether the registry does that (206).
            stall: Seconds without a byte after which it is given up.

        Raises:
            PullError: As `resolve`, or the connection broke while the body was read.
        """
        failed = Failed(reference=reference, platform="", host=source.host)
        with self._open_blob(digest, source, failed, start=start, stall=stall) as response:
            try:
                yield response
            except requests.RequestException as error:
                raise failed(reason(error), sign="connection aborted") from error

    def _open_blob(
        self, digest: str, source: Source, failed: Failed, *, start: int, stall: float
    ) -> requests.Response:
        url = f"{source.url}/v2/{source.name}/blobs/{digest}"
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        response = self._authorized(
            source, failed, lambda login: self._follow(url, headers | login, failed, stall=stall)
        )
        if not response.ok:
            with response:
                raise failed.status(response, url)
        return response

    def _manifest(
        self, source: Source, wanted: str, failed: Failed, *, method: str = "GET"
    ) -> requests.Response:
        url = f"{source.url}/v2/{source.name}/manifests/{wanted}"
        response = self._authorized(
            source,
            failed,
            lambda login: self._follow(url, {"Accept": ACCEPT} | login, failed, method=method),
        )
        remaining = remaining_pulls(response)
        if remaining is not None:
            # Answers of several threads come in any order.
            with self._counting:
                known = self.remaining.get(source.host, remaining)
                self.remaining[source.host] = min(known, remaining)
        if not response.ok:
            raise failed.status(response, url)
        return response
