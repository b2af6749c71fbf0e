"""A BuildKit of its own for tests: the one inside a Docker engine, without the engine around it.

Each connection to a socket is passed to the engine's, upgraded to BuildKit's own protocol: what
buildx's driver `remote` speaks. The engine's images do not exist for it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

PIECE = 1 << 16
UPGRADE = (
    b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@contextlib.contextmanager
def buildkit(engine: str, folder: Path) -> Iterator[str]:
    """Serve the BuildKit of the engine at a socket; yield the address for buildx."""
    path = folder / "buildkit.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_serve, args=(server, engine), daemon=True).start()
        yield f"unix://{path}"
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, engine: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_join, args=(client, engine), daemon=True).start()


def _join(client: socket.socket, engine: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as upstream:
        upstream.connect(engine)
        upstream.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += upstream.recv(1)
        back = threading.Thread(target=_pass_on, args=(upstream, client), daemon=True)
        back.start()
        _pass_on(client, upstream)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
