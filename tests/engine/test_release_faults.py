"""A release meets each fault once: whoever pulls has the old release or the new one, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import registries
from tests.engine.proxy import Fault, SendingFault
from tests.engine.releases import VERSION, WHOLE, Case, Scene, Stage, meet, sent_twice, stage
from tests.engine.support import started
from tests.engine.tokens import Tokens

CASES = [
    Case(Fault.NOT_FOUND, "image", None),
    Case(Fault.TOO_MANY, "index", 1),
    Case(Fault.TOO_MANY_WAIT, "version", 1),
    Case(Fault.SERVER_ERROR, "branch", None),
    Case(Fault.BAD_GATEWAY, "latest", None),
    Case(Fault.RESET, "read image", 1),
    Case(Fault.SHORT, "read image", None),
    Case(Fault.CORRUPT, "read blob", None),
    Case(Fault.STALL, "read image", 1),
    Case(Fault.TRICKLE, "read blob", None),
    Case(Fault.CIRCLE, "read image", None),
    Case(Fault.ANOTHER, "read image", None),
    Case(SendingFault.LOST, "blob", 1),
    Case(SendingFault.RESET, "blob", None),
    Case(SendingFault.STALL, "blob", 1),
]
ENDS_WELL = (Fault.TRICKLE, SendingFault.LOST)
"""What is no failure, however often it happens: all of it came."""


@pytest.fixture(scope="module", params=["buildkit", "containerd"])
def released(
    request: pytest.FixtureRequest, home: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("release")
    with (
        pytest.MonkeyPatch.context() as patch,
        stage(request.param, started("containerd"), folder, patch) as found,
    ):
        yield found


@pytest.fixture
def scene(released: Stage, tmp_path: Path) -> Iterator[Scene]:
    """A release that was not begun yet, before a registry with the one before."""
    with released.scene(tmp_path) as found:
        yield found


@pytest.mark.parametrize("released", ["buildkit"], indirect=True)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_leaves_the_old_release_or_the_new_one(
    released: Stage, tmp_path: Path, case: Case
) -> None:
    came = meet(released, case, tmp_path)
    ends_well = case.times is not None or case.fault in ENDS_WELL
    assert (came.error is None) is ends_well
    if came.error:
        assert came.error.exit_code == 9


def test_a_token_that_expires_halfway_is_renewed(scene: Scene) -> None:
    proxy = scene.stage.proxy
    proxy.tokens, proxy.upstream = Tokens(registries.LOGIN, uses=13), registries.LOGIN
    scene.release()
    assert scene.seen() == WHOLE
    # An engine that begins a push anew puts its manifests again; blobs come once.
    assert not [path for path in sent_twice(proxy) if "/manifests/fp-" not in path]
    assert len(proxy.tokens.given) > 4


def test_a_login_that_ends_halfway_is_named(scene: Scene) -> None:
    proxy = scene.stage.proxy
    proxy.upstream = registries.LOGIN
    proxy.tokens = Tokens(registries.LOGIN, uses=1000, until=30)
    assert "wants a login, or refuses the one it got" in scene.fails().cause
    assert [path for method, path, status in proxy.log if method == "PUT" and status == 201]
    proxy.tokens = Tokens(registries.LOGIN, uses=1000)
    scene.goes_on()


@pytest.mark.parametrize("released", ["buildkit"], indirect=True)
def test_a_push_that_is_denied_for_one_repository_of_two_is_named(scene: Scene) -> None:
    app = scene.stage.images[-1].reference
    scene.stage.proxy.fault(Fault.FORBIDDEN, on="blobs", method="POST", path=f"/{app.path}/")
    failed = scene.fails()
    assert app.repository in failed.message
    assert f"does not let this login push to {app.path}" in failed.cause
    scene.stage.proxy.heal()
    scene.goes_on()


def test_a_registry_out_of_space_is_named(released: Stage, tmp_path: Path) -> None:
    # Of the blobs that a full disk has damaged, a Docker engine cannot tell what they are.
    left = 0 if released.held.under.store == "containerd" else 100_000
    with (
        registries.full_disk(tmp_path / "registry" / "storage", 2_000_000),
        released.scene(tmp_path) as scene,
    ):
        filler = registries.fill(scene.storage, left=left)
        assert "has no space left for it" in scene.fails().cause
        filler.unlink()
        scene.goes_on()


@pytest.mark.parametrize("released", ["buildkit"], indirect=True)
def test_a_tag_that_is_immutable_is_named(scene: Scene) -> None:
    scene.stage.proxy.fault(
        SendingFault.IMMUTABLE, on="manifests", method="PUT", path=f"/{VERSION}"
    )
    failed = scene.fails()
    assert f":{VERSION} could not be pushed" in failed.message
    assert "it is immutable" in failed.cause
    scene.stage.proxy.heal()
    scene.goes_on()


@pytest.mark.parametrize("released", ["buildkit"], indirect=True)
def test_a_version_whose_answer_is_lost_is_not_put_again(scene: Scene) -> None:
    proxy, path = scene.stage.proxy, f"/{VERSION}"
    proxy.fault(SendingFault.LOST, on="manifests", method="PUT", path=path, times=1)
    scene.release()
    assert scene.seen() == WHOLE
    sent = [path for method, path, _ in proxy.log if method == "PUT" and path.endswith(VERSION)]
    assert len(sent) == len(set(sent)) == 2
