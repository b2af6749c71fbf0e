"""What a registry does wrong, for the proxy of the tests: how it answers, and what it spoils."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import os
import socket
import struct
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler

RETRY_AFTER = 3
"""Seconds that a 429 with Retry-After asks for."""
TRICKLE = (20, 0.2)
"""In how many parts a trickling body comes, and the seconds between them."""
CODES = {
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "MANIFEST_UNKNOWN",
    412: "PRECONDITION",
    429: "TOOMANYREQUESTS",
    500: "UNKNOWN",
    502: "UNAVAILABLE",
    507: "DENIED",
}


class Fault(Enum):
    """What a registry does wrong."""

    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TOO_MANY = "429"
    TOO_MANY_WAIT = "429 with Retry-After"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    RESET = "reset"
    SHORT = "ends early"
    CORRUPT = "corrupt"
    STALL = "stall"
    TRICKLE = "trickle"
    CIRCLE = "redirect in a circle"
    ANOTHER = "another digest"

    @property
    def status(self) -> int:
        """The status it is answered with; 0 where it begins like a good answer."""
        number = self.value[:3]
        return int(number) if number.isdigit() else 307 if self is Fault.CIRCLE else 0

    def befalls(self, method: str) -> bool:
        """Whether a request of some method can meet it: what spoils a body needs one."""
        return method == "GET" or self.status > 0


class SendingFault(Enum):
    """What goes wrong only where something is sent to a registry."""

    NO_SPACE = "507"
    IMMUTABLE = "412"
    LOST = "answer lost"
    RESET = "reset while sending"
    STALL = "stall while sending"

    @property
    def status(self) -> int:
        """The status it is answered with; 0 where there is no answer."""
        return int(self.value) if self.value.isdigit() else 0

    def befalls(self, method: str) -> bool:
        """Whether a request of some method can meet it."""
        return method in ("POST", "PUT", "PATCH")


@dataclass
class Order:
    """A fault that a test has asked for."""

    fault: Fault | SendingFault
    on: str
    path: str
    agent: str
    method: str
    words: str
    left: int | None
    after: int

    def wants(self, request: BaseHTTPRequestHandler) -> bool:
        """Whether a request meets the fault; it counts what it lets pass."""
        if not (
            self.left != 0
            and f"/{self.on}/" in request.path
            and self.path in request.path
            and self.agent in request.headers.get("User-Agent", "")
            and self.method in ("", request.command)
            and self.fault.befalls(request.command)
        ):
            return False
        self.after -= 1
        return self.after < 0


def cut(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces that are no larger."""
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def flipped(pieces: Iterator[bytes], position: int) -> Iterator[bytes]:
    """Yield the same bytes, with one bit flipped."""
    for piece in pieces:
        if 0 <= position < len(piece):
            yield piece[:position] + bytes([piece[position] ^ 1]) + piece[position + 1 :]
        else:
            yield piece
        position -= len(piece)


def another(answer: http.client.HTTPResponse) -> bytes:
    """Return something well-formed that is not what was asked for."""
    if "json" in answer.headers["Content-Type"]:
        document = json.loads(answer.read())
        return json.dumps(document | {"annotations": {"another": "one"}}).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("another"))
    return gzip.compress(archive.getvalue())


def reset(connection: socket.socket) -> None:
    """Close a connection so that the peer sees a reset, and no end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
