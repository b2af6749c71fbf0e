"""A link to a registry or an engine, for tests, which can be held still or cut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

PIECE = 1 << 14


class Link:
    """Passes connections on, from `with` to its end.

    Attributes:
        address: Where it listens, as `127.0.0.1:port`, or its socket's path.
        left: How many bytes it still lets back; then it holds still, and nothing is closed.
            None lets all through.

    Args:
        target: `host:port`, or the path of a Unix socket.
        left: How many bytes it lets back.
        path: Where its own Unix socket is made; by default it takes a loopback port.
    """

    def __init__(self, target: str, *, left: int | None = None, path: Path | None = None) -> None:
        self.left = left
        self._target = target
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.address = str(path)
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Link:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    @property
    def open(self) -> int:
        """How many connections are open to it."""
        return len(self._ends)

    def let(self, count: int) -> None:
        """Let more bytes back."""
        with self._lock:
            self.left = (self.left or 0) + count

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def wait_until_left(self, seconds: float) -> bool:
        """Whether nobody is connected to it any more within that time."""
        deadline = time.monotonic() + seconds
        while self._ends and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._ends

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                end, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(end,), daemon=True).start()

    def _connect(self, end: socket.socket) -> None:
        with end, self._far() as far:
            with self._lock:
                self._ends.add(end)
            threading.Thread(target=self._back, args=(far, end), daemon=True).start()
            self._pass(end, far)
            with self._lock:
                self._ends.discard(end)

    def _far(self) -> socket.socket:
        if self._target.startswith("/"):
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            return far
        host, _, port = self._target.rpartition(":")
        return socket.create_connection((host, int(port)))

    def _back(self, far: socket.socket, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := far.recv(PIECE):
                while not self._may_pass(len(piece)):
                    time.sleep(0.02)
                    end.getpeername()  # OSError once it has left
                end.sendall(piece)
            end.shutdown(socket.SHUT_WR)

    def _may_pass(self, count: int) -> bool:
        with self._lock:
            if self.left is not None:
                if self.left < count:
                    return False
                self.left -= count
            return True

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_RDWR)
