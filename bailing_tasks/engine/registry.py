"""Asks a registry, by the OCI distribution specification, which digest a reference stands for.

Credentials come from Docker's configuration and its credential helpers, by the Docker SDK;
none is kept, logged or put into an error.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from bailing_tasks.errors import PullError, UnreachableError
from bailing_tasks.failures import pull_error
from bailing_tasks.mirrors import DOCKER_HUB, Source
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from docker import auth

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
TIMEOUT = (10.0, 30.0)
"""Seconds to connect, and between two bytes."""

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a reference stands for at a registry.

    Attributes:
        digest: The digest of the platform's manifest.
        index_digest: The digest of the index, or of the manifest where there is no index.
        source: Who said so.
    """

    digest: str
    index_digest: str
    source: Source


class Registries:
    """Asks registries; keeps connections and tokens for the time of a run."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._tokens: dict[tuple[str, str], str] = {}
        self._config = auth.load_config()

    def resolve(self, reference: Reference, platform: Platform, source: Source) -> Resolved:
        """Return the digest that one source has for a reference and a platform.

        Raises:
            UnreachableError: It cannot be reached from here.
            PullError: It has none, or denies it.
        """
        failed = _Failed(image=reference.familiar, platform=str(platform), host=source.host)
        response = self._get(source, f"manifests/{reference.digest or reference.tag}", failed)
        document = _json(response, failed)
        digest = response.headers.get("Docker-Content-Digest") or _sha256(response.content)
        if "manifests" not in document:
            return Resolved(digest=digest, index_digest=digest, source=source)
        for entry in document["manifests"]:
            if _is_for(entry, platform):
                return Resolved(digest=entry["digest"], index_digest=digest, source=source)
        raise failed(f"no matching manifest for {platform}; the index has {_platforms(document)}")

    def _get(self, source: Source, path: str, failed: _Failed) -> requests.Response:
        url = f"{source.url}/v2/{source.name}/{path}"
        headers = {"Accept": ACCEPT}
        token = self._tokens.get((source.url, source.name))
        if token:
            headers["Authorization"] = token
        response = self._request(url, headers, failed)
        if response.status_code == requests.codes.unauthorized and not token:
            token = self._authorize(source, response.headers.get("WWW-Authenticate", ""), failed)
            self._tokens[(source.url, source.name)] = token
            response = self._request(url, headers | {"Authorization": token}, failed)
        if not response.ok:
            raise failed(f"{response.status_code} {response.reason} from {url}")
        return response

    def _authorize(self, source: Source, challenge: str, failed: _Failed) -> str:
        """Return the Authorization header that a challenge asks for (RFC 6750, RFC 7617)."""
        scheme, _, rest = challenge.partition(" ")
        basic = self._basic(source.host)
        if scheme.lower() == "basic":
            if not basic:
                raise failed("401 authentication required")
            return basic
        fields = dict(_CHALLENGE.findall(rest))
        realm = fields.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise failed(f"401 with a challenge that is not understood: {scheme!r}")
        fields.setdefault("scope", f"repository:{source.name}:pull")
        answer = self._request(realm, {"Authorization": basic} if basic else {}, failed, fields)
        if not answer.ok:
            raise failed(f"{answer.status_code} {answer.reason} from the token service")
        document = _json(answer, failed)
        return f"Bearer {document.get('token') or document.get('access_token', '')}"

    def _basic(self, host: str) -> str:
        name = auth.INDEX_NAME if host == DOCKER_HUB else host
        found = self._config.resolve_authconfig(name) or {}
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
    ) -> requests.Response:
        try:
            return self._session.get(url, headers=dict(headers), params=params, timeout=TIMEOUT)
        except requests.RequestException as error:
            found = failed(str(error))
            raise UnreachableError(
                found.message, cause=found.cause, remedy=found.remedy, transient=found.transient
            ) from error


@dataclass(frozen=True, kw_only=True)
class _Failed:
    image: str
    platform: str
    host: str

    def __call__(self, message: str) -> PullError:
        return pull_error(message, image=self.image, platform=self.platform, host=self.host)


def _json(response: requests.Response, failed: _Failed) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError as error:
        raise failed("the answer is no JSON: the connection broke, or it is no registry") from error
    if not isinstance(document, dict):
        raise failed("the answer is no manifest")
    return document


def _is_for(entry: Mapping[str, Any], platform: Platform) -> bool:
    found = entry.get("platform") or {}
    text = "/".join(
        filter(None, (found.get("os"), found.get("architecture"), found.get("variant")))
    )
    return text.count("/") > 0 and "unknown" not in text and Platform.parse(text) == platform


def _platforms(document: Mapping[str, Any]) -> str:
    named = (entry.get("platform") or {} for entry in document["manifests"])
    return ", ".join(
        f"{found.get('os')}/{found.get('architecture')}"
        for found in named
        if found.get("os") not in (None, "unknown")
    )


def _sha256(content: bytes) -> str:
    import hashlib

    return f"sha256:{hashlib.sha256(content).hexdigest()}"
