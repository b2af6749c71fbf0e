"""Platforms whose builders differ: each image on its machine, built at the same time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.names import kept_name
from tests.engine.machines import OTHER, MeetingPoint, with_builder, with_context
from tests.engine.support import HOST, Engine, Workspace, made, started, unique

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
CHAIN = ("prefetch", "--json", "build-builder", "build-app")


@pytest.fixture(scope="module")
def classic(home: None) -> Engine:
    """The other machine."""
    return started("classic")


@pytest.fixture
def workspace(containerd: Engine, classic: Engine, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose arm64 images are built on another machine."""
    with with_context(containerd, classic, tmp_path) as engine:
        yield for_two_machines(made(tmp_path, engine), tmp_path)


def for_two_machines(workspace: Workspace, folder: Path) -> Workspace:
    name = unique(folder, "machines")
    workspace.environment |= {
        "BAILING_TASKS_PLATFORMS": "linux/amd64,linux/arm64",
        "BAILING_TASKS_BUILDERS": json.dumps({"linux/arm64": OTHER}),
        "BAILING_TASKS_APP_IMAGE": name,
        "BAILING_TASKS_BUILDER_IMAGE": f"{name}-builder",
    }
    return workspace


def write_files(workspace: Workspace, folder: Path, server: str) -> None:
    engine = workspace.engine
    both = ("linux/amd64", "linux/arm64")
    base = engine.push_tiny(folder / "base", f"{unique(folder, 'base')}:1", *both)
    tools = engine.push_tiny(folder / "tools", f"{unique(folder, 'tools')}:1", *both)
    builder = BUILDER.format(base=base, tools=tools, server=server)
    workspace.write("docker/dockerfile.dev", builder)
    workspace.write("Dockerfile", APP.format(base=base))
    workspace.write("code", "one")


def pins(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return what a prefetch has brought: for each name and platform, how the engine keeps it."""
    return {
        (image["reference"].rpartition("/")[2].partition("-")[0], image["platform"]): kept_name(
            image["reference"], image["platform"], image["digest"]
        )
        for image in document["prefetch"]["images"]
    }


def test_each_platform_is_built_on_its_machine_at_the_same_time(
    workspace: Workspace, containerd: Engine, classic: Engine, tmp_path: Path
) -> None:
    with MeetingPoint("/amd64", "/arm64") as server:
        write_files(workspace, tmp_path, server.address)
        found = workspace.document(*CHAIN)
    assert (found["prefetch"]["pulled"], found["prefetch"]["failed"]) == (4, 0)
    brought = pins(found)
    here, there = ("base", "linux/amd64"), ("base", "linux/arm64")
    tools = ("tools", "linux/amd64")  # both machines run that
    assert [containerd.has(brought[key]) for key in (here, there, tools)] == [True, False, True]
    assert [classic.has(brought[key]) for key in (here, there, tools)] == [False, True, True]
    for task in ("build-builder", "build-app"):
        amd, arm = found[task]["images"]
        assert (amd["platform"], arm["platform"]) == ("linux/amd64", "linux/arm64")
        assert arm["image"] == f"{amd['image']}-arm64"
        for image, engine, other in ((amd, containerd, classic), (arm, classic, containerd)):
            assert image["result"] == "built"
            for name in (image["image"], image["kept"]):
                assert (engine.has(name), other.has(name)) == (True, False)
