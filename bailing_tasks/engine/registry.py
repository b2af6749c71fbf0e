"""Asks a registry, by the OCI distribution specification, which digest a reference stands for.

Credentials come from Docker's configuration and its credential helpers, by the Docker SDK;
none is kept, logged or put into an error.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bailing_tasks.engine.base import Limits
from bailing_tasks.errors import BailingError, PullError, UnreachableError
from bailing_tasks.failures import pull_error
from bailing_tasks.mirrors import DOCKER_HUB, Source, is_loopback
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
TIMEOUT = (5.0, 15.0)
"""Seconds to connect, and between two bytes."""
HEAD_TIMEOUT = (2.0, 3.0)
"""The same where the answer is only good to know."""
POOL = 32
"""Connections that are kept open to one host."""

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a reference stands for at a registry.

    Attributes:
        digest: The digest of the platform's manifest.
        index_digest: The digest of the index, or of the manifest where there is no index.
    """

    digest: str
    index_digest: str


class Registries:
    """Asks registries, from many threads at once.

    Keeps connections, tokens and who is silent for the time of a run.

    Attributes:
        limits: When a request is given up.
        remaining: For each host that said so, how many pulls it still allows.
    """

    def __init__(self) -> None:
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
        # Otherwise ~/.netrc would replace the credentials of Docker's configuration.
        self._session.auth = lambda request: request
        self._tokens: dict[tuple[str, str], str] = {}
        self._silent: dict[str, str] = {}
        self.limits = Limits()
        self.remaining: dict[str, int] = {}

    def listen_again(self) -> None:
        """Forget who was silent: what failed is about to be tried again."""
        self._silent.clear()

    def head(self, reference: Reference, source: Source) -> str | None:
        """Return the digest that a source has for a tag, of the index where there is one.

        A HEAD counts for nothing where pulls are limited. None where the source does not say.

        Raises:
            PullError: As `resolve`.
        """
        failed = _Failed(reference=reference, platform="", host=source.host)
        response = self._manifest(source, str(reference.tag), failed, method="HEAD")
        return response.headers.get("Docker-Content-Digest")

    def resolve(self, reference: Reference, platform: Platform, source: Source) -> Resolved:
        """Return the digest that one source has for a reference and a platform.

        Raises:
            UnreachableError: It cannot be reached from here.
            PullError: It has none, denies it, or answers with something else.
        """
        failed = _Failed(reference=reference, platform=str(platform), host=source.host)
        response = self._manifest(source, reference.digest or str(reference.tag), failed)
        digest = _digest(response, reference.digest, failed)
        document = _json(response, failed)
        if "manifests" not in document:
            return Resolved(digest=digest, index_digest=digest)
        offered = {_platform(entry): entry["digest"] for entry in _entries(document, failed)}
        for taken in platform.preferences():
            if taken in offered:
                return Resolved(digest=offered[taken], index_digest=digest)
        raise failed(f"no matching manifest for {platform}; the index has {_platforms(document)}")

    def layers(self, reference: Reference, digest: str, source: Source) -> dict[str, int]:
        """Return the bytes of each layer of a manifest, by the short id that engines show.

        What cannot be found out is left out: this is for people to look at.
        """
        failed = _Failed(reference=reference, platform="", host=source.host)
        try:
            found = _json(self._manifest(source, digest, failed), failed).get("layers", ())
            return {layer["digest"].partition(":")[2][:12]: int(layer["size"]) for layer in found}
        except (PullError, KeyError, TypeError, ValueError, AttributeError):
            return {}

    def _manifest(
        self, source: Source, wanted: str, failed: _Failed, *, method: str = "GET"
    ) -> requests.Response:
        url = f"{source.url}/v2/{source.name}/manifests/{wanted}"
        headers = {"Accept": ACCEPT}
        key = (source.url, source.name)
        response = self._request(url, headers | self._authorization(key), failed, method=method)
        if response.status_code == requests.codes.unauthorized:
            # There was no token, or it has expired.
            challenge = response.headers.get("WWW-Authenticate", "")
            self._tokens[key] = self._authorize(source, challenge, failed)
            response = self._request(url, headers | self._authorization(key), failed, method=method)
        remaining = response.headers.get("ratelimit-remaining", "").partition(";")[0]
        if remaining.isdecimal():
            self.remaining[source.host] = int(remaining)
        if not response.ok:
            raise failed.status(response, url)
        return response

    def _authorization(self, key: tuple[str, str]) -> dict[str, str]:
        return {"Authorization": self._tokens[key]} if key in self._tokens else {}

    def _authorize(self, source: Source, challenge: str, failed: _Failed) -> str:
        """Return the Authorization header that a challenge asks for (RFC 6750, RFC 7617)."""
        scheme, _, rest = challenge.partition(" ")
        basic = self._basic(source.host, failed)
        if scheme.lower() == "basic":
            if not basic:
                raise failed("authentication required", sign="401")
            return basic
        fields = dict(_CHALLENGE.findall(rest))
        realm = fields.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise failed(f"401 with a challenge that is not understood: {scheme!r}", sign="401")
        fields.setdefault("scope", f"repository:{source.name}:pull")
        answer = self._request(realm, {"Authorization": basic} if basic else {}, failed, fields)
        if not answer.ok:
            raise failed.status(answer, "the token service")
        document = _json(answer, failed)
        return f"Bearer {document.get('token') or document.get('access_token', '')}"

    def _basic(self, host: str, failed: _Failed) -> str:
        from docker.errors import DockerException

        from docker import auth

        name = auth.INDEX_NAME if host == DOCKER_HUB else host
        try:
            found = auth.load_config().resolve_authconfig(name) or {}
        except (DockerException, OSError, ValueError, KeyError, TypeError) as error:
            raise failed(str(error) or type(error).__name__, sign="credential") from error
        if found.get("IdentityToken") or found.get("identitytoken"):
            raise failed.unreachable("its login is an identity token, which engines use", "401")
        user, password = found.get("username"), found.get("password")
        if not user or password is None:
            return ""
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _request(
        self,
        url: str,
        headers: Mapping[str, str],
        failed: _Failed,
        params: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
    ) -> requests.Response:
        server = "/".join(url.split("/")[:3])
        host = server.rpartition("/")[2]
        if server in self._silent:
            raise failed.unreachable(self._silent[server], "timeout")
        # Loopback is asked directly, as Docker does, whatever proxy the environment names.
        direct = {"http": "", "https": ""} if is_loopback(host) else None
        left = max(self.limits.left(), 0.1)
        connect, read = HEAD_TIMEOUT if method == "HEAD" else TIMEOUT
        try:
            return self._session.request(
                method,
                url,
                headers=dict(headers),
                params=params,
                timeout=(min(connect, left), min(read, left)),
                proxies=direct,
                allow_redirects=True,
            )
        except requests.Timeout as error:
            self._silent[server] = f"{server} was silent for {min(read, left):.0f} s"
            raise failed.unreachable(self._silent[server], "timeout") from error
        except requests.exceptions.SSLError as error:
            raise failed.unreachable(_reason(error), "certificate") from error
        except requests.RequestException as error:
            said = _reason(error)
            raise failed.unreachable(said, said.replace(host, "")) from error


