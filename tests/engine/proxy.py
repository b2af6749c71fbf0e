"""A proxy before a registry, for tests: it logs every request and fails as registries do.

It serves pulls and pushes. Bodies are passed on in pieces, however big a blob is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from bailing_tasks.engine.registry import ACCEPT
from tests.engine.connections import Server
from tests.engine.proxy_faults import (
    CODES,
    RETRY_AFTER,
    TRICKLE,
    Fault,
    Order,
    SendingFault,
    another,
    cut,
    flipped,
    reset,
)
from tests.engine.tokens import PATH as TOKEN_PATH
from tests.engine.tokens import Tokens, basic

__all__ = ["RETRY_AFTER", "Fault", "RegistryProxy", "SendingFault"]

PIECE = 1 << 16
TLS = b"\x16"
"""How a TLS connection begins (RFC 8446: a handshake record)."""
UNANSWERED = 0
"""The status that the log has for a request that a silent registry took."""
_HOP = {"connection", "date", "keep-alive", "server", "transfer-encoding"}


class RegistryProxy:
    """A proxy on a loopback port before a registry, from `with` to its end.

    Attributes:
        address: Where it listens, as `127.0.0.1:port`.
        login: The user and password that it wants, as `user:password`; empty for none.
        tokens: Gives the tokens that it wants instead; None for none.
        upstream: The user and password that the registry behind it wants; empty where it passes
            on what it gets.
        delay: Seconds that it takes to each answer.
        immutable: Whether a tag that is there stays as it is, whatever is pushed.
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
        self.upstream = ""
        self.tokens: Tokens | None = None
        self.delay = 0.0
        self.immutable = False
        self._orders: list[Order] = []
        self._lock = threading.Lock()
        self._server = _Server(_Handler)
        self._server.proxy = self
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RegistryProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(
        self,
        fault: Fault | SendingFault,
        *,
        on: str,
        times: int | None = None,
        path: str = "",
        agent: str = "",
        method: str = "",
        words: str = "",
        after: int = 0,
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
            after: How many such requests are answered well before.
        """
        with self._lock:
            self._orders.append(Order(fault, on, path, agent, method, words, times, after))

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

    def ordered(self, request: BaseHTTPRequestHandler) -> tuple[Fault | SendingFault | None, str]:
        """Return the fault that a request meets, with its words, and count it."""
        authorization = request.headers.get("Authorization", "")
        if self.login and authorization != basic(self.login):
            return Fault.UNAUTHORIZED, ""
        if self.tokens and not self.tokens.admits(authorization):
            return Fault.UNAUTHORIZED, ""
        with self._lock:
            for order in self._orders:
                if order.wants(request):
                    order.left = None if order.left is None else order.left - 1
                    return order.fault, order.words
        if self.immutable and request.command == "PUT" and self._is_taken(request.path):
            return SendingFault.IMMUTABLE, "Failed to process request: configured as immutable."
        return None, ""

    def connected(self) -> http.client.HTTPConnection:
        """Return a connection to the registry behind."""
        return http.client.HTTPConnection(self.registry, timeout=60)

    def _is_taken(self, path: str) -> bool:
        """Whether a path is that of a tag that is there."""
        if "/manifests/" not in path or "/manifests/sha256:" in path:
            return False
        login = {"Authorization": basic(self.upstream)} if self.upstream else {}
        with contextlib.closing(self.connected()) as behind:
            behind.request("HEAD", path, headers={"Accept": ACCEPT, **login})
            return behind.getresponse().status == HTTPStatus.OK


class _Server(Server):
    proxy: RegistryProxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each body waits 40 ms for its head to be acknowledged
    server: _Server

    def do_GET(self) -> None:
        proxy = self.server.proxy
        time.sleep(proxy.delay)
        if proxy.is_silent:
            self._note(UNANSWERED)
            self._hang()
            return
        if proxy.tokens and self.path.startswith(TOKEN_PATH):
            self._give_token(proxy.tokens)
            return
        fault, words = proxy.ordered(self)
        if fault and fault.status:
            self._refuse(fault, words or fault.value)
        elif fault in (SendingFault.RESET, SendingFault.STALL):
            self._break(fault)
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

    def _give_token(self, tokens: Tokens) -> None:
        for _ in self._sent():
            pass
        is_get = self.command == "GET"  # who tries OAuth first goes on to that where it is refused
        token = tokens.give(self.headers.get("Authorization", "")) if is_get else None
        refused = HTTPStatus.UNAUTHORIZED if is_get else HTTPStatus.METHOD_NOT_ALLOWED
        status = HTTPStatus.OK if token else refused
        self._note(status)
        body = json.dumps({"token": token, "expires_in": 300} if token else {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _break(self, fault: SendingFault) -> None:
        """Break off in the middle of what is sent."""
        self._note(UNANSWERED)
        self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
        self.close_connection = True
        if fault is SendingFault.STALL:
            self._hang()
        else:
            reset(self.connection)

    def _refuse(self, fault: Fault | SendingFault, words: str) -> None:
        self._note(fault.status)
        for _ in self._sent():
            pass
        errors = [{"code": CODES.get(fault.status, "UNKNOWN"), "message": words}]
        body = json.dumps({"errors": errors}).encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if fault is Fault.UNAUTHORIZED:
            tokens, address = self.server.proxy.tokens, self.server.proxy.address
            challenge = tokens.challenge(address, self.path) if tokens else 'Basic realm="registry"'
            self.send_header("WWW-Authenticate", challenge)
        if fault is Fault.TOO_MANY_WAIT:
            self.send_header("Retry-After", str(RETRY_AFTER))
        if fault is Fault.CIRCLE:
            self.send_header("Location", f"http://{self.server.proxy.address}{self.path}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _forward(self, fault: Fault | SendingFault | None) -> None:
        proxy = self.server.proxy
        if proxy.upstream:
            del self.headers["Authorization"]
            self.headers["Authorization"] = basic(proxy.upstream)
        upstream = proxy.connected()
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

    def _pass_on(
        self, answer: http.client.HTTPResponse, fault: Fault | SendingFault | None
    ) -> None:
        self._note(answer.status)
        if fault is SendingFault.LOST:
            answer.read()
            self.close_connection = True
            reset(self.connection)
            return
        length = int(answer.headers.get("Content-Length", "0"))
        pieces = iter(lambda: answer.read(PIECE), b"")
        if fault is Fault.ANOTHER:
            body = another(answer)
            length, pieces = len(body), iter([body])
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self._send(pieces, length, fault)

    def _send(self, pieces: Iterator[bytes], length: int, fault: object) -> None:
        if fault in (Fault.RESET, Fault.SHORT, Fault.STALL):
            self._send_half(pieces, length // 2, fault)
        elif fault is Fault.TRICKLE:
            parts, pause = TRICKLE
            for piece in cut(pieces, -(-length // parts)):
                self.wfile.write(piece)
                time.sleep(pause)
        elif fault is Fault.CORRUPT:
            self._write(flipped(pieces, length // 2))
        else:
            self._write(pieces)

    def _write(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self.wfile.write(piece)

    def _send_half(self, pieces: Iterator[bytes], half: int, fault: object) -> None:
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
            reset(self.connection)
