"""Platforms whose builders differ: each image on its machine, built at the same time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.engine.layout import Layout
from bailing_tasks.names import kept_name
from tests.engine.machines import OTHER, MeetingPoint, with_builder, with_context
from tests.engine.support import HOST, TASKS, Engine, Workspace, made, started, unique
from tests.engine.tiny import push_index
from tests.unit.repository import Repository

BUILDER = """\
FROM --platform=$BUILDPLATFORM {tools} AS tools
FROM {base} AS builder
COPY --from=tools /file /opt/venv/tools
ARG TARGETARCH
ADD http://{server}/${{TARGETARCH}} /opt/venv/met
"""
APP = """\
ARG BUILDER_IMAGE
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}
COPY --from=builder /opt/venv /opt/venv
COPY code /code
"""
ALONE = """\
FROM scratch
ARG TARGETARCH
ADD http://{server}/${{TARGETARCH}} /met
"""
BOTH = ("linux/amd64", "linux/arm64")
CHAIN = ("prefetch", "--json", "build-builder", "build-app")


@pytest.fixture(scope="module")
def classic(home: None) -> Engine:
    """The sandbox's other engine, which stands for a machine."""
    return started("classic")


@pytest.fixture
def workspace(containerd: Engine, classic: Engine, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose arm64 images are built on another machine, a Docker context."""
    with with_context(containerd, classic, tmp_path) as engine:
        yield for_both(made(tmp_path, engine), tmp_path)


def for_both(workspace: Workspace, folder: Path) -> Workspace:
    """Let a workspace build for two platforms, one of them on the other machine."""
    name = unique(folder, "machines")
    workspace.environment |= {
        "BAILING_TASKS_PLATFORMS": ",".join(BOTH),
        "BAILING_TASKS_BUILDERS": json.dumps({"linux/arm64": OTHER}),
        "BAILING_TASKS_VERIFY_USER": "",
        "BAILING_TASKS_VERIFY_IMPORTS": "",
        "BAILING_TASKS_VERIFY_PORT": "0",
        "BAILING_TASKS_VERIFY_SMALLER_THAN_BUILDER": "false",
        "BAILING_TASKS_APP_IMAGE": name,
        "BAILING_TASKS_BUILDER_IMAGE": f"{name}-builder",
    }
    return workspace


def write_files(workspace: Workspace, folder: Path, server: MeetingPoint) -> None:
    base, tools = (f"{HOST}/{unique(folder, name)}:1" for name in ("base", "tools"))
    for name in (base, tools):
        contents = {platform: {"file": f"{name} {platform}".encode()} for platform in BOTH}
        push_index(workspace.engine.registry, name, contents)
    dockerfile = BUILDER.format(base=base, tools=tools, server=server.address)
    workspace.write("docker/dockerfile.dev", dockerfile)
    workspace.write("Dockerfile", APP.format(base=base))
    workspace.write("code", "one")


def brought(document: dict[str, Any]) -> tuple[str, str, str]:
    """Return how an engine keeps the base for amd64 and arm64, and the tools for amd64."""
    images = document["prefetch"]["images"]
    kept = {
        (image["reference"].partition("/")[2][:4], image["platform"]): kept_name(
            image["reference"], image["platform"], image["digest"]
        )
        for image in images
    }
    assert len(images) == 4
    assert len(kept) == 3
    return (kept["base", BOTH[0]], kept["base", BOTH[1]], kept["tool", BOTH[0]])


def test_each_platform_is_built_on_its_machine_at_the_same_time(
    workspace: Workspace, containerd: Engine, classic: Engine, tmp_path: Path
) -> None:
    with MeetingPoint("/amd64", "/arm64") as server:
        write_files(workspace, tmp_path, server)
        result = workspace.invoke(*CHAIN)
    assert result.ok, result.stderr
    found = {item["task"]: item for item in json.loads(result.stdout)["results"]}
    bases = brought(found)  # both machines run the tools for amd64
    assert [containerd.has(name) for name in bases] == [True, False, True]
    assert [classic.has(name) for name in bases] == [False, True, True]
    for task in ("build-builder", "build-app"):
        amd, arm = found[task]["images"]
        assert (amd["platform"], arm["platform"]) == BOTH
        assert arm["image"] == f"{amd['image']}-arm64"
        assert (amd["builder"], arm["builder"]) == ("default", OTHER)
        for image, engine, other in ((amd, containerd, classic), (arm, classic, containerd)):
            assert image["result"] == "built"
            for name in (image["image"], image["kept"]):
                assert (engine.has(name), other.has(name)) == (True, False)
    lines = result.stderr.splitlines()
    assert any("(linux/arm64) on other: pulled" in line for line in lines)
    for platform in BOTH:
        assert any(line.startswith(f"{platform} | ==> building builder") for line in lines)
    steps = [line for line in lines if "[builder " in line or "[tools " in line]
    assert steps
    assert all(line.startswith(tuple(f"{platform} | #" for platform in BOTH)) for line in steps)
    words = [line for line in lines if "is emulated on a machine of" in line]
    assert len(words) == 1
    assert words[0].startswith("warning: linux/arm64 | linux/arm64 is emulated")
    named = ("--builder-image", found["build-builder"]["images"][1]["kept"])
    dry = workspace.document("build-app", "--force", "--json", "--dry-run")["build-app"]["commands"]
    tagging = [line.partition(" tag localhost/") for line in dry]
    commands = [command for command, found, _ in tagging if found]
    assert commands == ["docker"] * 3 + [f"docker --context {OTHER}"] * 3
    told = workspace.document(
        *("verify", "--json", "plan", "images"),
        *("build-app", "--platform", "linux/arm64", *named),
    )
    assert told["verify"]["ok"]
    skipped = [step["action"] for step in told["plan"]["steps"] if step["step"] == "prefetch"]
    assert skipped == ["skip"] * 4
    assert [image["present"] for image in told["images"]["images"]] == [True] * 3


def test_ci_builds_one_platform_on_a_builder_of_its_own_beside_a_docker_engine(
    containerd: Engine, classic: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository.new(tmp_path / "git", monkeypatch)
    with (
        with_builder(classic, containerd, tmp_path) as engine,
        MeetingPoint("/amd64", "/arm64") as server,
    ):
        workspace = for_both(Workspace(repository.root, engine), tmp_path)
        workspace.write("tasks.py", TASKS)
        write_files(workspace, tmp_path, server)
        repository.commit()
        found = workspace.document("ci-run", "--event", "push:main", "--target", "app", "--json")
    assert found["verify"]["ok"]
    held = Layout(workspace.root / ".bailing-tasks" / f"oci-{OTHER}")
    bases = brought(found)
    assert [classic.has(name) for name in bases] == [True, False, True]
    assert [held.image(name) is not None for name in bases] == [False, True, True]
    for task in ("build-builder", "build-app"):
        amd, arm = found[task]["images"]
        for name in (amd["image"], amd["kept"]):
            assert (classic.has(name), held.image(name)) == (True, None)
        for name in (arm["image"], arm["kept"]):
            assert (classic.has(name), held.image(name) is not None) == (False, True)


@pytest.mark.parametrize(
    ("builders", "said"),
    [
        ({"linux/arm64": "nobody"}, "'nobody', which builds linux/arm64"),
        ({"linux/arm64": "stopped"}, "the Docker engine is stopped"),
        ({"linux/s390x": OTHER}, "it does not run linux/s390x"),
    ],
)
def test_a_builder_that_cannot_be_used_is_named_before_anything_is_built(
    workspace: Workspace, tmp_path: Path, builders: dict[str, str], said: str
) -> None:
    dead = tmp_path / "dead.sock"
    dead.touch()
    workspace.engine.must("context", "create", "stopped", "--docker", f"host=unix://{dead}")
    workspace.environment["BAILING_TASKS_BUILDERS"] = json.dumps(builders)
    workspace.environment["BAILING_TASKS_PLATFORMS"] = ",".join(("linux/amd64", *builders))
    workspace.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    result = workspace.invoke("build-app")
    assert result.returncode == 4, result.stdout
    (name,) = builders.values()
    assert repr(name) in result.stderr
    assert "setting `builders`" in result.stderr
    assert said in result.stderr
    assert "building" not in result.stdout
    assert not workspace.engine.has(workspace.environment["BAILING_TASKS_APP_IMAGE"])


def test_no_docker_engine_is_needed_where_each_platform_has_a_builder(
    workspace: Workspace, classic: Engine
) -> None:
    workspace.environment |= {
        "BAILING_TASKS_PLATFORMS": "linux/arm64",
        "DOCKER_HOST": "unix:///nobody/docker.sock",
    }
    workspace.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    (built,) = workspace.document("build-app", "--json")["build-app"]["images"]
    assert built["image"].endswith("-arm64")
    assert classic.has(built["image"])
    (again,) = workspace.document("build-app", "--json")["build-app"]["images"]
    assert again["result"] == "skipped"


def test_a_build_that_fails_lets_that_of_another_machine_finish(
    workspace: Workspace, containerd: Engine
) -> None:
    with MeetingPoint("/amd64", "/arm64", refuses="/arm64") as server:
        workspace.write("Dockerfile", ALONE.format(server=server.address))
        result = workspace.invoke("build-app", "--json")
    assert result.returncode == 6
    document = json.loads(result.stdout)
    assert [image["platform"] for image in document["results"][0]["images"]] == ["linux/amd64"]
    assert document["error"]["message"].startswith("app linux/arm64")
    assert containerd.has(workspace.environment["BAILING_TASKS_APP_IMAGE"])
    assert "linux/arm64 | failed: app linux/arm64" in result.stderr


def test_ctrl_c_ends_the_builds_of_all_machines(workspace: Workspace) -> None:
    with MeetingPoint("/amd64", "/arm64", "/never") as server:
        workspace.write("Dockerfile", ALONE.format(server=server.address))
        with subprocess.Popen(
            [sys.executable, "-m", "invoke", "build-app"],
            env={**workspace.engine.environment, **workspace.environment},
            cwd=workspace.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Where the tests run in the background, Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as child:
            assert server.came("/amd64", "/arm64")
            os.killpg(child.pid, signal.SIGINT)
            _, said = child.communicate(timeout=60)
        assert child.returncode == 130
        assert "interrupted" in said
        assert "Traceback" not in said
        with pytest.raises(ProcessLookupError):
            os.killpg(child.pid, 0)
    assert not workspace.engine.has(workspace.environment["BAILING_TASKS_APP_IMAGE"])
