"""What the tests on real engines share: an engine, and a workspace that uses the tasks on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailing_tasks import process, sandbox

REPOSITORY = Path(__file__).parents[2]
TASKS = "from bailing_tasks import namespace\n"
HOST = "images.example"
"""The registry that the tiny images are named after; the sandbox's is its mirror."""
TRUE = bytes.fromhex(
    "7f454c4602010100000000000000000002003e000100000078004000000000004000000000000000"
    "00000000000000000000000040003800010000000000000001000000050000000000000000000000"
    "00004000000000000000400000000000840000000000000084000000000000000010000000000000"
    "b83c00000031ff0f05909090"
)
"""A program for linux/amd64 that ends with 0."""
TRUE_ARM64 = (
    TRUE[:18]
    + bytes.fromhex("b700")
    + TRUE[20:120]
    + bytes.fromhex("000080d2a80b80d2010000d4")  # mov x0, #0; mov x8, #93; svc #0
)
"""The same for linux/arm64."""


@dataclass(frozen=True)
class Engine:
    """A private engine with its registry."""

    store: str
    environment: Mapping[str, str]
    registry: str

    def __repr__(self) -> str:
        return f"Engine({self.store!r})"

    def docker(self, *argv: str) -> process.Completed:
        """Run the docker command against it."""
        docker = process.find("docker", path=self.environment["PATH"])
        assert docker
        return process.run([docker, *argv], env=self.environment)

    def must(self, *argv: str) -> str:
        """Run the docker command, which has to succeed; return what it printed."""
        result = self.docker(*argv)
        assert result.ok, result.stderr
        return result.stdout.strip()

    def labels(self, image: str) -> dict[str, str]:
        """Return an image's labels."""
        found = json.loads(self.must("image", "inspect", image))[0]
        return dict(found["Config"]["Labels"] or {})

    def has(self, image: str) -> bool:
        """Whether it holds an image."""
        return self.docker("image", "inspect", image).ok

    @contextlib.contextmanager
    def put_back(self, *names: str) -> Iterator[None]:
        """Let a test use names that people use too; afterwards they name what they did before."""
        found = {name: f"localhost/before:{number}" for number, name in enumerate(names)}
        for name, saved in found.items():
            self.docker("tag", name, saved)
        yield
        for name, saved in found.items():
            self.docker("rmi", name)
            self.docker("tag", saved, name)
            self.docker("rmi", saved)

    def push_tiny(self, folder: Path, name: str, *platforms: str, content: str = "") -> str:
        """Put an image of a few bytes into the registry, as `HOST/name`; return that name."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath("file").write_text(content or name)
        folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        folder.joinpath(".dockerignore").write_text("Dockerfile\n.dockerignore\n")
        tag = f"{self.registry}/{HOST}/{name}"
        parts = []
        for platform in platforms or ("linux/amd64",):
            part = f"{tag}-{platform.rpartition('/')[2]}"
            argv = ["--provenance=false", f"--platform={platform}", "-t", part, str(folder)]
            self.must("buildx", "build", "-q", *argv)
            self.must("push", "-q", part)
            parts.append(part)
            self.must("rmi", part)
        self.must("buildx", "imagetools", "create", "-t", tag, *parts)
        return f"{HOST}/{name}"


def started(store: str) -> Engine:
    status = sandbox.status()
    running = status.registry.running and any(
        engine.running for engine in status.engines if engine.store == store
    )
    if not running:  # else nobody is waited for: another process may be making stand-ins
        status = sandbox.up(references=(), platforms=(), store=store)
    environment = {**os.environ, **sandbox.environment(status, store)}
    registry = status.registry.address
    environment["BAILING_TASKS_MIRRORS"] = json.dumps({HOST: [f"http://{registry}/{HOST}"]})
    for name in ("GITHUB_ACTIONS", "BUILDX_BUILDER"):
        environment.pop(name, None)
    return Engine(store, environment, registry)


@dataclass
class Workspace:
    """A repository that uses the tasks."""

    root: Path
    engine: Engine
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> Path:
        """Write a file of it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def invoke(self, *argv: str, **environment: str) -> process.Completed:
        """Run `invoke` in it, as a person would."""
        command = [sys.executable, "-m", "invoke", *argv]
        merged = {**self.engine.environment, **self.environment, **environment}
        return process.run(command, env=merged, cwd=self.root)

    def document(self, *argv: str, **environment: str) -> dict[str, Any]:
        """Run `invoke` with `--json`, which has to succeed; return the results by task."""
        result = self.invoke(*argv, **environment)
        assert result.ok, result.stderr + result.stdout
        document = json.loads(result.stdout)
        assert document["schema"] == 1
        return {item["task"]: item for item in document["results"]}


def made(folder: Path, engine: Engine) -> Workspace:
    root = folder / "workspace"
    root.mkdir()
    root.joinpath("tasks.py").write_text(TASKS)
    return Workspace(root, engine)


def unique(folder: Path, name: str) -> str:
    """Return an image name that no other test has."""
    return f"{name}-{abs(hash(str(folder))) % 10**10}"


def copy_reference_app(root: Path) -> None:
    """Copy this repository's reference app into a workspace."""
    shutil.copytree(REPOSITORY / "docker", root / "docker")
