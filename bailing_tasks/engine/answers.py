"""What a registry answers: read with the care that things from outside need, or a failure."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import requests

from bailing_tasks.engine.base import Limits
from bailing_tasks.errors import AbsentError, BailingError, RemoteError, UnreachableError
from bailing_tasks.failures import pull_error
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference, is_sha256

CHUNK = 1 << 16
WATCH_SECONDS = 0.2
"""How soon reading ends once its time is over or the run is interrupted."""
LARGEST = 8 << 20
"""The most bytes of an answer that is no blob; registries take no manifest above 4 MiB."""
OVER = "timed out before the answer was whole"

_PLAIN = re.compile(r"[!-\[\]-~]*")
"""What a URL may consist of, and a little more (RFC 3986): no blank, backslash or control."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Makes the error for a failure of one request.

    Attributes:
        reference: What was asked for.
        platform: For which platform; empty where that does not matter.
        host: The registry.
    """

    reference: Reference
    platform: str
    host: str

    def __call__(self, said: str, *, sign: str | None = None) -> RemoteError:
        """Return the error for what was said; `sign` tells its kind, as for `pull_error`."""
        return pull_error(
            said, reference=self.reference, platform=self.platform, host=self.host, sign=sign
        )

    def status(self, response: requests.Response, place: str) -> RemoteError:
        """Return the error for a status code."""
        code = response.status_code
        found = self(f"{code} {response.reason} from {place}", sign=str(code))
        if code == requests.codes.not_found:
            return AbsentError(found.message, cause=found.cause, remedy=found.remedy)
        found.retry_after = retry_after(response)
        return found

    def unreachable(self, said: str, sign: str) -> RemoteError:
        """Return the error for a registry that this process cannot speak to."""
        found = self(said, sign=sign)
        return UnreachableError(
            found.message, cause=found.cause, remedy=found.remedy, transient=found.transient
        )


def retry_after(response: requests.Response) -> float | None:
    """Return how long a registry asks to wait: seconds, or until a date (RFC 9110, 10.2.3)."""
    said = response.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
        return max((until - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def remaining_pulls(response: requests.Response) -> int | None:
    """Return how many pulls a registry still allows; None where it does not say."""
    said = response.headers.get("ratelimit-remaining", "").partition(";")[0]
    # More digits than that are no count, and Python would not read very many.
    return int(said) if said.isdecimal() and len(said) < 10 else None


def sent_to(response: requests.Response, failed: Failed) -> str:
    """Return the address that a redirect names.

    Raises:
        PullError: It is no address.
    """
    location = response.headers["Location"]
    try:
        if not _PLAIN.fullmatch(location):  # `urljoin` would drop tabs and line ends
            raise ValueError("it has characters that no URL has")
        return urljoin(response.url, location)
    except ValueError as error:
        raise failed(f"it was sent elsewhere: {location}, no address", sign="redirects") from error


def is_over(limits: Limits) -> bool:
    """Whether the time is over, or the run is being interrupted."""
    return limits.cancelled.is_set() or limits.left() <= 0


def pieces(response: requests.Response, limits: Limits) -> Iterator[bytes]:
    """Yield a body as it comes; a run that is over ends it also while little or nothing comes."""
    with _watched(response, limits):
        yield from response.iter_content(CHUNK)


def read(response: requests.Response, limits: Limits, failed: Failed) -> None:
    """Read the body of an answer that is no blob, which is then its `content`.

    Raises:
        PullError: It is too large to be one, or the time is over.
        requests.RequestException: The connection broke.
    """
    body = bytearray()
    for piece in pieces(response, limits):
        body += piece
        if len(body) > LARGEST:
            response.close()
            raise failed(f"the answer has more than {LARGEST} bytes", sign="digest")
    if is_over(limits):
        # A body without a length just ends where it is cut.
        raise failed(OVER)
    # By itself `requests` would read it without an end.
    response._content = bytes(body)


@contextlib.contextmanager
def _watched(response: requests.Response, limits: Limits) -> Iterator[None]:
    if response.raw.closed:  # an empty body
        yield
        return
    done = threading.Event()
    connection = socket.socket(fileno=os.dup(response.raw.fileno()))

    def watch() -> None:
        while not done.wait(WATCH_SECONDS):
            if is_over(limits):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        connection.close()


def as_json(response: requests.Response, failed: Failed) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        PullError: It holds none.
    """
    try:
        document = response.json()
    except ValueError as error:
        raise failed("the answer is no JSON", sign="connection aborted") from error
    if not isinstance(document, dict):
        raise failed("the answer is no manifest", sign="digest")
    return document


def announced(response: requests.Response) -> str | None:
    """Return the digest that an answer announces; None where that is no SHA-256."""
    said = response.headers.get("Docker-Content-Digest", "")
    return said if is_sha256(said) else None


def checked_digest(response: requests.Response, wanted: str | None, failed: Failed) -> str:
    """Return the digest of what came: by the algorithm that was asked for, else SHA-256.

    Raises:
        PullError: It is not the one that was asked for or announced.
    """
    expected = wanted or announced(response)
    algorithm = expected.partition(":")[0] if expected else "sha256"
    found = f"{algorithm}:{hashlib.new(algorithm, response.content).hexdigest()}"
    if expected and expected != found:
        raise failed(f"the answer has the digest {found}, not {expected}", sign="wrong digest")
    return found


def entries(document: Mapping[str, Any], failed: Failed) -> list[dict[str, Any]]:
    """Return the entries of an index, which came from outside.

    Raises:
        PullError: It is none by the OCI image specification.
    """
    found = document["manifests"]
    if not isinstance(found, list) or not all(
        isinstance(entry, dict)
        and isinstance(entry.get("platform") or {}, dict)
        and is_sha256(str(entry.get("digest")))
        for entry in found
    ):
        raise failed("the answer is no index", sign="digest")
    return found


def platform_of(entry: Mapping[str, Any]) -> Platform | None:
    """Return the platform of an entry of an index; None where it names none."""
    found = entry.get("platform") or {}
    parts = (found.get("os"), found.get("architecture"), found.get("variant"))
    try:
        return Platform.parse("/".join(str(part) for part in parts if part))
    except BailingError:
        return None


def platform_names(document: Mapping[str, Any]) -> str:
    """Return the platforms of an index for people."""
    named = (entry.get("platform") or {} for entry in document["manifests"])
    return ", ".join(
        f"{found.get('os')}/{found.get('architecture')}"
        for found in named
        if found.get("os") not in (None, "unknown")
    )


def reason(error: requests.RequestException) -> str:
    """Return what went wrong, without the address that was asked."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", None) or cause)
