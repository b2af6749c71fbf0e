"""Blobs that a registry keeps elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bailing_tasks.engine.registry import Registries
from bailing_tasks.errors import PullError
from bailing_tasks.mirrors import sources
from bailing_tasks.references import Reference

DIGEST = "sha256:" + "1" * 64
LOGIN = "Basic " + base64.b64encode(b"docker:words").decode()


class Handler(BaseHTTPRequestHandler):
    """A registry that wants a login, and sends on to the same port of another host."""

    server: ThreadingHTTPServer

    def do_GET(self) -> None:
        login = self.headers.get("Authorization", "")
        port = self.server.server_port
        if self.path == "/elsewhere":
            self.answer(200, login.encode() or b"no login")
        elif login != LOGIN:
            self.answer(401, b"", "WWW-Authenticate", 'Basic realm="x"')
        elif "/nowhere/" in self.path:
            self.answer(307, b"", "Location", "https://[x")
        elif "/circle/" in self.path:
            self.answer(307, b"", "Location", self.path)
        else:
            self.answer(307, b"", "Location", f"http://localhost:{port}/elsewhere")

    def answer(self, status: int, body: bytes, name: str = "X", value: str = "") -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"127.0.0.1:{server.server_port}"
        auth = LOGIN.removeprefix("Basic ")
        (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield address
        server.shutdown()


def body(name: str) -> bytes:
    reference = Reference.parse(name)
    (source,) = sources(reference, {})
    with Registries().blob(reference, DIGEST, source, start=0, stall=10) as response:
        return response.content


def test_a_login_does_not_go_to_another_host(registry: str) -> None:
    assert body(f"{registry}/x:1") == b"no login"


@pytest.mark.parametrize("place", ["circle", "nowhere"])
def test_a_circle_and_a_way_to_nowhere_end(registry: str, place: str) -> None:
    with pytest.raises(PullError, match="sent elsewhere"):
        body(f"{registry}/{place}/x:1")
