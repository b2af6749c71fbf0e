"""Registries as they are elsewhere: with a login, and by plain HTTP only where somebody said so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread

import pytest

from bailing_tasks.engine.registry import Registries
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import PullError, RegistryError
from bailing_tasks.failures import IMMUTABLE
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release.model import BuiltImage
from tests.engine import registries, tiny
from tests.engine.faults import base
from tests.engine.proxy import Fault, RegistryProxy, SendingFault
from tests.engine.pushing import PLATFORMS, Holder, holder
from tests.engine.remote import remote
from tests.engine.support import Engine, made, started
from tests.engine.test_push import target
from tests.engine.test_registry_faults import Registry
from tests.engine.tokens import Tokens

AMD64 = Platform.parse("linux/amd64")


@pytest.fixture
def plain(containerd: Engine, tmp_path: Path) -> Iterator[str]:
    """A registry that speaks plain HTTP, on an address that is no loopback."""
    folder = tmp_path / "registry"
    with registries.running(folder, host=registries.outside_loopback()) as address:
        yield address


@pytest.fixture
def held(
    request: pytest.FixtureRequest, home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Holder]:
    store = "classic" if request.param == "classic" else "containerd"
    with holder(request.param, started(store), tmp_path, monkeypatch) as found:
        yield found


def test_plain_http_beyond_this_machine_is_explained(plain: str) -> None:
    reference = Reference.parse(f"{plain}/a/b:1")
    asking = Registries()
    with pytest.raises(PullError) as pulled:
        asking.resolve(reference, AMD64, asking.origin(reference))
    with pytest.raises(RegistryError) as pushed:
        Uploads().standing(reference)
    for error in (pulled.value, pushed.value):
        assert f"{plain} speaks plain HTTP" in error.cause
        assert f'plain-http = ["{plain}"]' in error.remedy
        assert not error.transient
    assert Uploads([plain]).standing(reference) is None


@pytest.mark.parametrize("held", ["classic", "containerd"], indirect=True)
def test_an_engine_that_refuses_plain_http_names_its_own_setting(
    held: Holder, plain: str, tmp_path: Path
) -> None:
    image = held.built(target(plain, tmp_path), "linux/amd64")
    with pytest.raises(RegistryError) as caught:
        held.engine.push(image.name, image.reference)
    assert "speaks plain HTTP, and the engine does not" in caught.value.cause
    assert f'daemon.json: "insecure-registries": ["{plain}"]' in caught.value.remedy
    assert not caught.value.transient


@pytest.mark.parametrize("held", ["buildkit"], indirect=True)
def test_where_the_settings_say_so_it_is_published_by_plain_http(
    held: Holder, plain: str, tmp_path: Path
) -> None:
    app = target(plain, tmp_path)
    images = [held.built(app, platform) for platform in PLATFORMS]
    found = held.again(plain_http=[plain]).release(images, {("app", "3.11"): ("1.2.3",)})
    (tag,) = found.tags
    assert Uploads([plain]).standing(Reference.parse(tag.name)) == tag.digest


def test_the_setting_is_followed_by_a_prefetch(
    containerd: Engine, plain: str, tmp_path: Path
) -> None:
    image = tiny.push(plain, "a/b:1", 20)
    with remote(containerd, tmp_path) as buildkit:
        workspace = made(tmp_path, buildkit)
        base(workspace, f"{plain}/{image.name}")
        refused = workspace.invoke("prefetch", "--strict")
        assert refused.returncode == 5
        assert f'plain-http = ["{plain}"]' in refused.stderr
        workspace.write("pyproject.toml", f'[tool.bailing-tasks]\nplain-http = ["{plain}"]\n')
        assert workspace.document("prefetch", "--strict", "--json")["prefetch"]["pulled"] == 1
        assert tiny.held(workspace, f"{plain}/a/b", image)


@pytest.mark.parametrize("by", ["redirect", "token service"])
def test_nobody_is_sent_on_to_plain_http(
    plain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    elsewhere = tiny.push(plain, "a/b:1", 20)
    with Registry() as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        place = f"http://{plain}/v2/{elsewhere.repository}/manifests/1"
        server.wants_login = by == "token service"
        server.realm = f'Bearer realm="{place}"'
        server.status, server.headers["Location"] = 307, place
        reference = Reference.parse(f"{server.address}/a/b:1")
        for asking in (Registries(), Registries(["registry.example:5000"])):
            with pytest.raises(PullError) as caught:
                asking.resolve(reference, AMD64, asking.origin(reference))
            assert f"it sends on to {plain} by plain HTTP" in caught.value.cause
            assert "`plain-http`" in caught.value.remedy
        before = _served(tmp_path)
        told = Registries([plain])
        if by == "redirect":
            found = told.resolve(reference, AMD64, told.origin(reference))
            assert found.digest == elsewhere.digest
            assert _served(tmp_path) == before + 1
        server.shutdown()
    assert before == 0


@pytest.mark.parametrize("held", ["classic", "containerd", "buildkit"], indirect=True)
def test_a_registry_with_a_login_is_published_to(
    held: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registries.running(tmp_path / "registry", login=True) as address:
        app = target(address, tmp_path)
        images = [held.built(app, platform) for platform in PLATFORMS]
        tags = {("app", "3.11"): ("1.2.3", "latest")}
        with pytest.raises(RegistryError, match="wants a login"):
            held.release(images, tags)
        registries.log_in(tmp_path, monkeypatch, address)
        again = held.again()
        found = again.release(images, tags)
        names = [f"{app.repository}:{tag}" for tag in tags["app", "3.11"]]
        assert [tag.name for tag in found.tags] == names
        assert registries.PASSWORD not in again.said.getvalue()


@pytest.mark.parametrize("held", ["buildkit"], indirect=True)
def test_tokens_that_expire_while_it_is_published_are_renewed(
    held: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        registries.running(tmp_path / "registry", login=True) as behind,
        RegistryProxy(behind) as proxy,
    ):
        proxy.tokens = Tokens(registries.LOGIN, uses=4)
        proxy.upstream = registries.LOGIN
        registries.log_in(tmp_path, monkeypatch, proxy.address)
        app = target(proxy.address, tmp_path)
        images = [held.built(app, platform) for platform in PLATFORMS]
        held.again().release(images, {("app", "3.11"): ("1.2.3", "latest")})
        assert len(proxy.tokens.given) > 3
        assert 401 in [status for _, _, status in proxy.log]


@pytest.mark.parametrize("held", ["buildkit"], indirect=True)
def test_a_registry_whose_disk_is_full_says_so(held: Holder, tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    with (
        registries.full_disk(folder / "storage", 100_000),
        registries.running(folder) as address,
    ):
        large = os.urandom(200_000).hex()
        image = held.built(target(address, tmp_path), "linux/amd64", content=large)
        for push in (
            lambda: held.engine.push(image.name, image.reference),
            lambda: Uploads().check(image.reference),  # by now there is none for a beginning
        ):
            with pytest.raises(RegistryError, match="no space left") as caught:
                push()
            assert "has no space left for it" in caught.value.cause
            assert not caught.value.transient


FAULTS: Sequence[tuple[Fault | SendingFault, str, str]] = [
    (SendingFault.NO_SPACE, "blobs", "has no space left"),
    (SendingFault.NO_SPACE, "manifests", "has no space left"),
    (SendingFault.IMMUTABLE, "manifests", "is immutable"),
    (SendingFault.LOST, "blobs", "connection broke"),
    (SendingFault.LOST, "manifests", "connection broke"),
    (SendingFault.RESET, "blobs", "connection broke"),
    (SendingFault.STALL, "blobs", "did not answer"),
    (Fault.BAD_GATEWAY, "manifests", "did not answer"),
]


@pytest.mark.parametrize("held", ["buildkit"], indirect=True)
def test_what_breaks_while_something_is_sent_is_told(
    held: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailing_tasks.engine.uploads.STALL", 0.5)
    with RegistryProxy(held.under.registry) as proxy:
        image = held.built(target(proxy.address, tmp_path), "linux/amd64")
        for number, (fault, on, cause) in enumerate(FAULTS):
            name = Reference.parse(f"{image.reference.repository}-{number}:1")
            # What attests the image comes before the tag.
            path = f"-{number}/manifests/1" if on == "manifests" else f"-{number}/"
            proxy.fault(fault, on=on, method="PUT", path=path, times=1)
            with pytest.raises(RegistryError, match="could not be pushed") as caught:
                held.engine.push(image.name, name)
            assert cause in caught.value.cause, fault
            arrived = fault is SendingFault.LOST and on == "manifests"
            assert bool(Uploads().standing(name)) is arrived
            held.engine.push(image.name, name)
            assert Uploads().standing(name) == image_id(held, image)


@pytest.mark.parametrize("held", ["containerd"], indirect=True)
def test_a_tag_that_is_immutable_stays(held: Holder, tmp_path: Path) -> None:
    with RegistryProxy(held.under.registry) as proxy:
        app = target(proxy.address, tmp_path)
        one, other = (held.built(app, platform) for platform in PLATFORMS)
        name = Reference.parse(f"{app.repository}:1")
        # This engine puts what attests an image under the tag as well, before its index.
        held.engine.push(one.name, name)
        proxy.immutable = True
        with pytest.raises(RegistryError) as caught:
            held.engine.push(other.name, name)
        assert caught.value.kind == IMMUTABLE
        assert Uploads().standing(name) == image_id(held, one)


def image_id(held: Holder, image: BuiltImage) -> str:
    found = held.engine.image(image.name)
    assert found
    return found.id


def _served(folder: Path) -> int:
    """Return how many manifests the registry has been asked for."""
    log = (folder / "registry" / "log").read_text()
    return log.count('"GET /v2/a/b/manifests/')
