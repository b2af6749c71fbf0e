"""A proxy before a registry, for tests: it logs every request and fails as registries do.

It serves pulls and pushes. Bodies are passed on in pieces, however big a blob is.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import io
import json
import os
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 1 << 16
RETRY_AFTER = 3
"""Seconds that a 429 with Retry-After asks for."""
TRICKLE = (20, 0.2)
"""In how many parts a trickling body comes, and the seconds between them."""
TLS = b"\x16"
"""How a TLS connection begins (RFC 8446: a handshake record)."""
UNANSWERED = 0
"""The status that the log has for a request that a silent registry took."""
_HOP = {"connection", "date", "keep-alive", "server", "transfer-encoding"}
_CODES = {
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "MANIFEST_UNKNOWN",
    429: "TOOMANYREQUESTS",
    500: "UNKNOWN",
    502: "UNAVAILABLE",
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


@dataclass
class _Order:
    """A fault that a test has asked for."""

    fault: Fault
    on: str
    path: str
    agent: str
    method: str
    words: str
    left: int | None

    def wants(self, request: BaseHTTPRequestHandler) -> bool:
        return (
            self.left != 0
            and f"/{self.on}/" in request.path
            and self.path in request.path
            and self.agent in request.headers.get("User-Agent", "")
            and self.method in ("", request.command)
            and (request.command == "GET" or self.fault.status > 0)
        )


class RegistryProxy:
    """A proxy on a loopback port before a registry, from `with` to its end.

    Attributes:
        address: Where it listens, as `127.0.0.1:port`.
        login: The user and password that it wants, as `user:password`; empty for none.
        log: Method, path and status of each request so far, in the order of the answers.

    Args:
        registry: The address of the registry that answers.
    """

    def __init__(self, registry: str) -> None:
        self.registry = registry
        self.log: list[tuple[str, str, int]] = []
        self.gone = threading.Event()
        self.is_silent = False
        self.login = ""
        self._orders: list[_Order] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RegistryProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(
        self,
        fault: Fault,
        *,
        on: str,
        times: int | None = None,
        path: str = "",
        agent: str = "",
        method: str = "",
        words: str = "",
    ) -> None:
        """Answer with a fault from now on.

        Args:
            fault: What goes wrong.
            on: `manifests` or `blobs`.
            times: How often; None for good.
            path: What a request's path has to hold: a repository, a tag, a digest.
            agent: What a request's User-Agent has to hold.
            method: Its method; empty for any.
            words: What the answer says of the error.
        """
        with self._lock:
            self._orders.append(_Order(fault, on, path, agent, method, words, times))

    def heal(self) -> None:
        """Answer well from now on."""
        with self._lock:
            self._orders.clear()

    def silent(self) -> None:
        """Accept connections from now on, and never answer."""
        self.is_silent = True

    def stop(self) -> None:
        """Close the port and every connection; again does nothing."""
        if not self.gone.is_set():
            self.gone.set()
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()

    def ordered(self, request: BaseHTTPRequestHandler) -> tuple[Fault | None, str]:
        """Return the fault that a request meets, with its words, and count it."""
        login = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if self.login and request.headers.get("Authorization") != login:
            return Fault.UNAUTHORIZED, ""
        with self._lock:
            for order in self._orders:
                if order.wants(request):
                    order.left = None if order.left is None else order.left - 1
                    return order.fault, order.words
        return None, ""


class _Server(ThreadingHTTPServer):
    """Keeps the open connections, as clients keep theirs alive."""

    def __init__(self, proxy: RegistryProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hung up

    def hang_up(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        proxy = self.server.proxy
        if proxy.is_silent:
            self._note(UNANSWERED)
            self._hang()
            return
        fault, words = proxy.ordered(self)
        if fault and fault.status:
            self._refuse(fault, words or fault.value)
        else:
            self._forward(fault)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def handle(self) -> None:
        # Engines try HTTPS first, and go on without it where the answer is plain HTTP.
        with contextlib.suppress(OSError):
            if self.rfile.peek(1)[:1] != TLS:  # type: ignore[attr-defined]
                super().handle()
            elif self.server.proxy.is_silent:
                self._hang()
            else:
                self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass

    def _note(self, status: int) -> None:
        self.server.proxy.log.append((self.command, self.path, status))

    def _hang(self) -> None:
        self.server.proxy.gone.wait()
        self.close_connection = True

    def _refuse(self, fault: Fault, words: str) -> None:
        self._note(fault.status)
        for _ in self._sent():
            pass
        errors = [{"code": _CODES.get(fault.status, "UNKNOWN"), "message": words}]
        body = json.dumps({"errors": errors}).encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if fault is Fault.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        if fault is Fault.TOO_MANY_WAIT:
            self.send_header("Retry-After", str(RETRY_AFTER))
        if fault is Fault.CIRCLE:
            self.send_header("Location", f"http://{self.server.proxy.address}{self.path}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _forward(self, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection(self.server.proxy.registry, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders()
            for piece in self._sent():
                upstream.send(piece)
            self._pass_on(upstream.getresponse(), fault)
        finally:
            upstream.close()

    def _sent(self) -> Iterator[bytes]:
        """Yield the body of the request as it comes, with the marks of its chunks."""
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, PIECE))
            left -= len(piece)
            yield piece
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        while chunked:
            size = self.rfile.readline()
            chunked = int(size, 16) > 0
            yield size + self.rfile.read(int(size, 16) + len(b"\r\n"))

    def _pass_on(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        self._note(answer.status)
        length = int(answer.headers.get("Content-Length", "0"))
        pieces = iter(lambda: answer.read(PIECE), b"")
        if fault is Fault.ANOTHER:
            body = _another(answer)
            length, pieces = len(body), iter([body])
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self._send(pieces, length, fault)

    def _send(self, pieces: Iterator[bytes], length: int, fault: Fault | None) -> None:
        if fault in (Fault.RESET, Fault.SHORT, Fault.STALL):
            self._send_half(pieces, length // 2, fault)
        elif fault is Fault.TRICKLE:
            parts, pause = TRICKLE
            for piece in _cut(pieces, -(-length // parts)):
                self.wfile.write(piece)
                time.sleep(pause)
        elif fault is Fault.CORRUPT:
            self._send_with_a_flipped_bit(pieces, length // 2)
        else:
            for piece in pieces:
                self.wfile.write(piece)

    def _send_half(self, pieces: Iterator[bytes], half: int, fault: Fault) -> None:
        for piece in pieces:
            self.wfile.write(piece[:half])
            half -= len(piece[:half])
            if not half:
                break
        self.close_connection = True
        if fault is Fault.STALL:
            self._hang()
        elif fault is Fault.RESET:
            time.sleep(0.05)  # else the half is lost with the connection
            _reset(self.connection)

    def _send_with_a_flipped_bit(self, pieces: Iterator[bytes], position: int) -> None:
        for piece in pieces:
            if 0 <= position < len(piece):
                flipped = bytes([piece[position] ^ 1])
                piece = piece[:position] + flipped + piece[position + 1 :]
            self.wfile.write(piece)
            position -= len(piece)


def _reset(connection: socket.socket) -> None:
    """Close a connection so that the peer sees a reset, and no end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def _cut(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def _another(answer: http.client.HTTPResponse) -> bytes:
    """Return something well-formed that is not what was asked for."""
    if "json" in answer.headers["Content-Type"]:
        document = json.loads(answer.read())
        return json.dumps(document | {"annotations": {"another": "one"}}).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("another"))
    return gzip.compress(archive.getvalue())
