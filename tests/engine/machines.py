"""A second machine for the tests: the sandbox's other engine, as a Docker context or a builder."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.engine.buildkit_proxy import buildkit
from tests.engine.support import Engine

OTHER = "other"
"""What Docker calls the second machine."""
PATIENCE = 60.0
"""Seconds until a build that is alone gives up; one that is not waits for no time at all."""


@contextlib.contextmanager
def with_context(engine: Engine, other: Engine, folder: Path) -> Iterator[Engine]:
    """Let Docker know another engine as a context, in a configuration of its own."""
    environment = _configured(engine, folder)
    found = replace(engine, environment=environment)
    found.must("context", "create", OTHER, "--docker", f"host={other.environment['DOCKER_HOST']}")
    yield found


@contextlib.contextmanager
def with_builder(engine: Engine, other: Engine, folder: Path) -> Iterator[Engine]:
    """Let buildx know the BuildKit of another engine as a builder."""
    socket = other.environment["DOCKER_HOST"].removeprefix("unix://")
    environment = _configured(engine, folder) | {"BUILDX_CONFIG": str(folder / "buildx")}
    found = replace(engine, environment=environment)
    with buildkit(socket, folder) as address:
        found.must("buildx", "create", "--driver", "remote", "--name", OTHER, address)
        yield found


def _configured(engine: Engine, folder: Path) -> dict[str, str]:
    known = Path(engine.environment["DOCKER_CONFIG"], "config.json").read_text()
    place = folder / "docker"
    place.mkdir()
    place.joinpath("config.json").write_text(json.dumps(json.loads(known)))
    return {**engine.environment, "DOCKER_CONFIG": str(place)}


class MeetingPoint:
    """A web server that answers nobody until each of some paths has been asked for.

    Builds that run at once get their answers; of builds one after the other the first one fails.

    Args:
        paths: The paths.
        refuses: The path that is refused then.
    """

    def __init__(self, *paths: str, refuses: str = "") -> None:
        self._came: set[str] = set()
        self._somebody = threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                met = self._meet(handler.path, paths)
                with contextlib.suppress(OSError):
                    handler.send_response(200 if met and handler.path != refuses else 404)
                    handler.send_header("Content-Length", "3")
                    handler.end_headers()
                    handler.wfile.write(b"met")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def came(self, *paths: str) -> bool:
        """Wait until paths have been asked for; return whether they were."""
        with self._somebody:
            return self._somebody.wait_for(lambda: self._came.issuperset(paths), PATIENCE)

    def _meet(self, path: str, paths: Sequence[str]) -> bool:
        with self._somebody:
            self._came.add(path)
            self._somebody.notify_all()
        return self.came(*paths)

    def __enter__(self) -> MeetingPoint:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
