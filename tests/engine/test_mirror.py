"""Images go from one registry to another, and on the other network they are taken from there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bailing_tasks.engine.copying import Copies, Tally
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import PullError
from bailing_tasks.references import Reference
from tests.engine import registries, tiny
from tests.engine.proxy import Fault, RegistryProxy, SendingFault
from tests.engine.pushing import write_config
from tests.engine.remote import remote
from tests.engine.support import Workspace, made, started, unique

FILES = {platform: {"file": platform.encode()} for platform in ("linux/amd64", "linux/arm64")}


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[RegistryProxy]:
    """An empty registry that wants a login, and whose requests are known."""
    with (
        registries.running(tmp_path / "mirror", login=True) as address,
        RegistryProxy(address) as found,
    ):
        yield found


def log_in(
    workspace: Workspace, folder: Path, patch: pytest.MonkeyPatch, mirror: RegistryProxy
) -> None:
    known = Path(workspace.engine.environment["DOCKER_CONFIG"], "config.json")
    write_config(folder, patch, json.loads(known.read_text()))
    registries.log_in(folder, patch, mirror.address)
    workspace.environment["DOCKER_CONFIG"] = str(folder / "docker")


def sent(mirror: RegistryProxy) -> list[str]:
    """Return the digests of the blobs that arrived."""
    arrived = [path for method, path, status in mirror.log if (method, status) == ("PUT", 201)]
    return [path.rpartition("digest=")[2] for path in arrived if "/blobs/" in path]


def uses(workspace: Workspace, *images: str) -> None:
    """Let the app be made from images."""
    copies = [f"COPY --from={name} / /{number}/" for number, name in enumerate(images)]
    workspace.write("Dockerfile", "\n".join(["FROM scratch", *copies, ""]))


def test_what_is_there_is_not_sent_again_and_a_failure_is_named(
    plain: Workspace, mirror: RegistryProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(plain, tmp_path, monkeypatch, mirror)
    with registries.running(tmp_path / "source") as source:
        port = source.rpartition(":")[2]
        tiny.push_index(source, "a/b:1", FILES)
        other = tiny.push(source, "a/c:1", 20, 30)
        one, same, its = f"{source}/a/b:1", f"localhost:{port}/a/b:1", f"{source}/a/c:1"
        uses(plain, one, same, f"{its}@{other.digest}", f"{source}/none:1")
        to = f"{mirror.address}/team/images"
        mirror.fault(SendingFault.RESET, on="blobs", method="PUT", times=1)

        failed = plain.invoke("mirror-push", to)
        assert failed.returncode == 8
        assert "3 sent, 0 present, 1 failed" in failed.stdout
        assert f"{mirror.address} did not answer, or the connection broke" in failed.stdout
        assert f"{source}/none:1: {source} has no such image" in failed.stderr
        assert "check the spelling" in failed.stderr
        # Both hosts are one registry: its blobs came once, and stand in both folders.
        assert len(sent(mirror)) == len(set(sent(mirror))) == 7

        uploads, tag = Uploads(), other.digest.replace(":", "-")
        digest = uploads.standing(Reference.parse(one))
        for name, expected in (
            (f"127.0.0.1_{port}/a/b:1", digest),
            (f"localhost_{port}/a/b:1", digest),
            (f"127.0.0.1_{port}/a/c:at-{tag}", other.digest),
        ):
            assert uploads.standing(Reference.parse(f"{to}/{name}")) == expected

        mirror.log.clear()
        again = plain.invoke("mirror-push", to)
        assert "0 sent, 3 present, 1 failed" in again.stdout
        assert {method for method, _, _ in mirror.log} == {"HEAD"}


def test_what_breaks_on_the_way_is_told_of_the_registry_that_broke(
    home: None, tmp_path: Path
) -> None:
    with (
        registries.running(tmp_path / "source") as behind,
        registries.running(tmp_path / "mirror") as mirror,
        RegistryProxy(behind) as source,
    ):
        image = tiny.push(behind, "a/b:1", 100_000, 200_000)
        wanted = Reference.parse(f"{source.address}/a/b:1")
        destination = Reference.parse(f"{mirror}/a/b:1")
        copies, tally = Copies(), Tally(on_progress=lambda progress: None)

        def copy() -> None:
            place = copies.origin(wanted)
            copies.copy(wanted, image.digest, place, destination, tally)

        for fault, said in (
            (Fault.CORRUPT, "answered with something else"),
            (Fault.SHORT, "connection broke"),
            (Fault.ANOTHER, "something else than was asked for|connection broke"),
        ):
            source.fault(fault, on="blobs", path=image.layers[1], times=1)
            with pytest.raises(PullError, match="could not be pulled") as caught:
                copy()
            assert re.search(said, caught.value.cause), fault
            assert source.address in caught.value.cause
            assert caught.value.transient
            assert copies.standing(destination) is None
        copy()
        assert copies.standing(destination) == image.digest
        # What arrived before it broke was not sent again.
        assert len([path for _, path, _ in source.log if image.layers[0] in path]) == 1
        assert (tally.layers, tally.sent & tally.layers) == (set(image.layers), set(image.layers))


@dataclass(frozen=True)
class Filled:
    """A mirror that has all of a workspace, whose sources are gone.

    Attributes:
        place: The mirror.
        name: The local name of the app.
        dockerfile: The app's Dockerfile.
        mirrors: The setting that `mirror-push` names.
        repositories: Where the external images stand.
    """

    place: str
    name: str
    dockerfile: str
    mirrors: str
    repositories: frozenset[str]

    @property
    def environment(self) -> dict[str, str]:
        return {"BAILING_TASKS_APP_IMAGE": self.name, "BAILING_TASKS_VERSION": "v1.2.3"}


@pytest.fixture(scope="module")
def filled(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("filled")
    name, builds = unique(folder, "m"), made(folder, started("classic"))
    with registries.running(folder / "mirror") as mirror:
        with registries.running(folder / "source") as source:
            tiny.push_index(source, f"{name}/a:1", FILES)
            other = tiny.push(source, f"{name}/b:1", 20)
            uses(builds, f"{source}/{name}/a:1", f"{source}/{name}/b@{other.digest}")
            found = Filled(
                place=f"{mirror}/team",
                name=name,
                dockerfile=(builds.root / "Dockerfile").read_text(),
                mirrors="",
                repositories=frozenset(
                    f"{mirror}/team/{source.replace(':', '_')}/{name}/{each}" for each in "ab"
                ),
            )
            builds.environment |= found.environment
            argv = ("prefetch", "build-app", "mirror-push", found.place, "--json")
            result = builds.document(*argv)["mirror-push"]
        built = f"{found.place}/{name}:1.2.3"
        builds.engine.must("tag", name, built)
        builds.engine.must("push", "-q", built)
        mirrors = {host: [its] for host, its in result["mirrors"].items()}
        yield replace(found, mirrors=json.dumps(mirrors))


@pytest.mark.parametrize("kind", ["classic", "containerd", "buildkit"])
def test_on_the_other_network_all_comes_from_the_mirror(
    filled: Filled, kind: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        engine = started("classic" if kind == "classic" else "containerd")
        engine = stack.enter_context(remote(engine, tmp_path)) if kind == "buildkit" else engine
        workspace = made(tmp_path, engine)
        workspace.environment |= filled.environment
        workspace.write("Dockerfile", filled.dockerfile)

        found = workspace.document("pull-all", filled.place, "--strict", "build-app", "--json")
        served = {image["served_from"] for image in found["prefetch"]["images"]}
        assert served == filled.repositories
        (image,) = found["pull-all"]["images"]
        assert image["image"] == f"{filled.name}:latest"
        assert image["pulled"] == f"{filled.place}/{filled.name}:1.2.3"
        assert image["same_inputs"]
        assert found["build-app"]["images"][0]["result"] == "skipped"

        shutil.rmtree(workspace.root / ".bailing-tasks")
        variables = {"BAILING_TASKS_MIRRORS": filled.mirrors}
        again = workspace.document("prefetch", "--strict", "--json", **variables)["prefetch"]
        assert {image["served_from"] for image in again["images"]} == filled.repositories
