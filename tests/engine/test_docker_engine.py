"""What a Docker engine is asked, and when a pull of it is given up, on real engines."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from bailing_tasks import process
from bailing_tasks.engine.base import Limits, Progress
from bailing_tasks.engine.connect import connect
from bailing_tasks.engine.docker import DockerEngine
from bailing_tasks.errors import EngineError, PullError
from bailing_tasks.mirrors import sources
from bailing_tasks.references import Reference
from tests.engine import tiny
from tests.engine.link import Link
from tests.engine.support import HOST, Engine, unique

MEGABYTE = 1 << 20


def pull(
    engine: DockerEngine,
    image: tiny.Tiny,
    registry: str,
    limits: Limits | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> str:
    """Pull an image by digest; return the name it then has."""
    name = f"{registry}/{image.repository}@{image.digest}"
    (source,) = sources(Reference.parse(name), {})
    engine.pull(
        name,
        source=source,
        wanted=Reference.parse(image.name),
        platform=None,
        on_progress=on_progress,
        limits=limits or Limits(),
    )
    return name


def came(engine: DockerEngine, name: str) -> bool:
    """Whether an engine has an image, which it then has no more: these images are big."""
    found = engine.image(name)
    engine.untag(name)
    return found is not None


@pytest.fixture(params=["unix", "tcp"])
def docker(request: pytest.FixtureRequest, engine: Engine) -> Iterator[DockerEngine]:
    """An engine, over its socket and over TCP."""
    if request.param == "unix":
        yield connect(engine.environment)
        return
    with Link(engine.environment["DOCKER_HOST"].removeprefix("unix://")) as link:
        yield connect({**engine.environment, "DOCKER_HOST": f"tcp://{link.address}"})


@pytest.fixture
def image(engine: Engine, tmp_path: Path) -> tiny.Tiny:
    """An image that no engine has, of five layers."""
    sizes = (4 * MEGABYTE, 3 * MEGABYTE, MEGABYTE, 100_000, 20)
    return tiny.push(engine.registry, f"{HOST}/{unique(tmp_path, 'pull')}:1", *sizes)


def test_a_pulled_image_is_found_named_and_taken_away(
    docker: DockerEngine, image: tiny.Tiny, engine: Engine
) -> None:
    told: list[Progress] = []
    name = pull(docker, image, engine.registry, on_progress=told.append)
    found = docker.image(name)
    assert found
    assert str(found.platform) == "linux/amd64"
    ended = {progress.layer for progress in told if progress.status.endswith(" complete")}
    assert ended == {layer.removeprefix("sha256:")[:12] for layer in image.layers}
    docker.tag(name, f"localhost/{image.repository}:new")
    again = docker.image(f"localhost/{image.repository}:new")
    assert again
    assert again.id == found.id
    for known in (f"localhost/{image.repository}:new", name, name):
        docker.untag(known)
        assert docker.image(known) is None


def test_an_engine_finds_a_digest_at_its_registry(
    docker: DockerEngine, image: tiny.Tiny, engine: Engine
) -> None:
    found = docker.registry_digest(Reference.parse(f"{engine.registry}/{image.name}"), Limits())
    assert found == image.digest
    assert (
        docker.registry_digest(Reference.parse(f"{engine.registry}/not/there:1"), Limits()) is None
    )


def test_what_an_engine_refuses_is_told_in_its_words(docker: DockerEngine) -> None:
    with pytest.raises(EngineError, match="could not be tagged") as refused:
        docker.tag("localhost/not/there:1", "localhost/not/there:2")
    assert "No such image: localhost/not/there:1" in refused.value.cause
    with pytest.raises(EngineError, match="could not be looked up") as refused:
        docker.image("Not::A::Name")
    assert "invalid reference format" in refused.value.cause


def test_a_stalled_pull_is_given_up_and_the_next_goes_on(
    docker: DockerEngine, image: tiny.Tiny, engine: Engine
) -> None:
    with Link(engine.registry, left=2 * MEGABYTE) as link:
        started = time.monotonic()
        with pytest.raises(PullError) as stalled:
            pull(docker, image, link.address, Limits(stall=3))
        assert 3 <= time.monotonic() - started < 30
        assert stalled.value.transient
        assert "nothing came for 3 s" in stalled.value.cause
        assert link.address in stalled.value.cause
        link.left = None
        time.sleep(2)
        assert docker.image(f"{link.address}/{image.repository}@{image.digest}") is None
        assert came(docker, pull(docker, image, link.address, Limits(stall=20)))


def test_a_registry_that_never_answers_is_a_stall(
    docker: DockerEngine, image: tiny.Tiny, engine: Engine
) -> None:
    with Link(engine.registry, left=0) as link, pytest.raises(PullError) as stalled:
        pull(docker, image, link.address, Limits(stall=1))
    assert "nothing came for 1 s" in stalled.value.cause


def test_a_pull_that_moves_a_little_is_not_given_up(
    docker: DockerEngine, image: tiny.Tiny, engine: Engine
) -> None:
    with Link(engine.registry, left=MEGABYTE) as link, ThreadPoolExecutor() as threads:
        pulled = threads.submit(pull, docker, image, link.address, Limits(stall=6))
        for _ in range(7):
            time.sleep(1.5)
            link.let(MEGABYTE + MEGABYTE // 2)
        assert came(docker, pulled.result())


def test_at_the_deadline_a_pull_is_over_and_not_tried_again(
    docker: DockerEngine, image: tiny.Tiny, engine: Engine
) -> None:
    with Link(engine.registry, left=MEGABYTE) as link:
        started = time.monotonic()
        with pytest.raises(PullError) as late:
            pull(docker, image, link.address, Limits(deadline=started + 2))
        assert time.monotonic() - started < 15
    assert not late.value.transient
    assert late.value.final
    assert "--timeout" in late.value.cause
    assert "goes on from here" in late.value.remedy


def test_eight_pulls_at_once_end_when_the_run_is_interrupted(
    docker: DockerEngine, engine: Engine, tmp_path: Path
) -> None:
    names = (f"{HOST}/{unique(tmp_path, f'pull{number}')}:1" for number in range(8))
    images = [tiny.push(engine.registry, name, MEGABYTE, 1000) for name in names]
    limits = Limits()
    with Link(engine.registry, left=MEGABYTE) as link, ThreadPoolExecutor(8) as threads:
        pulls = [threads.submit(pull, docker, each, link.address, limits) for each in images]
        time.sleep(2)
        assert not any(each.done() for each in pulls)
        limits.cancelled.set()
        started = time.monotonic()
        causes = {cause_of(each.exception()) for each in pulls}
        assert causes == {"interrupted"}
        assert time.monotonic() - started < 10
        link.left = None
        limits = Limits()
        pulls = [threads.submit(pull, docker, each, link.address, limits) for each in images]
        assert all(came(docker, each.result()) for each in pulls)


def cause_of(error: BaseException | None) -> str:
    assert isinstance(error, PullError)
    assert error.final
    return error.cause


def test_a_pull_without_a_registry_says_so(docker: DockerEngine, image: tiny.Tiny) -> None:
    with pytest.raises(PullError) as failed:
        pull(docker, image, "127.0.0.1:9")
    assert failed.value.transient
    assert "127.0.0.1:9 did not answer" in failed.value.cause


def test_an_engine_that_goes_away_breaks_the_pull_and_is_told_as_that(
    containerd: Engine, image: tiny.Tiny
) -> None:
    real = containerd.environment["DOCKER_HOST"].removeprefix("unix://")
    with Link(containerd.registry, left=MEGABYTE) as registry, Link(real) as link:
        docker = connect({**containerd.environment, "DOCKER_HOST": f"tcp://{link.address}"})
        threading.Timer(2, link.cut).start()
        with pytest.raises(PullError) as broken:
            pull(docker, image, registry.address)
    assert broken.value.transient
    assert "the connection to the engine broke" in broken.value.cause


def test_connections_that_the_engine_has_ended_are_made_anew(
    containerd: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    real = containerd.environment["DOCKER_HOST"].removeprefix("unix://")
    with Link(real, path=path) as link:
        docker = connect({**containerd.environment, "DOCKER_HOST": f"unix://{path}"})
        assert docker.image("localhost/not/there:1") is None
        assert link.open == 1
        link.cut()
        assert link.wait_until_left(10)
        assert docker.image("localhost/not/there:1") is None
        assert docker.answers()
        assert link.open == 1
    assert not docker.answers()
    with pytest.raises(EngineError, match="could not be looked up"):
        docker.image("localhost/not/there:1")


def test_free_space_is_that_of_the_engines_own_folder(engine: Engine) -> None:
    root = engine.must("info", "--format", "{{.DockerRootDir}}")
    shown = process.run(["df", "--output=avail", "--block-size=1", root]).stdout.split()
    free = connect(engine.environment).free_bytes()
    assert free is not None
    assert abs(free - int(shown[-1])) < 1 << 30


def test_free_space_of_an_engine_elsewhere_is_unknown(containerd: Engine) -> None:
    with Link(containerd.environment["DOCKER_HOST"].removeprefix("unix://")) as link:
        docker = connect({**containerd.environment, "DOCKER_HOST": f"tcp://{link.address}"})
        assert docker.free_bytes() is None
    # Behind a forwarded socket is a machine of another name.
    code = (
        "import os, socket; from bailing_tasks.engine.connect import connect; "
        "socket.sethostname('elsewhere'); print(connect(os.environ).free_bytes())"
    )
    argv = ["unshare", "--uts", sys.executable, "-c", code]
    result = process.run(argv, env=containerd.environment)
    assert result.stdout.strip() == "None", result.stderr


def test_the_engine_of_a_context_is_taken(containerd: Engine, tmp_path: Path) -> None:
    environment = {**containerd.environment, "DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": ""}
    docker = process.find("docker", path=environment["PATH"])
    assert docker
    host = f"host={containerd.environment['DOCKER_HOST']}"
    made = process.run([docker, "context", "create", "here", "--docker", host], env=environment)
    assert made.ok, made.stderr
    code = (
        "import os; from bailing_tasks.engine.connect import connect; "
        "found = connect(os.environ); print(found.builder, found.platform)"
    )
    environment["DOCKER_CONTEXT"] = "here"
    result = process.run([sys.executable, "-c", code], env=environment)
    assert result.stdout.strip() == "here linux/amd64", result.stderr


class WantsLogin(BaseHTTPRequestHandler):
    """A registry that wants a login, and has nothing."""

    logins: ClassVar[set[str]] = set()

    def handle(self) -> None:
        if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":  # a TLS handshake
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            return
        super().handle()

    def do_GET(self) -> None:
        login = self.headers.get("Authorization", "")
        self.logins.add(login)
        self.send_response(404 if login else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def test_a_login_reaches_the_registry_through_the_engine(
    docker: DockerEngine, image: tiny.Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), WantsLogin) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{registry.server_port}"
        login = base64.b64encode(os.urandom(6).hex().encode() + b":secret").decode()
        configuration = {"auths": {address: {"auth": login}}}
        (tmp_path / "config.json").write_text(json.dumps(configuration))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        with pytest.raises(PullError, match="could not be pulled") as failed:
            pull(docker, image, address)
        registry.shutdown()
    assert f"Basic {login}" in WantsLogin.logins
    assert login not in str(failed.value)


@pytest.mark.filterwarnings("ignore:docker-credential-nowhere not installed")
def test_a_credential_helper_that_is_not_there_is_named(
    containerd: Engine, image: tiny.Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "nowhere"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(PullError) as failed:
        pull(connect(containerd.environment), image, containerd.registry)
    assert "docker-credential-nowhere" in failed.value.cause
    assert "credHelpers" in failed.value.remedy


def test_connecting_to_a_socket_loads_no_sdk(containerd: Engine) -> None:
    code = (
        "import os, sys; from bailing_tasks.engine.connect import connect; "
        "connect(os.environ).image('localhost/not/there:1'); "
        "print(sorted({'docker', 'requests'} & set(sys.modules)))"
    )
    result = process.run([sys.executable, "-c", code], env=containerd.environment)
    assert result.stdout.strip() == "[]", result.stderr
