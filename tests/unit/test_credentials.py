"""Credentials go to the host they are for, whatever a registry sends on to."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bailing_tasks.engine.blobs import Blob
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import BailingError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

BLOB = f"sha256:{'ab' * 32}"
Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[["Asked"], Answer]


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    authorization: str
    body: str


@dataclass
class Host:
    """A server on this machine's loopback, and what it was asked."""

    handle: Handle = lambda asked: (404, {}, b"")
    asked: list[Asked] = field(default_factory=list)
    address: str = ""


@contextlib.contextmanager
def serving() -> Iterator[Host]:
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            authorization = self.headers.get("Authorization", "")
            host.asked.append(Asked(self.command, self.path, authorization, body))
            status, headers, content = host.handle(host.asked[-1])
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    found = Uploads()
    yield found
    found._session.close()


@pytest.fixture
def registry() -> Iterator[Host]:
    with serving() as host:
        yield host


@pytest.fixture
def elsewhere() -> Iterator[Host]:
    """A host that wants a login, through its own token service."""
    with serving() as host:

        def handle(asked: Asked) -> Answer:
            if asked.path.startswith("/token"):
                return 200, {}, b'{"token": "t"}'
            realm = f'Bearer realm="http://{host.address}/token",service="s"'
            return 401, {"WWW-Authenticate": realm}, b"{}"

        host.handle = handle
        yield host


def _answer(answer: Answer, _: Asked) -> Answer:
    return answer


def log_in(folder: Path, host: Host, *, identity: bool) -> None:
    login = {"auth": base64.b64encode(b"me:secret").decode()}
    if identity:
        login["identitytoken"] = "secret"
    document = {"auths": {host.address: login}}
    (folder / "config.json").write_text(json.dumps(document))


def manifest(uploads: Uploads, reference: Reference) -> None:
    uploads.resolve(reference, Platform.parse("linux/amd64"), uploads.origin(reference))


def blob(uploads: Uploads, reference: Reference) -> None:
    source = uploads.origin(reference)
    with uploads.blob(reference, BLOB, source, start=0, stall=5):
        pass


def upload(uploads: Uploads, reference: Reference) -> None:
    source, failed = uploads._towards(reference)
    place = uploads._begin(source, failed)
    uploads._end(place, Blob(digest=BLOB, size=1), b"x", source, failed)


@pytest.mark.parametrize("identity", [False, True], ids=["password", "identity token"])
@pytest.mark.parametrize("known", [False, True], ids=["first request", "token refresh"])
@pytest.mark.parametrize("ask", [manifest, blob, upload], ids=["manifest", "blob", "upload"])
def test_a_host_that_a_registry_sends_on_to_gets_no_login(
    uploads: Uploads,
    registry: Host,
    elsewhere: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[Uploads, Reference], None],
    known: bool,
    identity: bool,
) -> None:
    def handle(asked: Asked) -> Answer:
        if asked.path.startswith("/token"):
            return 200, {}, b'{"token": "registry"}'
        if known and asked.authorization != "Bearer registry":
            realm = f'Bearer realm="http://{registry.address}/token",service="s"'
            return 401, {"WWW-Authenticate": realm}, b"{}"
        status = 202 if asked.method == "POST" else 307
        return status, {"Location": f"http://{elsewhere.address}/there"}, b""

    registry.handle = handle
    log_in(tmp_path, registry, identity=identity)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(BailingError) as caught:
        ask(uploads, Reference.parse(f"{registry.address}/team/app:1"))
    assert elsewhere.asked
    assert [each for each in elsewhere.asked if not each.path.startswith("/there")] == []
    for each in elsewhere.asked:
        assert (each.authorization, "secret" in each.body) == ("", False)
    assert f"{elsewhere.address}, which wants a login" in caught.value.cause
    if known:
        logins = [each for each in registry.asked if each.path.startswith("/token")]
        assert len(logins) == 1
        assert ("secret" in logins[0].body) if identity else logins[0].authorization


@pytest.mark.parametrize(
    "location",
    [
        r"http://evil.example\@127.0.0.1/x",
        "http://127.0.0.1@evil.example/x",
        "http://127.0.0.1 .evil.example/x",
        "http://127.0.0.1\t.evil.example/x",
        "http://[::1]evil.example/x",
        "ftp://127.0.0.1/x",
    ],
)
def test_an_address_that_parsers_read_differently_is_not_followed(
    uploads: Uploads, registry: Host, location: str
) -> None:
    registry.handle = functools.partial(_answer, (307, {"Location": location}, b""))
    reference = Reference.parse(f"{registry.address}/team/app:1")
    with pytest.raises(BailingError, match=r"app:1") as caught:
        manifest(uploads, reference)
    assert "sent elsewhere" in caught.value.cause
    assert len(registry.asked) == 1


def test_plain_http_is_gone_on_with_to_loopback_and_to_named_hosts_alone(
    uploads: Uploads, registry: Host
) -> None:
    for host in ("localhost.evil.example", "127.0.0.1.evil.example", "evil.example:80"):
        sent = {"Location": f"http://{host}/x"}
        registry.handle = functools.partial(_answer, (307, sent, b""))
        with pytest.raises(BailingError) as caught:
            manifest(uploads, Reference.parse(f"{registry.address}/team/app:1"))
        assert "by plain HTTP" in caught.value.cause
