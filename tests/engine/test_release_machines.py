"""One release from two machines, each of which builds its own architecture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks import sandbox
from bailing_tasks.image_index import is_image
from tests.engine.machines import OTHER, with_builder, with_context
from tests.engine.support import TRUE_ARM64, Engine, Workspace, started
from tests.engine.voice import published, tags, voice_application

ALL = ("--platform", "all")
BUILD = ("prefetch", *ALL, "build-builder", *ALL, "build-app", *ALL)


@pytest.fixture(scope="module")
def arm(home: None) -> Engine:
    """The engine that stands for an arm64 machine: the sandbox's other one, with an emulator."""
    sandbox.up(references=(), platforms=("linux/arm64",), store="classic")
    return started("classic")


@pytest.fixture(params=["context", "builder"])
def voice(
    request: pytest.FixtureRequest,
    plain: Workspace,
    arm: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workspace]:
    """A voice application whose arm64 images another machine builds."""
    voice = voice_application(plain, tmp_path, monkeypatch, arm64=TRUE_ARM64)
    voice.environment["BAILING_TASKS_BUILDERS"] = json.dumps({"linux/arm64": OTHER})
    if request.param == "context":
        machines = with_context(plain.engine, arm, tmp_path)
    else:
        # Only the BuildKit of the containerd store can stand for one of its own.
        machines = with_builder(arm, plain.engine, tmp_path)
    with machines as engine:
        voice.engine = engine
        yield voice


def test_both_machines_images_meet_in_one_index_and_run(voice: Workspace, arm: Engine) -> None:
    built = voice.invoke(*BUILD)
    assert built.ok, built.stderr
    release = voice.document("push", "--yes", "--json")["release"]
    assert sum(upload["sent"] for upload in release["uploads"]) == 4
    for suffix in ("", "-builder"):
        index = published(voice, "latest", suffix)
        assert index
        images = filter(is_image, index["manifests"])
        architectures = [entry["platform"]["architecture"] for entry in images]
        assert architectures == ["amd64", "arm64"]
        assert len([tag for tag in tags(voice, suffix) if tag.startswith("fp-")]) == 2
    name = f"{voice.environment['BAILING_TASKS_REPOSITORY']}:latest"
    for engine, platform in ((voice.engine, "linux/amd64"), (arm, "linux/arm64")):
        engine.must("pull", "-q", "--platform", platform, name)
        found = json.loads(engine.must("image", "inspect", name))[0]
        assert f"linux/{found['Architecture']}" == platform
        engine.must("run", "--rm", "--network=none", "--platform", platform, name)
        engine.must("rmi", name)
    assert voice.invoke("release-status").ok
