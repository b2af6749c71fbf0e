"""Prefetch and builds on a BuildKit that is no Docker engine, with no Docker engine in reach."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks.engine.base import Limits, Progress
from bailing_tasks.engine.buildkit import BuildKitEngine
from bailing_tasks.engine.buildx import Builder
from bailing_tasks.engine.connect import connect
from bailing_tasks.engine.layout import Layout
from bailing_tasks.errors import PullError
from bailing_tasks.mirrors import sources
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from tests.engine.proxy import Fault, RegistryProxy
from tests.engine.remote import content, layout, remote
from tests.engine.support import HOST, TRUE, Engine, Workspace, made, unique
from tests.engine.tiny import Tiny, push

AMD64 = Platform.parse("linux/amd64")
BUILDER = """\
FROM --platform=linux/arm64 {base}:1 AS arm
FROM {base}:1 AS builder
COPY --from=arm /0 /opt/venv/arm
COPY --from={tools}:1 /0 /opt/venv/tools
COPY lock /opt/venv/lock
"""
APP = """\
ARG BUILDER_IMAGE
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}:1
COPY --from=builder /opt/venv /opt/venv
COPY code /code
"""
BUILD = ("build-builder", "--json", "build-app", "--json")
CAPABLE = "moby.buildkit.frontend.inputs,moby.buildkit.frontend.contexts"


@pytest.fixture(scope="module")
def buildkit(containerd: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A BuildKit of its own."""
    with remote(containerd, tmp_path_factory.mktemp("buildkit")) as found:
        yield found


def push_for_both(engine: Engine, name: str) -> dict[str, Tiny]:
    """Put an image for two architectures into the registry, as `name:1`; return both parts."""
    tag = f"{engine.registry}/{name}"
    parts = {
        architecture: push(engine.registry, f"{name}:{architecture}", 20, architecture=architecture)
        for architecture in ("amd64", "arm64")
    }
    named = [f"{tag}:{architecture}" for architecture in parts]
    engine.must("buildx", "imagetools", "create", "-t", f"{tag}:1", *named)
    return parts


@pytest.fixture
def registry(containerd: Engine) -> Iterator[RegistryProxy]:
    with RegistryProxy(containerd.registry) as proxy:
        yield proxy


@pytest.fixture
def workspace(buildkit: Engine, registry: RegistryProxy, tmp_path: Path) -> Workspace:
    found = made(tmp_path, buildkit)
    mirror = json.dumps({HOST: [f"http://{registry.address}/{HOST}"]})
    found.environment["BAILING_TASKS_MIRRORS"] = mirror
    return found


def of_one_image(workspace: Workspace, folder: Path, *sizes: int) -> Tiny:
    """Let a workspace's app have one base image, with layers of these sizes."""
    tiny = push(workspace.engine.registry, f"{HOST}/{unique(folder, 'one')}:1", *sizes)
    workspace.write("Dockerfile", f"FROM {tiny.name}\n")
    return tiny


@pytest.mark.parametrize("platforms", [("linux/amd64",), ("linux/amd64", "linux/arm64")])
def test_after_a_prefetch_builds_need_no_registry(
    workspace: Workspace,
    containerd: Engine,
    registry: RegistryProxy,
    tmp_path: Path,
    platforms: tuple[str, ...],
) -> None:
    base, tools = (f"{HOST}/{unique(tmp_path, name)}" for name in ("base", "tools"))
    bases, others = push_for_both(containerd, base), push_for_both(containerd, tools)
    workspace.write("docker/dockerfile.dev", BUILDER.format(base=base, tools=tools))
    workspace.write("Dockerfile", APP.format(base=base))
    workspace.write("lock", "one")
    workspace.write("code", "one")
    workspace.environment["BAILING_TASKS_PLATFORMS"] = ",".join(platforms)
    fetched = workspace.document("prefetch", "--json")["prefetch"]
    assert (fetched["pulled"], fetched["failed"]) == (2 + len(platforms), 0)
    registry.stop()
    found = workspace.document(*BUILD)
    for task in ("build-builder", "build-app"):
        built = found[task]["images"]
        assert {(image["platform"], image["result"]) for image in built} == {
            (platform, "built") for platform in platforms
        }
    for image in found["build-app"]["images"]:
        files = content(workspace, image["image"])
        assert files["code"] == files["opt/venv/lock"] == b"one"
        architecture = image["platform"].partition("/")[2]
        assert (files["0"],) == bases[architecture].files
        assert (files["opt/venv/arm"],) == bases["arm64"].files
        assert (files["opt/venv/tools"],) == others[architecture].files
    again = workspace.document("prefetch", "--offline", "--json", *BUILD)
    assert again["prefetch"]["present"] == 2 + len(platforms)
    for task in ("build-builder", "build-app"):
        assert {image["result"] for image in again[task]["images"]} == {"skipped"}
    workspace.write("code", "two")
    changed = workspace.document(*BUILD)
    assert {image["result"] for image in changed["build-builder"]["images"]} == {"skipped"}
    for image in changed["build-app"]["images"]:
        assert image["result"] == "built"
        assert content(workspace, image["image"])["code"] == b"two"


