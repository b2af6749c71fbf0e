"""Images go from one registry to another, and on the other network they are taken from there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.references import Reference
from tests.engine import registries, tiny
from tests.engine.proxy import Fault, RegistryProxy
from tests.engine.pushing import write_config
from tests.engine.support import Workspace, unique

PLATFORMS = ("linux/amd64", "linux/arm64")
FILES = {platform: {"file": platform.encode()} for platform in PLATFORMS}
BUILD = "FROM scratch\nCOPY --from={0} / /0/\nCOPY --from={1} / /1/\nCOPY file /\n"


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
    config = json.loads(
        Path(workspace.engine.environment["DOCKER_CONFIG"], "config.json").read_text()
    )
    write_config(folder, patch, config)
    registries.log_in(folder, patch, mirror.address)
    workspace.environment["DOCKER_CONFIG"] = str(folder / "docker")


def sent(mirror: RegistryProxy) -> list[str]:
    """Return the digests of the blobs that were sent."""
    puts = [path for method, path, _ in mirror.log if method == "PUT" and "/blobs/" in path]
    return [path.rpartition("digest=")[2] for path in puts]


def test_what_is_there_is_not_sent_again_and_a_failure_is_named(
    plain: Workspace, mirror: RegistryProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(plain, tmp_path, monkeypatch, mirror)
    with registries.running(tmp_path / "source") as source:
        port = source.rpartition(":")[2]
        tiny.push_index(source, "a/b:1", FILES)
        other = tiny.push(source, "a/c:1", 20, 30)
        names = [
            f"{source}/a/b:1",
            f"localhost:{port}/a/b:1",
            f"{source}/a/c:1@{other.digest}",
            f"{source}/none:1",
        ]
        plain.write(
            "Dockerfile",
            "\n".join(["FROM scratch", *(f"COPY --from={name} / /" for name in names)]),
        )
        place = f"{mirror.address}/team/images"
        mirror.fault(Fault.RESET, on="manifests", method="PUT", times=1)

        failed = plain.invoke("mirror-push", place, "--json")
        assert failed.returncode == 8
        document = json.loads(failed.stdout)
        (result,) = document["results"]
        assert (result["sent"], result["failed"]) == (3, 1)
        assert f"{source}/none:1: " in document["error"]["cause"]
        assert "has no such image" in document["error"]["cause"]
        blobs = sent(mirror)
        assert len(blobs) == len(set(blobs))

        expected = [f"127.0.0.1_{port}/a/b:1", f"localhost_{port}/a/b:1"]
        for name in expected:
            reference = Reference.parse(f"{place}/{name}")
            assert Uploads().standing(reference) == Uploads().standing(Reference.parse(names[0]))
        digest = other.digest.replace(":", "-")
        assert (
            Uploads().standing(Reference.parse(f"{place}/127.0.0.1_{port}/a/c:at-{digest}"))
            == other.digest
        )

        del mirror.log[:]
        again = plain.invoke("mirror-push", place)
        print(failed.stdout, failed.stderr, again.stdout, again.stderr, blobs, plain.invoke("mirror-push", place, "--dry-run").stdout,plain.invoke("mirror-push", place+"2", "--dry-run").stdout)
        assert "0 sent, 3 present, 1 failed" in again.stdout
        assert not [line for line in mirror.log if line[0] in ("POST", "PUT", "GET")]
