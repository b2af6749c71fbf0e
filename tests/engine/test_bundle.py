"""Bundles between two machines, the second one with no registry in reach."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.remote import remote
from tests.engine.support import HOST, Engine, Workspace, made, started, unique
from tests.engine.tiny import push_index

BOTH = ("linux/amd64", "linux/arm64")
BUILDER = """\
FROM {base} AS builder
COPY lock /opt/venv/lock
"""
APP = """\
ARG BUILDER_IMAGE
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}
COPY --from=builder /opt/venv /opt/venv
COPY code /code
"""
NOWHERE = json.dumps({HOST: ["http://127.0.0.1:9"]})
BUILD = ("build-builder", "--json", "--platform", "all", "build-app", "--platform", "all")


@pytest.fixture(scope="module")
def machines(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """Engines of each kind."""
    containerd = started("containerd")
    with remote(containerd, tmp_path_factory.mktemp("buildkit")) as buildkit:
        yield {"containerd": containerd, "classic": started("classic"), "buildkit": buildkit}


def written(folder: Path, engine: Engine) -> Workspace:
    """Return a workspace of two platforms on an engine, with a base image in the registry."""
    base = f"{HOST}/{unique(folder, 'bundled')}:1"
    push_index(
        engine.registry,
        base,
        {platform: {"file": f"{base} {platform}".encode() * 1000} for platform in BOTH},
    )
    found = made(folder, engine)
    found.write("docker/dockerfile.dev", BUILDER.format(base=base))
    found.write("Dockerfile", APP.format(base=base))
    found.write("lock", "one")
    found.write("code", "one")
    name = unique(folder, "bundle")
    found.environment |= {
        "BAILING_TASKS_PLATFORMS": ",".join(BOTH),
        "BAILING_TASKS_APP_IMAGE": name,
        "BAILING_TASKS_BUILDER_IMAGE": f"{name}-builder",
    }
    return found


def elsewhere(first: Workspace, folder: Path, engine: Engine) -> Workspace:
    """Return the same workspace on another machine, which reaches no registry."""
    root = folder / "elsewhere"
    shutil.copytree(first.root, root, ignore=shutil.ignore_patterns(".bailing-tasks"))
    return Workspace(root, engine, {**first.environment, "BAILING_TASKS_MIRRORS": NOWHERE})


@pytest.mark.parametrize(
    ("of", "to"),
    [("classic", "containerd"), ("containerd", "classic"), ("buildkit", "buildkit")],
)
def test_a_machine_without_a_network_builds_on_what_a_bundle_brought(
    machines: dict[str, Engine], tmp_path: Path, of: str, to: str
) -> None:
    first = written(tmp_path, machines[of])
    first.document("prefetch", "--platform", "all", *BUILD)
    bundle = str(tmp_path / "all.tar")
    saved = first.document("bundle-save", bundle, "--json")["bundle-save"]
    assert (len(saved["external"]), len(saved["built"])) == (2, 4)
    second = elsewhere(first, tmp_path, machines[to])
    loaded = second.document("bundle-load", bundle, "--json")["bundle-load"]
    assert (loaded["loaded"], loaded["present"], loaded["pinned"]) == (6, 0, 2)
    found = second.document("bundle-load", bundle, "--json", "plan", "--platform", "all")
    assert (found["bundle-load"]["loaded"], found["bundle-load"]["present"]) == (0, 6)
    steps = found["plan"]["steps"]
    assert {step["action"] for step in steps if step["step"] != "verify"} == {"skip"}
    second.write("code", "two")
    built = second.document(*BUILD)
    assert {image["result"] for image in built["build-builder"]["images"]} == {"skipped"}
    assert {image["result"] for image in built["build-app"]["images"]} == {"built"}
