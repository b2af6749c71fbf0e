"""Uploads to registries, by the OCI distribution specification (its chapter on pushing).

What a registry has is not sent again, and a manifest is put byte for byte, after all that it names:
no name stands for half an image.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import requests

from bailing_tasks import image_index
from bailing_tasks.engine.answers import (
    Failed,
    announced,
    checked_digest,
    read,
    retry_after,
)
from bailing_tasks.engine.blobs import Blob, Blobs, Manifest, manifests
from bailing_tasks.engine.exchange import Body
from bailing_tasks.engine.registry import ACCEPT, Registries
from bailing_tasks.errors import EngineError, IncompleteError, RegistryError
from bailing_tasks.failures import push_error, without_names
from bailing_tasks.image_index import OCI_MANIFEST
from bailing_tasks.mirrors import Source, server
from bailing_tasks.references import Reference

STALL = 60.0
"""Seconds that a registry may take to answer: it looks through all of a layer before it does."""
OCTETS = "application/octet-stream"

_AGAIN = (requests.codes.request_timeout, requests.codes.too_many_requests)


class PushFailed(Failed):
    """Makes the error for a failure of one request of a push."""

    def __call__(self, said: str, *, sign: str | None = None) -> RegistryError:
        """Return the error for what was said; `sign` tells its kind, as for `push_error`."""
        return push_error(said, reference=self.reference, host=self.host, sign=sign)

    def status(self, response: requests.Response, place: str) -> RegistryError:
        """Return the error for a status code, by the registry's own words where it has some."""
        code, words = response.status_code, "; ".join(_words(response))
        said = f"{code} {response.reason} from {place}" + (f": {words}" if words else "")
        found = self(said, sign=f"{code} {without_names(words, self.reference)}")
        if code < requests.codes.server_error and code not in _AGAIN:
            found.transient = False
        found.retry_after = retry_after(response)
        return found

    def unreachable(self, said: str, sign: str) -> RegistryError:
        """Return the error for a registry that this process cannot speak to."""
        return self(said, sign=sign)


def _words(response: requests.Response) -> Iterator[str]:
    """Yield what a registry says of its errors, which came from outside."""
    try:
        errors = response.json()["errors"]
        for error in errors:
            said = (error.get("code"), error.get("message"), _detail(error.get("detail")))
            yield " ".join(str(word) for word in said if word)
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _detail(detail: object) -> str:
    """Return what an error is at heart: the storage of distribution's registry says it there."""
    if isinstance(detail, dict) and isinstance(detail.get("Enclosed"), dict):
        number = detail["Enclosed"].get("Err")
        return os.strerror(number) if isinstance(number, int) else ""
    return detail if isinstance(detail, str) else ""