def test_a_frontend_is_taken_from_here_too(
    workspace: Workspace, containerd: Engine, registry: RegistryProxy, tmp_path: Path
) -> None:
    program = tmp_path / "frontend" / "true"
    program.parent.mkdir()
    program.write_bytes(TRUE)
    program.chmod(0o755)
    name = f"{HOST}/{unique(tmp_path, 'frontend')}:1"
    tag = f"{containerd.registry}/{name}"
    label = f"moby.buildkit.frontend.caps={CAPABLE}"
    dockerfile = program.with_name("Dockerfile")
    dockerfile.write_text('FROM scratch\nCOPY true /true\nENTRYPOINT ["/true"]\n')
    argv = ("--provenance=false", "--label", label, "-t", tag, str(program.parent))
    containerd.must("buildx", "build", "-q", *argv)
    containerd.must("push", "-q", tag)
    containerd.must("rmi", tag)
    workspace.write("Dockerfile", f"# syntax={name}\nFROM scratch\nCOPY tasks.py /\n")
    assert workspace.document("prefetch", "--json")["prefetch"]["pulled"] == 1
    registry.stop()
    result = workspace.invoke("build-app")
    # It ran, and did not do what frontends do.
    assert "no result for incomplete build" in result.stdout
    assert result.returncode == 6


def test_an_interrupted_layer_goes_on_where_it_was(
    workspace: Workspace, registry: RegistryProxy, tmp_path: Path
) -> None:
    (layer,) = of_one_image(workspace, tmp_path, 300_000).layers
    registry.fault(Fault.SHORT, on="blobs", path=layer, times=2)
    assert workspace.document("prefetch", "--json")["prefetch"]["pulled"] == 1
    asked = [status for _, path, status in registry.log if path.endswith(layer)]
    assert asked == [200, 206, 206]
    assert_whole(workspace)


def test_bytes_that_an_earlier_run_brought_are_not_counted(
    workspace: Workspace, registry: RegistryProxy, tmp_path: Path
) -> None:
    image = of_one_image(workspace, tmp_path, 300_000)
    (layer,) = image.layers
    held = layout(workspace)
    pull(image, workspace.engine.registry, held.folder)
    content = held.path(layer).read_bytes()
    shutil.rmtree(held.folder)
    held.make()
    held.partial(layer).write_bytes(content[:100_000])
    registry.fault(Fault.SHORT, on="blobs", path=layer, times=2)
    fetched = workspace.document("prefetch", "--json")["prefetch"]
    assert fetched["bytes"] == fetched["images"][0]["bytes"] == len(content) - 100_000


def assert_whole(workspace: Workspace) -> None:
    """Check that each blob here is what its name says."""
    blobs = list((layout(workspace).folder / "blobs" / "sha256").iterdir())
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)


def test_a_damaged_layer_is_not_kept(
    workspace: Workspace, registry: RegistryProxy, tmp_path: Path
) -> None:
    of_one_image(workspace, tmp_path, 1000)
    registry.fault(Fault.CORRUPT, on="blobs")
    result = workspace.invoke("prefetch", "--json", "--strict", "--timeout", "3")
    assert result.returncode == 5
    (image,) = json.loads(result.stdout)["results"][0]["images"]
    assert "something else than was asked for" in image["cause"]
    assert [*(layout(workspace).folder / "partial").iterdir()] == []
    assert_whole(workspace)
    registry.heal()
    assert workspace.document("prefetch", "--json")["prefetch"]["pulled"] == 1
    assert_whole(workspace)


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Path]:
    """A folder whose disk has half a megabyte."""
    folder = tmp_path / "cramped"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def held_in(folder: Path) -> BuildKitEngine:
    """Return a BuildKit for which images are held in a folder; nothing is built with it."""
    builder = Builder(name="remote", driver="remote", context="", platforms=(AMD64,))
    nobody = functools.partial(connect, {"DOCKER_HOST": f"unix://{folder}/nobody.sock"})
    return BuildKitEngine(builder, folder, nobody)


def pull(image: Tiny, registry: str, folder: Path) -> list[Progress]:
    """Download an image into a folder; return what was told of it."""
    name = f"{registry}/{image.repository}@{image.digest}"
    told: list[Progress] = []
    held_in(folder).pull(
        name,
        source=sources(Reference.parse(name), {})[0],
        wanted=Reference.parse(image.name),
        platform=AMD64,
        on_progress=told.append,
        limits=Limits(),
    )
    return told


