"""What the modules that speak through the Docker SDK share; it is slow to import."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from typing import IO, cast

import requests
from docker.errors import DockerException
from urllib3.exceptions import HTTPError

from bailing_tasks.engine.transport import engine_error

SDK_ERRORS = (DockerException, requests.RequestException, HTTPError, tarfile.TarError)
"""What comes up from below when an engine refuses, or its connection breaks."""


@contextlib.contextmanager
def sdk_errors(message: str) -> Iterator[None]:
    """Turn what comes up from below into the error for an engine that refuses.

    Raises:
        EngineError: It does.
    """
    try:
        yield
    except SDK_ERRORS as error:
        cause = str(getattr(error, "explanation", None) or error)
        raise engine_error(message, cause) from error


@contextlib.contextmanager
def opened(chunks: Iterator[bytes]) -> Iterator[tarfile.TarFile]:
    """Read an archive as it comes from an engine."""
    reader = cast("IO[bytes]", _Chunks(chunks))
    with tarfile.open(fileobj=reader, mode="r|", bufsize=1 << 20) as archive:
        yield archive


class _Chunks:
    """What tarfile wants of a stream, over the SDK's chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        head, self._rest = self._rest[:size], self._rest[size:]
        return head
