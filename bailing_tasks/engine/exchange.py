"""Speaks HTTP to registries, by the OCI distribution specification.

Credentials come from Docker's configuration and its credential helpers, by the Docker SDK;
none is kept, logged or put into an error.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

import requests
from requests.adapters import HTTPAdapter

from bailing_tasks.engine.answers import OVER, Failed, as_json, is_over, read, reason, sent_to
from bailing_tasks.engine.base import Limits
from bailing_tasks.failures import ANSWERS_PLAIN, SENT_TO_PLAIN
from bailing_tasks.mirrors import DOCKER_HUB, Source, is_loopback, origin, server
from bailing_tasks.references import Reference

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


_NO_TLS = re.compile("wrong version number|record layer failure|packet length too long", re.I)
"""How OpenSSL, before 3.2 and since, calls the answer of a server that speaks no TLS."""


class Passing(Protocol):
    """What is sent as it comes from elsewhere; how much that will be is known."""

    def __len__(self) -> int:
        """Return its bytes."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield it in pieces."""


Body = bytes | Callable[[], AbstractContextManager[Passing | BinaryIO]] | None
"""What is sent with a request; each attempt opens it anew."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow nothing: to follow, the body would be read, however long that takes."""


class Exchange:
    """Requests to registries, from many threads at once.

    Keeps connections, tokens and who is silent for the time of a run.

    Attributes:
        limits: When a request is given up.

    Args:
        plain_http: Hosts, with their ports, that are asked by HTTP; others but loopback by HTTPS.
    """

    def __init__(self, plain_http: Collection[str] = ()) -> None:
        self._plain_http = frozenset(plain_http)
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
        # Otherwise ~/.netrc would replace the credentials of Docker's configuration.
        self._session.auth = lambda request: request
        self._tokens: dict[tuple[str, str], str] = {}
        self._silent: dict[str, str] = {}
        self.limits = Limits()

    def origin(self, reference: Reference) -> Source:
        """Return a reference's own registry."""
        return origin(reference, self._plain_http)

    def listen_again(self) -> None:
        """Forget who was silent: what failed is about to be tried again."""
        self._silent.clear()

    def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        failed: Failed,
        *,
        params: Mapping[str, str] | None = None,
        method: str = "GET",
        body: Body = None,
        stall: float | None = None,
    ) -> requests.Response:
        """Go where a registry sends; a login is for the registry alone."""
        for _ in range(REDIRECTS):
            response = self._request(
                url, headers, failed, params=params, method=method, body=body, stall=stall
            )
            if not response.is_redirect:
                return response
            response.close()
            target = self._sent_to(response, failed)
            if server(target) != server(url):
                headers = {name: headers[name] for name in headers if name != "Authorization"}
            url, params = target, None
        raise failed(f"it was sent elsewhere {REDIRECTS} times", sign="redirects")

    def _authorized(
        self,
        source: Source,
        failed: Failed,
        ask: Callable[[dict[str, str]], requests.Response],
    ) -> requests.Response:
        """Ask, and once more with a login where the registry itself wants one.

        What a registry sends on to may be anyone's: its challenge is not answered (CVE-2020-15157).
        """
        key = (source.url, source.name)
        response = _own(ask(self._authorization(key)), source, failed)
        if response.status_code == requests.codes.unauthorized:
            # There was no token, or it has expired.
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            self._tokens[key] = self._authorize(source, challenge, failed)
            response = _own(ask(self._authorization(key)), source, failed)
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
        self._check_scheme(realm, source.url, failed)
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

    def _sent_to(self, response: requests.Response, failed: Failed) -> str:
        """Return the address that an answer sends to."""
        target = sent_to(response, failed)
        self._check_scheme(target, response.url, failed)
        return target

    def _check_scheme(self, target: str, asked: str, failed: Failed) -> None:
        """Refuse to go on by plain HTTP where nobody said so: all of it could be read on the way.

        Raises:
            RemoteError: It would be.
        """
        scheme, host = _server(target, failed)
        said = is_loopback(host) or host in self._plain_http
        if scheme == "http" and not said and server(asked) != (scheme, host):
            raise failed(f"it sends on to {host} by plain HTTP", sign=SENT_TO_PLAIN)

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
        body: Body = None,
        stall: float | None = None,
    ) -> requests.Response:
        """Ask; with `stall` the answer's body is left to the caller, to be read as it comes."""
        scheme, host = _server(url, failed)
        place = f"{scheme}://{host}"
        if silent := self._silent.get(place):
            raise failed.unreachable(silent, "timeout")
        # Loopback is asked directly, as Docker does, whatever proxy the environment names.
        direct = {"http": "", "https": ""} if is_loopback(host) else None
        left = max(self.limits.left(), 0.1)
        connect, between = HEAD_TIMEOUT if method == "HEAD" else TIMEOUT
        between = min(stall or between, left)
        try:
            with contextlib.ExitStack() as files:
                # As it is read: a layer may be larger than the memory.
                sent = files.enter_context(body()) if callable(body) else body
                response = self._session.request(
                    method,
                    url,
                    headers=dict(headers),
                    params=params,
                    data=form or sent,
                    timeout=(min(connect, left), between),
                    proxies=direct,
                    stream=True,
                )
            if stall is None:
                read(response, self.limits, failed)
        except requests.Timeout as error:
            silent = self._silent[place] = f"{place} was silent for {between:.0f} s"
            raise failed.unreachable(silent, "timeout") from error
        except requests.exceptions.SSLError as error:
            said = reason(error)
            sign = ANSWERS_PLAIN if _NO_TLS.search(said) else "certificate"
            raise failed.unreachable(said, sign) from error
        except requests.RequestException as error:
            said = OVER if is_over(self.limits) else reason(error)
            raise failed.unreachable(said, said.replace(host, "")) from error
        return response


def _own(response: requests.Response, source: Source, failed: Failed) -> requests.Response:
    """Return an answer, unless another host than the registry wants a login."""
    place = server(response.url)
    if response.status_code != requests.codes.unauthorized or place == server(source.url):
        return response
    response.close()
    said = f"it was sent elsewhere, to {place[1]}, which wants a login"
    raise failed(f"{said}; credentials go to {source.host} alone", sign="redirects")


def _server(url: str, failed: Failed) -> tuple[str, str]:
    """Return what `mirrors.server` does, of an address that came from outside."""
    try:
        return server(url)
    except ValueError as error:
        raise failed(f"it was sent elsewhere: {error}", sign="redirects") from error


def _basic(login: Mapping[str, str]) -> str:
    user, password = login.get("username"), login.get("password")
    if not user or password is None:
        return ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
