"""What registries answer that should not be believed, and who is asked with which credentials."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bailing_tasks.engine.answers import LARGEST
from bailing_tasks.engine.base import Limits
from bailing_tasks.engine.connect import connect
from bailing_tasks.engine.registry import Registries, Resolved
from bailing_tasks.errors import PullError, UnreachableError
from bailing_tasks.mirrors import sources
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from tests.engine.support import Engine

AMD64 = Platform.parse("linux/amd64")
PART = "sha256:" + "1" * 64
INDEX: dict[str, Any] = {
    "manifests": [
        {"digest": "sha256:" + "2" * 64, "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": PART, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
}
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": PART,
        "size": 2,
    },
    "layers": [],
}


class Registry(ThreadingHTTPServer):
    """A registry that answers what a test wants."""

    status = 200
    body = b""
    headers: dict[str, str]
    wants_login = False
    realm = 'Basic realm="x"'
    expired: frozenset[str] | set[str] = frozenset()
    pause = 0.0
    """Seconds between two bytes of a body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.headers = {}
        self.logins: list[str] = []
        self.form: dict[str, str] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        registry = self.server
        login = self.headers.get("Authorization", "")
        registry.logins.append(login)
        asks = registry.wants_login and not login and not self.path.startswith("/token")
        if asks or login in registry.expired:
            self.send_response(401)
            self.send_header("WWW-Authenticate", registry.realm)
            body = b""
        else:
            self.send_response(registry.status)
            body = registry.body
        for name, value in registry.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.form = dict(parse_qsl(self.rfile.read(length).decode()))
        self.do_GET()

    def write(self, body: bytes) -> None:
        step = 1 if self.server.pause else max(len(body), 1)
        for start in range(0, len(body), step):
            try:
                self.wfile.write(body[start : start + step])
            except OSError:
                return
            time.sleep(self.server.pause)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Registry() as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def resolve(registry: Registry, name: str = "x:1", limits: Limits | None = None) -> Resolved:
    reference = Reference.parse(f"{registry.address}/{name}")
    (source,) = sources(reference, {})
    asking = Registries()
    asking.limits = limits or asking.limits
    return asking.resolve(reference, AMD64, source)


def test_an_index_is_resolved_to_the_platforms_digest(registry: Registry) -> None:
    registry.body = json.dumps(INDEX).encode()
    found = resolve(registry)
    assert found.digest == PART
    assert found.index_digest == f"sha256:{hashlib.sha256(registry.body).hexdigest()}"


def test_an_answer_with_another_digest_than_was_asked_for_is_refused(registry: Registry) -> None:
    registry.body = json.dumps(INDEX).encode()
    with pytest.raises(PullError, match="something else than was asked for"):
        resolve(registry, "x@sha256:" + "3" * 64)
    registry.headers["Docker-Content-Digest"] = "sha256:" + "4" * 64
    with pytest.raises(PullError, match="something else than was asked for"):
        resolve(registry)


def test_a_digest_that_is_none_is_not_believed(registry: Registry) -> None:
    registry.body = json.dumps(MANIFEST).encode()
    registry.headers["Docker-Content-Digest"] = "foo"
    assert resolve(registry).digest == f"sha256:{hashlib.sha256(registry.body).hexdigest()}"
    reference = Reference.parse(f"{registry.address}/x:1")
    (source,) = sources(reference, {})
    assert Registries().head(reference, source) is None


def test_a_digest_of_another_algorithm_is_checked_as_well(registry: Registry) -> None:
    registry.body = json.dumps(MANIFEST).encode()
    digest = f"sha512:{hashlib.sha512(registry.body).hexdigest()}"
    assert resolve(registry, f"x@{digest}").digest == digest
    with pytest.raises(PullError, match="something else than was asked for"):
        resolve(registry, "x@sha512:" + "3" * 128)


