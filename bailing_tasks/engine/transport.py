"""The way to a Docker engine's API: a kept connection over a Unix socket, else the Docker SDK's.

A run with nothing to do asks the engine a few questions; importing the SDK would take longer than
all of them. Every call may be made by several threads at once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from bailing_tasks.errors import EngineError

if TYPE_CHECKING:
    import docker

TIMEOUT = 120.0
"""Seconds that an engine may take to answer a question."""

BROKEN = (OSError, http.client.HTTPException)
"""What comes up where an engine cannot be reached, or its answer breaks off."""

NOTHING: Mapping[str, str] = {}


class RefusedError(Exception):
    """An engine's answer that it will not or cannot do something.

    Args:
        status: The HTTP status code.
        explanation: Its words.
    """

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status = status


ENGINE_ERRORS = (RefusedError, *BROKEN)
"""What comes up from below when an engine refuses, or its connection breaks."""


@contextlib.contextmanager
def engine_errors(message: str) -> Iterator[None]:
    """Turn what comes up from below into the error for an engine that refuses.

    Raises:
        EngineError: It does.
    """
    try:
        yield
    except ENGINE_ERRORS as error:
        raise engine_error(message, str(error)) from error


def engine_error(message: str, cause: str) -> EngineError:
    """Return the error for an engine that refuses, or that has stopped."""
    return EngineError(
        message, cause=cause, remedy="`docker info` shows whether the engine is well"
    )


class Stream:
    """What an engine tells while it works, as JSON documents.

    A thread of its own reads, so that whoever listens can go away from a silent engine.

    Args:
        lines: What comes; first asked for by that thread.
        close: Ends the connection, on which the engine gives up what it does.
    """

    def __init__(self, lines: Iterable[bytes], close: Callable[[], None]) -> None:
        self.close = close
        self._came: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def documents(self, tick: float) -> Iterator[dict[str, Any] | None]:
        """Yield each document as it comes, and None after each `tick` seconds without one.

        Raises:
            RefusedError: The engine refuses.
            BROKEN: It cannot be reached, or its answer breaks off.
        """
        while True:
            try:
                came = self._came.get(timeout=tick)
            except queue.Empty:
                yield None
                continue
            if came is None:
                return
            if isinstance(came, Exception):
                raise came
            yield came

    def _read(self, lines: Iterable[bytes]) -> None:
        try:
            for line in lines:
                if line.strip():
                    self._came.put(json.loads(line))
            self._came.put(None)
        except (RefusedError, *BROKEN) as error:
            self._came.put(error)
        except Exception as error:
            # What a connection brings up that is closed while it is read depends on its kind.
            self._came.put(ConnectionError(f"the engine's answer broke off: {error!r}"))


class Transport(Protocol):
    """The way to one engine's API.

    Attributes:
        host: Its address, as in DOCKER_HOST.
    """

    host: str

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] = NOTHING,
        *,
        headers: Mapping[str, str] = NOTHING,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Return the engine's answer, from JSON; None where it is empty.

        Raises:
            RefusedError: The engine refuses.
            BROKEN: It cannot be reached, or its answer breaks off.
        """

    def follow(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Stream:
        """Have the engine do (POST) something that takes a while.

        Raises:
            BROKEN: It cannot be reached.
        """

    def client(self) -> docker.APIClient:
        """Return the SDK's client, for all else; DockerException where it cannot be made."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


class UnixTransport:
    """Speaks HTTP over a Unix socket; connections are kept open from one question to the next.

    Args:
        socket_path: Where the engine listens.
        headers: What Docker's configuration wants to be sent along.
    """

    def __init__(self, socket_path: str, headers: Mapping[str, str]) -> None:
        self.host = f"unix://{socket_path}"
        self._path = socket_path
        self._headers = headers
        self._idle: list[_UnixConnection] = []
        weakref.finalize(self, _close_all, self._idle)

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] = NOTHING,
        *,
        headers: Mapping[str, str] = NOTHING,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Return the engine's answer, from JSON; None where it is empty."""
        url = _url(path, params)
        kept = self._kept()
        if kept:
            # It may have been the connection to an engine that was started anew meanwhile.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                return self._ask(kept, method, url, headers, timeout)
        return self._ask(_UnixConnection(self._path, timeout), method, url, headers, timeout)

    def _kept(self) -> _UnixConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _ask(
        self,
        connection: _UnixConnection,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Any:
        with contextlib.ExitStack() as unless_kept:
            unless_kept.callback(connection.close)
            connection.timeout = timeout
            if connection.sock:
                connection.sock.settimeout(timeout)
            connection.request(method, url, headers={**self._headers, **headers})
            response = connection.getresponse()
            body = response.read()
            unless_kept.pop_all()
        self._idle.append(connection)
        return _document(response.status, body)

    def follow(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Stream:
        """Have the engine do (POST) something that takes a while."""
        connection = _UnixConnection(self._path, None)
        connection.connect()
        link = connection.sock

        def lines() -> Iterator[bytes]:
            with contextlib.closing(connection):
                merged = {**self._headers, **headers}
                connection.request("POST", _url(path, params), headers=merged)
                with connection.getresponse() as response:
                    if not _fine(response.status):
                        _document(response.status, response.read())
                    yield from response

        def close() -> None:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

        return Stream(lines(), close)

    def client(self) -> docker.APIClient:
        """Return the SDK's client, for all else."""
        import docker

        return docker.APIClient(base_url=self.host, version="auto", timeout=int(TIMEOUT))


def _close_all(connections: list[_UnixConnection]) -> None:
    for connection in connections:
        connection.close()


class SdkTransport:
    """Speaks through the SDK's client: TCP, TLS and SSH.

    Args:
        host: The engine's address.
        client: A client of it.
    """

    def __init__(self, host: str, client: docker.APIClient) -> None:
        self.host = host
        self._client = client

    def client(self) -> docker.APIClient:
        """Return the SDK's client, for all else."""
        return self._client

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] = NOTHING,
        *,
        headers: Mapping[str, str] = NOTHING,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Return the engine's answer, from JSON; None where it is empty."""
        url = f"{self._client.base_url}{path}"
        response = self._client.request(
            method, url, params=dict(params), headers=dict(headers), timeout=timeout
        )
        return _document(response.status_code, response.content)

    def follow(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Stream:
        """Have the engine do (POST) something that takes a while.

        Until it answers the connection cannot be ended; it is as soon as it does.
        """
        over = threading.Event()
        shutdowns: list[Callable[[], None]] = []

        def lines() -> Iterator[bytes]:
            url = f"{self._client.base_url}{path}"
            asked = self._client.post(
                url, params=dict(params), headers=dict(headers), stream=True, timeout=None
            )
            with asked as response:
                if not _fine(response.status_code):
                    _document(response.status_code, response.content)
                # Not in urllib3 before 2.3.
                shutdowns.append(getattr(response.raw, "shutdown", over.set))
                if not over.is_set():
                    yield from response.iter_lines()

        def close() -> None:
            over.set()
            for shutdown in shutdowns:
                # Nothing to shut down over SSH (ValueError), or nothing any more.
                with contextlib.suppress(OSError, ValueError, RuntimeError):
                    shutdown()

        return Stream(lines(), close)


def _url(path: str, params: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(params)}" if params else path


def _fine(status: int) -> bool:
    return status < http.client.BAD_REQUEST


def _document(status: int, body: bytes) -> Any:
    """Return what an engine answered, or raise its refusal."""
    try:
        document = json.loads(body) if body.strip() else None
    except ValueError:
        document = body.decode(errors="replace")
    if _fine(status):
        return document
    said = document.get("message") if isinstance(document, dict) else document
    raise RefusedError(status, str(said or f"HTTP status {status}").strip())