class Uploads(Registries):
    """Uploads to registries; keeps connections and tokens for the time of a run."""

    def image(self, blobs: Blobs, digest: str, destination: Reference) -> None:
        """Upload an image, with what attests it.

        Args:
            blobs: Where its parts are.
            digest: The digest of its manifest, or of its index.
            destination: The tag that it gets.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
            EngineError: Not all of it is there.
        """
        self.listen_again()
        if self.standing(destination) == digest:
            return
        try:
            raw = blobs.read(digest)
            for each in manifests(blobs, digest):
                part = blobs.read(each)
                for blob in dict.fromkeys(Manifest.parse(part).blobs):
                    self._blob(blob, blobs, destination)
                named = replace(destination, tag=None, digest=each)
                if each != digest and self.standing(named) != each:
                    self.put(part, named)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"{digest} cannot be pushed",
                cause=f"not all of it is here ({error})",
                remedy="build it again with --force",
            ) from error
        self.put(raw, destination)

    def check(self, destination: Reference) -> None:
        """Make sure that this login may push to a repository; nothing is sent.

        An engine may try for most of a minute what a registry refuses, and hide the registry's
        words.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        source, failed = self._towards(destination)
        place = self._begin(source, failed)
        with contextlib.suppress(RegistryError):  # where it is not taken back, it expires
            self._send("DELETE", place, source, failed)

    def standing(self, reference: Reference) -> str | None:
        """Return the digest that a tag stands for, of an index perhaps; None where it is free.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        source, failed = self._towards(reference)
        response = self._send("HEAD", _manifest(source, reference), source, failed)
        if response.status_code == requests.codes.not_found:
            return None
        if response.ok and announced(response) is None:
            # By the specification it need not say.
            response = self._send("GET", _manifest(source, reference), source, failed)
        if not response.ok:
            raise failed.status(response, _place(response))
        return announced(response) or checked_digest(response, reference.digest, failed)

    def put(self, raw: bytes, destination: Reference) -> str:
        """Put a manifest or an index under a tag or its digest; return the digest.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        source, failed = self._towards(destination)
        digest = image_index.digest(raw)
        document = json.loads(raw)
        kind = image_index.MEDIA_TYPE if "manifests" in document else OCI_MANIFEST
        media_type = document.get("mediaType", kind)
        url = _manifest(source, destination)
        response = self._send("PUT", url, source, failed, body=raw, media_type=media_type)
        if not response.ok:
            raise failed.status(response, _place(response))
        if announced(response) not in (None, digest):
            raise failed(f"it has it as {announced(response)}, not {digest}", sign="wrong digest")
        return digest

    def remove_tag(self, reference: Reference) -> None:
        """Take a tag away; many registries refuse it (OCI distribution specification, deleting).

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        source, failed = self._towards(reference)
        response = self._send("DELETE", _manifest(source, reference), source, failed)
        if not response.ok:
            raise failed.status(response, _place(response))

    def check_blob(self, reference: Reference, blob: Blob) -> None:
        """Make sure that a repository has a blob.

        Raises:
            IncompleteError: It does not.
            RegistryError: The registry denies it, or cannot be reached.
        """
        source, failed = self._towards(reference)
        if not self._has(blob, source, failed):
            raise IncompleteError(
                f"{reference.familiar} is not whole",
                cause=f"{source.repository} does not have its blob {blob.digest}",
                remedy="run it again; if it stays so, the registry is damaged",
                transient=True,
            )

    def _towards(self, reference: Reference) -> tuple[Source, PushFailed]:
        source = self.origin(reference)
        return source, PushFailed(reference=reference, platform="", host=source.host)

    def _blob(self, blob: Blob, blobs: Blobs, destination: Reference) -> None:
        source, failed = self._towards(destination)
        # One that cannot tell takes it all the same: of a full disk, half a link may be left.
        if not self._has(blob, source, failed, unknown=False):
            body = functools.partial(blobs.open, blob.digest)
            self._end(self._begin(source, failed), blob, body, source, failed)

    def _end(self, place: str, blob: Blob, body: Body, source: Source, failed: PushFailed) -> None:
        """Send a blob to where its upload goes."""
        url = f"{place}{'&' if '?' in place else '?'}digest={blob.digest}"
        ended = self._send("PUT", url, source, failed, body=body, media_type=OCTETS)
        if not ended.ok:
            raise failed.status(ended, _place(ended))

    def _has(
        self, blob: Blob, source: Source, failed: PushFailed, *, unknown: bool | None = None
    ) -> bool:
        """Whether a repository has a blob; `unknown`, if given, where the registry cannot tell."""
        url = f"{source.url}/v2/{source.name}/blobs/{blob.digest}"
        found = self._send("HEAD", url, source, failed, follow=False)
        # Some have it elsewhere, where HEAD may not be allowed.
        if found.ok or found.is_redirect:
            return True
        if found.status_code >= requests.codes.server_error and unknown is not None:
            return unknown
        if found.status_code != requests.codes.not_found:
            raise failed.status(found, _place(found))
        return False

    def _begin(self, source: Source, failed: Failed) -> str:
        """Begin an upload; return where it goes."""
        begun = self._send("POST", _uploads(source), source, failed)
        if not begun.ok:
            raise failed.status(begun, _place(begun))
        if "Location" not in begun.headers:
            raise failed("it does not say where the upload goes", sign="redirects")
        return self._sent_to(begun, failed)

    def _mount(self, blob: Blob, name: str, source: Source, failed: Failed) -> bool:
        """Have a repository take a blob from another one of its registry; whether it did.

        A registry need not: it begins an upload instead, which is taken back. A login may push
        here that may not read there.
        """
        asked = urlencode({"mount": blob.digest, "from": name})
        with contextlib.suppress(RegistryError):
            begun = self._send("POST", f"{_uploads(source)}?{asked}", source, failed)
            if begun.status_code == requests.codes.created:
                return True
            if begun.ok and "Location" in begun.headers:
                self._send("DELETE", self._sent_to(begun, failed), source, failed)
        return False

    def _send(
        self,
        method: str,
        url: str,
        source: Source,
        failed: Failed,
        *,
        body: Body = None,
        media_type: str = "",
        follow: bool = True,
    ) -> requests.Response:
        """Ask, with a login where it goes to the registry itself; the answer is read."""
        own = server(url) == server(source.url)
        described = {"Content-Type": media_type} if body else {"Accept": ACCEPT}
        ask = self._follow if follow else self._request
        response = self._authorized(
            source,
            failed,
            lambda login: ask(
                url,
                {**described, **(login if own else {})},
                failed,
                method=method,
                body=body,
                stall=STALL,
            ),
        )
        try:
            read(response, self.limits, failed)
        except requests.RequestException as error:
            raise failed(str(error), sign="connection aborted") from error
        return response


def _manifest(source: Source, reference: Reference) -> str:
    return f"{source.url}/v2/{source.name}/manifests/{reference.tag or reference.digest}"


def _uploads(source: Source) -> str:
    return f"{source.url}/v2/{source.name}/blobs/uploads/"


def _place(response: requests.Response) -> str:
    """Return what was asked, without what may be a registry's own secret behind it."""
    return response.url.partition("?")[0]