def test_the_fewest_pulls_that_a_registry_still_allows_are_believed(registry: Registry) -> None:
    registry.body = json.dumps(MANIFEST).encode()
    reference = Reference.parse(f"{registry.address}/x:1")
    (source,) = sources(reference, {})
    asking = Registries()
    for said in ("7;w=21600", "5;w=21600", "6;w=21600", "1" * 5000, "many"):
        registry.headers["ratelimit-remaining"] = said
        asking.resolve(reference, AMD64, source)
    assert asking.remaining == {registry.address: 5}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("later", None),
    ],
)
def test_a_wait_that_a_registry_asks_for_is_known(
    registry: Registry, said: str, seconds: float | None
) -> None:
    registry.status = 429
    registry.headers["Retry-After"] = said
    with pytest.raises(PullError) as caught:
        resolve(registry)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "document",
    [
        {"manifests": "abc"},
        {"manifests": None},
        {"manifests": [1]},
        {"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}]},
        {"manifests": [{"digest": "sha256:short", "platform": {}}]},
        {"manifests": [{"digest": PART, "platform": "linux"}]},
        [],
        "text",
    ],
)
def test_an_answer_that_is_no_index_is_refused(registry: Registry, document: object) -> None:
    registry.body = json.dumps(document).encode()
    with pytest.raises(PullError):
        resolve(registry)


def test_entries_that_make_no_sense_are_passed_over(registry: Registry) -> None:
    odd = {"digest": "sha256:" + "5" * 64, "platform": {"os": 5, "architecture": ["x"]}}
    bare = {"digest": "sha256:" + "6" * 64}
    registry.body = json.dumps({"manifests": [odd, bare, *INDEX["manifests"]]}).encode()
    assert resolve(registry).digest == PART


@pytest.mark.parametrize(
    ("status", "transient"),
    [(401, False), (403, False), (404, False), (429, True), (500, True), (502, True)],
)
def test_a_status_decides_whether_to_try_again(
    registry: Registry, status: int, transient: bool
) -> None:
    registry.status = status
    with pytest.raises(PullError) as caught:
        resolve(registry, "denied-certificate:404")
    assert caught.value.transient is transient
    assert str(status) in caught.value.cause


def test_a_page_is_no_manifest(registry: Registry) -> None:
    registry.body = b"<html>please log in</html>"
    with pytest.raises(PullError, match="no JSON"):
        resolve(registry)


def test_dockers_credentials_are_used_and_no_others(registry: Registry, tmp_path: Path) -> None:
    login = base64.b64encode(b"docker:words").decode()
    auths = {"auths": {registry.address: {"auth": login}}}
    (tmp_path / "config.json").write_text(json.dumps(auths))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrc password other\n")
    (tmp_path / ".netrc").chmod(0o600)
    registry.wants_login = True
    registry.body = json.dumps(INDEX).encode()
    resolve(registry)
    assert registry.logins == ["", f"Basic {login}"]


def test_a_token_that_has_expired_is_renewed(registry: Registry) -> None:
    registry.body = json.dumps(INDEX | {"token": "words"}).encode()
    registry.realm = f'Bearer realm="http://{registry.address}/token",service="x"'
    reference = Reference.parse(f"{registry.address}/x:1")
    (source,) = sources(reference, {})
    asking = Registries()
    registry.wants_login = True
    assert asking.resolve(reference, AMD64, source).digest == PART
    registry.expired = {"Bearer words"}
    registry.body = json.dumps(INDEX | {"token": "more words"}).encode()
    assert asking.resolve(reference, AMD64, source).digest == PART
    assert registry.logins[-1] == "Bearer more words"


def test_a_login_that_nobody_gave_is_asked_for(registry: Registry) -> None:
    registry.wants_login = True
    with pytest.raises(PullError) as caught:
        resolve(registry)
    assert f"docker login {registry.address}" in caught.value.remedy


def credential_helper(
    folder: Path, monkeypatch: pytest.MonkeyPatch, user: str, secret: str
) -> None:
    """Have Docker's configuration name a credential helper with one login for all."""
    (folder / "config.json").write_text(json.dumps({"credsStore": "test"}))
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\necho '{json.dumps({'Username': user, 'Secret': secret})}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_login_of_a_credential_helper_is_used(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential_helper(tmp_path, monkeypatch, "docker", "words")
    registry.wants_login = True
    registry.body = json.dumps(INDEX).encode()
    resolve(registry)
    assert registry.logins[-1] == "Basic " + base64.b64encode(b"docker:words").decode()


