"""Asks a registry, by the OCI distribution specification, which digest a reference stands for.

Credentials come from Docker's configuration and its credential helpers, by the Docker SDK;
none is kept, logged or put into an error.
"""

from __future__ import annotations

import base64
import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from bailing_tasks.engine.answers import (
    OVER,
    Failed,
    announced,
    as_json,
    checked_digest,
    entries,
    is_over,
    platform_names,
    platform_of,
    read,
    reason,
    remaining_pulls,
    sent_to,
)
from bailing_tasks.engine.base import Limits
from bailing_tasks.errors import PullError
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
REDIRECTS = 10
"""How often what is asked for may be somewhere else."""
CLIENT = "bailing-tasks"
"""What it calls itself where that is asked."""

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a reference stands for at a registry.

    Attributes:
        digest: The digest of the platform's manifest.
        index_digest: The digest of the index, or of the manifest where there is no index.
    """

    digest: str
    index_digest: str


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow nothing: to follow, the body would be read, however long that takes."""


class Registries:
    """Asks registries, from many threads at once.

    Keeps connections, tokens and who is silent for the time of a run.

    Attributes:
        limits: When a request is given up.
        remaining: For each host that said so, how many pulls it still allows.
    """

    def __init__(self) -> None:
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
        # Otherwise ~/.netrc would replace the credentials of Docker's configuration.
        self._session.auth = lambda request: request
        self._tokens: dict[tuple[str, str], str] = {}
        self._silent: dict[str, str] = {}
        self.limits = Limits()
        self.remaining: dict[str, int] = {}
        self._counting = threading.Lock()

    def listen_again(self) -> None:
        """Forget who was silent: what failed is about to be tried again."""
        self._silent.clear()

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

    def layers(self, reference: Reference, digest: str, source: Source) -> dict[str, int]:
        """Return the bytes of each layer of a manifest, by the short id that engines show.

        What cannot be found out is left out: this is for people to look at.
        """
        from bailing_tasks.engine.layout import Manifest

        try:
            found = Manifest.parse(self.manifest(reference, digest, source))
        except (PullError, ValueError):
            return {}
        return {layer.short: layer.size for layer in found.layers}

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
        url = f"{source.url}/v2/{source.name}/blobs/{digest}"
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        with self._authorized(
            source, failed, lambda login: self._follow(url, headers | login, failed, stall=stall)
        ) as response:
            if not response.ok:
                raise failed.status(response, url)
            try:
                yield response
            except requests.RequestException as error:
                raise failed(reason(error), sign="connection aborted") from error

    def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        failed: Failed,
        *,
        params: Mapping[str, str] | None = None,
        method: str = "GET",
        stall: float | None = None,
    ) -> requests.Response:
        """Go where a registry sends; a login is for the registry alone."""
        for _ in range(REDIRECTS):
            response = self._request(
                url, headers, failed, params=params, method=method, stall=stall
            )
            if not response.is_redirect:
                return response
            response.close()
            target = sent_to(response, failed)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers = {name: headers[name] for name in headers if name != "Authorization"}
            url, params = target, None
        raise failed(f"it was sent elsewhere {REDIRECTS} times", sign="redirects")

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

    def _authorized(
        self,
        source: Source,
        failed: Failed,
        ask: Callable[[dict[str, str]], requests.Response],
    ) -> requests.Response:
        key = (source.url, source.name)
        response = ask(self._authorization(key))
        if response.status_code == requests.codes.unauthorized:
            # There was no token, or it has expired.
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            self._tokens[key] = self._authorize(source, challenge, failed)
            response = ask(self._authorization(key))
        return response

    def _authorization(self, key: tuple[str, str]) -> dict[str, str]:
        return {"Authorization": self._tokens[key]} if key in self._tokens else {}

    def _authorize(self, source: Source, challenge: str, failed: Failed) -> str:
        """Return the Authorization header that a challenge asks for (RFC 6750, RFC 7617).

        An identity token is exchanged, by the registry's token specification (OAuth 2).
        """
        scheme, _, rest = challenge.partition(" ")
        login = self._login(source.host, failed)
        basic = _basic(login)
        if scheme.lower() == "basic":
            if not basic:
                raise failed("authentication required", sign="401")
            return basic
        found = dict(_CHALLENGE.findall(rest))
        realm = found.get("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise failed(f"401 with a challenge that is not understood: {scheme!r}", sign="401")
        asked = {"scope": f"repository:{source.name}:pull", **found}
        fields = {name: asked[name] for name in ("service", "scope") if name in asked}
        if token := login.get("identitytoken"):
            grant = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": token}
            answer = self._request(realm, {}, failed, form=fields | grant, method="POST")
        else:
            headers = {"Authorization": basic} if basic else {}
            answer = self._follow(realm, headers, failed, params=fields)
        if not answer.ok:
            raise failed.status(answer, "the token service")
        document = as_json(answer, failed)
        return f"Bearer {document.get('token') or document.get('access_token', '')}"

    def _login(self, host: str, failed: Failed) -> dict[str, str]:
        """Return what Docker knows of a host: `username` and `password`, or `identitytoken`."""
        from docker.errors import DockerException

        from docker import auth

        name = auth.INDEX_NAME if host == DOCKER_HUB else host
        try:
            found = auth.load_config().resolve_authconfig(name) or {}
        except (DockerException, OSError, ValueError, KeyError, TypeError) as error:
            raise failed(str(error) or type(error).__name__, sign="credential") from error
        # Upper and lower case depend on where the SDK has it from.
        return {key.lower(): value for key, value in found.items()}

    def _request(
        self,
        url: str,
        headers: Mapping[str, str],
        failed: Failed,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        method: str = "GET",
        stall: float | None = None,
    ) -> requests.Response:
        """Ask; with `stall` the body is left to the caller, to be read as it comes."""
        server = "/".join(url.split("/")[:3])
        host = server.rpartition("/")[2]
        if silent := self._silent.get(server):
            raise failed.unreachable(silent, "timeout")
        # Loopback is asked directly, as Docker does, whatever proxy the environment names.
        direct = {"http": "", "https": ""} if is_loopback(host) else None
        left = max(self.limits.left(), 0.1)
        connect, between = HEAD_TIMEOUT if method == "HEAD" else TIMEOUT
        between = min(stall or between, left)
        try:
            response = self._session.request(
                method,
                url,
                headers=dict(headers),
                params=params,
                data=form,
                timeout=(min(connect, left), between),
                proxies=direct,
                stream=True,
            )
            if stall is None:
                read(response, self.limits, failed)
        except requests.Timeout as error:
            silent = self._silent[server] = f"{server} was silent for {between:.0f} s"
            raise failed.unreachable(silent, "timeout") from error
        except requests.exceptions.SSLError as error:
            raise failed.unreachable(reason(error), "certificate") from error
        except requests.RequestException as error:
            said = OVER if is_over(self.limits) else reason(error)
            raise failed.unreachable(said, said.replace(host, "")) from error
        return response


def _basic(login: Mapping[str, str]) -> str:
    user, password = login.get("username"), login.get("password")
    if not user or password is None:
        return ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