@dataclass(frozen=True, kw_only=True)
class _Failed:
    """Makes the error for a failure of one request."""

    reference: Reference
    platform: str
    host: str

    def __call__(self, said: str, *, sign: str | None = None) -> PullError:
        return pull_error(
            said, reference=self.reference, platform=self.platform, host=self.host, sign=sign
        )

    def status(self, response: requests.Response, place: str) -> PullError:
        """Return the error for a status code."""
        code = response.status_code
        found = self(f"{code} {response.reason} from {place}", sign=str(code))
        found.retry_after = _seconds(response.headers.get("Retry-After", ""))
        return found

    def unreachable(self, said: str, sign: str) -> UnreachableError:
        """Return the error for a registry that this process cannot speak to."""
        found = self(said, sign=sign)
        return UnreachableError(
            found.message, cause=found.cause, remedy=found.remedy, transient=found.transient
        )


def _seconds(retry_after: str) -> float | None:
    """Return how long a registry asks to wait: seconds, or until a date (RFC 9110, 10.2.3)."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        return max((until - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _reason(error: requests.RequestException) -> str:
    """Return what went wrong, without the address that was asked."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", None) or cause)


def _json(response: requests.Response, failed: _Failed) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError as error:
        raise failed("the answer is no JSON", sign="connection aborted") from error
    if not isinstance(document, dict):
        raise failed("the answer is no manifest", sign="digest")
    return document


def _digest(response: requests.Response, wanted: str | None, failed: _Failed) -> str:
    """Return the digest of what came, which has to be the one that was asked for or announced."""
    found = f"sha256:{hashlib.sha256(response.content).hexdigest()}"
    announced = wanted or response.headers.get("Docker-Content-Digest") or found
    if announced.startswith("sha256:") and announced != found:
        raise failed(f"the answer has the digest {found}, not {announced}", sign="wrong digest")
    return announced


def _entries(document: Mapping[str, Any], failed: _Failed) -> list[dict[str, Any]]:
    """Return the entries of an index (OCI image specification), which is what came from outside."""
    entries = document["manifests"]
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict)
        and isinstance(entry.get("platform") or {}, dict)
        and _DIGEST.fullmatch(str(entry.get("digest")))
        for entry in entries
    ):
        raise failed("the answer is no index", sign="digest")
    return entries


def _platform(entry: Mapping[str, Any]) -> Platform | None:
    found = entry.get("platform") or {}
    parts = (found.get("os"), found.get("architecture"), found.get("variant"))
    try:
        return Platform.parse("/".join(str(part) for part in parts if part))
    except BailingError:
        return None


def _platforms(document: Mapping[str, Any]) -> str:
    named = (entry.get("platform") or {} for entry in document["manifests"])
    return ", ".join(
        f"{found.get('os')}/{found.get('architecture')}"
        for found in named
        if found.get("os") not in (None, "unknown")
    )