def test_the_disk_that_is_full_is_the_folders(
    containerd: Engine, cramped: Path, tmp_path: Path
) -> None:
    assert held_in(cramped).free_bytes() == 512 << 10
    image = push(containerd.registry, f"{HOST}/{unique(tmp_path, 'large')}:1", 1_000_000)
    with pytest.raises(PullError, match="No space left on device") as caught:
        pull(image, containerd.registry, cramped)
    assert f"{cramped} cannot be written to" in caught.value.cause
    assert "free disk space there" in caught.value.remedy
    assert caught.value.final


def test_where_a_layer_goes_on_is_told(containerd: Engine, tmp_path: Path) -> None:
    image = push(containerd.registry, f"{HOST}/{unique(tmp_path, 'begun')}:1", 300_000)
    (layer,) = image.layers
    pull(image, containerd.registry, tmp_path / "whole")
    held = Layout(tmp_path / "begun")
    held.make()
    held.partial(layer).write_bytes(Layout(tmp_path / "whole").path(layer).read_bytes()[:100_000])
    told = pull(image, containerd.registry, tmp_path / "begun")
    (begun,) = (
        progress
        for progress in told
        if progress.status == "Starting" and layer.partition(":")[2].startswith(progress.layer)
    )
    assert begun.current == 100_000


def test_a_name_whose_image_is_gone_is_dropped(containerd: Engine, tmp_path: Path) -> None:
    held = Layout(tmp_path / "held")
    images = [
        push(containerd.registry, f"{HOST}/{unique(tmp_path, name)}:1", 20)
        for name in ("gone", "damaged", "stays")
    ]
    for image in images:
        pull(image, containerd.registry, held.folder)
        held.tag(image.digest, image.name)
    gone, damaged, stays = images
    held.path(gone.digest).unlink()
    held.path(damaged.digest).write_bytes(b"")
    held.tag(stays.digest, "new:1")
    assert held.digest("new:1") == held.digest(stays.name) == stays.digest
    assert held.digest(gone.name) is held.digest(damaged.name) is None


def test_a_silent_layer_ends_with_the_time_of_the_prefetch(
    workspace: Workspace, registry: RegistryProxy, tmp_path: Path
) -> None:
    of_one_image(workspace, tmp_path, 300_000)
    registry.fault(Fault.STALL, on="blobs")
    found = workspace.document("prefetch", "--json", "--timeout", "3")["prefetch"]
    (image,) = found["images"]
    assert image["status"] == "failed"
    assert "its time is over" in image["cause"]
    assert found["seconds"] < 20


def test_what_two_images_share_comes_once(
    workspace: Workspace, containerd: Engine, registry: RegistryProxy, tmp_path: Path
) -> None:
    repository = of_one_image(workspace, tmp_path, 200_000, 100_000).repository
    tag = f"{containerd.registry}/{repository}"
    containerd.must("buildx", "imagetools", "create", "-t", f"{tag}:2", f"{tag}:1")
    workspace.write("Dockerfile", f"FROM {repository}:1\nCOPY --from={repository}:2 /0 /2\n")
    assert workspace.document("prefetch", "--json")["prefetch"]["failed"] == 0
    asked = [path for _, path, _ in registry.log if "/blobs/" in path]
    assert len(asked) == len(set(asked)) == 3


def test_what_a_buildkit_cannot_do_is_said(workspace: Workspace) -> None:
    workspace.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    assert workspace.invoke("build-app").returncode == 0
    result = workspace.invoke("verify")
    assert result.returncode == 4
    assert "start a Docker engine, or name one in DOCKER_HOST" in result.stderr
    result = workspace.invoke("build-app", BUILDX_BUILDER="nobody")
    assert result.returncode == 4
    assert "the buildx builder 'nobody' cannot be used" in result.stderr
    result = workspace.invoke("build-app", BUILDX_BUILDER="default")
    assert result.returncode == 4
    assert "nobody.sock" in result.stderr


def test_a_builder_of_dockers_is_its_engine(workspace: Workspace, containerd: Engine) -> None:
    workspace.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    name = unique(workspace.root, "context")
    host = f"host={containerd.environment['DOCKER_HOST']}"
    workspace.environment["BAILING_TASKS_APP_IMAGE"] = name
    workspace.environment["DOCKER_CONFIG"] = str(workspace.root)
    config = Path(containerd.environment["DOCKER_CONFIG"]) / "config.json"
    workspace.write("config.json", config.read_text())
    elsewhere = replace(
        workspace.engine, environment={**workspace.engine.environment, **workspace.environment}
    )
    elsewhere.must("context", "create", name, "--docker", host)
    workspace.environment["BAILING_TASKS_BUILDX_BUILDER"] = name
    assert workspace.invoke("build-app").returncode == 0
    assert containerd.has(f"{name}:latest")
    containerd.must("rmi", f"{name}:latest")
