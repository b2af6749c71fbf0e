"""A token service before a registry, by the registry's token specification: tokens that expire."""

from __future__ import annotations

import base64
import secrets
import sys
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATH = "/token"


@dataclass
class Tokens:
    """Gives tokens for a login, each good for a number of requests.

    Attributes:
        login: The user and password that it wants, as `user:password`.
        uses: For how many requests a token is good.
        until: After how many requests in all the login ends: none is good from then on.
        given: The tokens so far.
    """

    login: str
    uses: int
    until: int = sys.maxsize
    given: list[str] = field(default_factory=list)
    _left: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, authorization: str) -> bool:
        """Whether a request's token is good; it is used by that."""
        token = authorization.removeprefix("Bearer ")
        with self._lock:
            left = self._left.get(token, 0) if self.until > 0 else 0
            self._left[token] = left - 1
            self.until -= left > 0
        return left > 0

    def give(self, authorization: str) -> str | None:
        """Return a new token; None where the login is another."""
        if authorization != basic(self.login) or self.until <= 0:
            return None
        token = secrets.token_hex(16)
        with self._lock:
            self.given.append(token)
            self._left[token] = self.uses
        return token

    def challenge(self, address: str, path: str) -> str:
        """Return the header by which a client is told where tokens are to be had."""
        name = urlsplit(path).path.removeprefix("/v2/").rpartition("/blobs/")[0]
        name = name or path.removeprefix("/v2/").rpartition("/manifests/")[0]
        return (
            f'Bearer realm="http://{address}{PATH}",service="tests",'
            f'scope="repository:{name}:pull,push"'
        )


def basic(login: str) -> str:
    """Return the Authorization header of a user and password."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"
