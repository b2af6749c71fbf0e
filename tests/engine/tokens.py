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
    """Gives tokens for a login, which all expire after a number of requests, again and again.

    Attributes:
        login: The user and password that it wants, as `user:password`.
        uses: After how many requests those that were given expire.
        until: After how many requests in all the login ends: none is good from then on.
        given: The tokens so far.
    """

    login: str
    uses: int
    until: int = sys.maxsize
    given: list[str] = field(default_factory=list)
    _good: set[str] = field(default_factory=set)
    _admitted: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, authorization: str) -> bool:
        """Whether a request's token is good; it is used by that."""
        token = authorization.removeprefix("Bearer ")
        with self._lock:
            if token not in self._good or self._admitted >= self.until:
                return False
            self._admitted += 1
            if self._admitted % self.uses == 0:
                self._good.clear()
        return True

    def give(self, authorization: str) -> str | None:
        """Return a new token; None where the login is another."""
        if authorization != basic(self.login) or self._admitted >= self.until:
            return None
        token = secrets.token_hex(16)
        with self._lock:
            self.given.append(token)
            self._good.add(token)
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
