"""Engines that hold images of a few bytes, for the tests of what is pushed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bailing_tasks.console import Console
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.choice import choose
from bailing_tasks.names import LABEL
from bailing_tasks.platforms import Platform
from bailing_tasks.publish import BuiltImage, Publisher
from bailing_tasks.settings import Target
from bailing_tasks.variants import Variant
from tests.engine import support
from tests.engine.remote import remote

PLATFORMS = ("linux/amd64", "linux/arm64")


@dataclass
class Holder:
    """An engine as the tasks see it, in this process.

    Attributes:
        engine: The engine.
        under: What it is, for commands.
        folder: Where its images are made.
        connected: Returns it anew.
    """

    engine: Engine
    under: support.Engine
    folder: Path
    connected: Callable[[], Engine]

    def again(self) -> Holder:
        """Return the same as a later run sees it."""
        return replace(self, engine=self.connected())

    def build(self, name: str, platform: str, content: str, **labels: str) -> None:
        """Build an image of one file."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "file").write_text(content)
        dockerfile = self.folder / "Dockerfile"
        dockerfile.write_text("FROM scratch\nCOPY file /\n")
        request = buildx.BuildRequest(
            builder=self.engine.builder,
            docker_context=self.engine.docker_context,
            dockerfile=dockerfile,
            context=self.folder,
            stage="",
            platform=Platform.parse(platform),
            build_args={},
            build_contexts={},
            secrets={},
            labels=labels,
            destination=self.engine.destination(name),
        )
        with self.engine.receiving(name):
            log = buildx.build(request, lambda line: None)
        assert log.ok, log.text

    def built(
        self, target: Target, platform: str, *, python: str = "3.11", content: str = ""
    ) -> BuiltImage:
        """Build what is to be published."""
        variant = Variant(target=target, platform=Platform.parse(platform), python=python)
        inputs = f"{target.repository} {platform} {python} {content}"
        fingerprint = hashlib.sha256(inputs.encode()).hexdigest()
        name = f"localhost/{target.image}:fp-{fingerprint[:16]}"
        made = BuiltImage(variant=variant, name=name, fingerprint=fingerprint)
        self.build(name, platform, inputs, **{LABEL: made.label})
        return made

    def publisher(self) -> tuple[Publisher, io.StringIO]:
        """Return what publishes, and what it says."""
        said = io.StringIO()
        return Publisher(self.engine, Console(said, live=False, folded=False)), said


@contextlib.contextmanager
def holder(
    kind: str,
    started: support.Engine,
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    beside: support.Engine | None = None,
) -> Iterator[Holder]:
    """Let this process use an engine.

    Args:
        kind: A store of `started`, or `buildkit` for a BuildKit of its own.
        started: The engine, or the one that has the BuildKit.
        folder: What is made for it.
        patch: Sets the environment.
        beside: The Docker engine beside a BuildKit.
    """
    with contextlib.ExitStack() as stack:
        under = stack.enter_context(remote(started, folder)) if kind == "buildkit" else started
        if beside:
            host = {"DOCKER_HOST": beside.environment["DOCKER_HOST"]}
            under = replace(under, environment={**under.environment, **host})
        for name in ("DOCKER_HOST", "PATH", "BUILDX_BUILDER", "BUILDX_CONFIG"):
            if name in under.environment:
                patch.setenv(name, under.environment[name])
            else:
                patch.delenv(name, raising=False)
        config = json.loads(Path(under.environment["DOCKER_CONFIG"], "config.json").read_text())
        write_config(folder, patch, config)
        environment = {**under.environment, "DOCKER_CONFIG": str(folder / "docker")}
        connected = functools.partial(choose, environment, builder="", layout=folder / "oci")
        yield Holder(engine=connected(), under=under, folder=folder / "image", connected=connected)


def write_config(folder: Path, patch: pytest.MonkeyPatch, document: dict[str, object]) -> None:
    """Let Docker's configuration be what a test needs."""
    path = folder / "docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **document}))
    patch.setenv("DOCKER_CONFIG", str(path.parent))