@pytest.mark.parametrize("place", ["helper", "configuration"])
def test_an_identity_token_is_exchanged(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "helper":
        credential_helper(tmp_path, monkeypatch, "<token>", "identity")
    else:
        auths = {"auths": {registry.address: {"auth": "MDo=", "identitytoken": "identity"}}}
        (tmp_path / "config.json").write_text(json.dumps(auths))
    registry.wants_login = True
    registry.realm = f'Bearer realm="http://{registry.address}/token",service="x",error="y"'
    registry.body = json.dumps(INDEX | {"access_token": "words"}).encode()
    assert resolve(registry, "a/x:1").digest == PART
    assert registry.logins == ["", "", "Bearer words"]
    assert registry.form == {
        "grant_type": "refresh_token",
        "client_id": "bailing-tasks",
        "refresh_token": "identity",
        "service": "x",
        "scope": "repository:a/x:pull",
    }


def test_the_engine_is_given_the_login_with_which_it_asks(
    registry: Registry, containerd: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = base64.b64encode(b"docker:words").decode()
    auths = {"auths": {registry.address: {"auth": login}}}
    (tmp_path / "config.json").write_text(json.dumps(auths))
    registry.wants_login = True
    registry.body = json.dumps(MANIFEST).encode()
    registry.headers["Content-Type"] = MANIFEST["mediaType"]
    digest = f"sha256:{hashlib.sha256(registry.body).hexdigest()}"
    registry.headers["Docker-Content-Digest"] = digest
    engine = connect({**containerd.environment, "DOCKER_CONFIG": str(tmp_path)})
    reference = Reference.parse(f"{registry.address}/x:1")
    assert engine.registry_digest(reference, Limits()) == digest
    assert registry.logins[-1] == f"Basic {login}"


@pytest.mark.filterwarnings("ignore:docker-credential-broken not installed")
@pytest.mark.parametrize("helper", ["exit 1", "echo junk", "printf '\\377'", None])
def test_a_credential_helper_that_fails_is_named(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helper: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "broken"}))
    if helper:
        program = tmp_path / "docker-credential-broken"
        program.write_text(f"#!/bin/sh\n{helper}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    registry.wants_login = True
    with pytest.raises(PullError) as caught:
        resolve(registry)
    assert "credential helper" in caught.value.cause
    assert not caught.value.transient


def test_loopback_is_asked_without_a_proxy(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    registry.body = json.dumps(INDEX).encode()
    assert resolve(registry).digest == PART


def test_a_registry_that_is_not_there_is_unreachable(registry: Registry) -> None:
    registry.shutdown()
    registry.server_close()
    with pytest.raises(UnreachableError) as caught:
        resolve(registry)
    assert caught.value.transient
    assert "sandbox-up" in caught.value.remedy


@pytest.mark.parametrize("ends", ["deadline", "interrupt"])
@pytest.mark.parametrize("answer", ["manifest", "token", "redirect"])
def test_an_answer_that_trickles_ends_with_the_run(
    registry: Registry, ends: str, answer: str
) -> None:
    registry.body = json.dumps(INDEX).encode()
    registry.wants_login, registry.pause = answer == "token", 0.2
    if answer == "redirect":
        registry.status, registry.headers["Location"] = 307, "/"
    registry.realm = f'Bearer realm="http://{registry.address}/token",service="x"'
    started = time.monotonic()
    limits = Limits(deadline=started + 1 if ends == "deadline" else None)
    Timer(1, limits.cancelled.set if ends == "interrupt" else lambda: None).start()
    with pytest.raises(PullError, match="timed out before the answer was whole"):
        resolve(registry, limits=limits)
    # All of it takes 60 seconds.
    assert time.monotonic() - started < 10


def test_an_answer_that_is_too_large_is_refused(registry: Registry) -> None:
    registry.body = b" " * LARGEST + json.dumps(INDEX).encode()
    with pytest.raises(PullError, match="something else than was asked for"):
        resolve(registry)
