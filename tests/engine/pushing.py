"""Engines that hold images of a few bytes, for the tests of what is pushed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bailing_tasks.console import Console
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.choice import choose
from bailing_tasks.events import Event
from bailing_tasks.names import LABEL
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release.model import PUSH, BuiltImage, Key, Plan, ReleaseTag, in_order
from bailing_tasks.release.mover import Judge
from bailing_tasks.release.registry import Registry
from bailing_tasks.release.releasing import Release, Releaser
from bailing_tasks.settings import Target
from bailing_tasks.state import State
from bailing_tasks.tag_moves import BRANCH, VERSION, Move
from bailing_tasks.tag_names import LATEST
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
        said: What releases from it say.
        plain_http: The hosts of registries that are asked by plain HTTP.
    """

    engine: Engine
    under: support.Engine
    folder: Path
    connected: Callable[..., Engine]
    said: io.StringIO = field(default_factory=io.StringIO)
    plain_http: Sequence[str] = ()

    def again(self, plain_http: Sequence[str] = ()) -> Holder:
        """Return the same as a later run sees it; the hosts given are asked by plain HTTP."""
        engine = self.connected(plain_http=plain_http)
        return replace(self, engine=engine, said=io.StringIO(), plain_http=plain_http)

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
            provenance="min" if self.engine.attests else "",
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
        image = self.engine.image(name)
        assert image
        return replace(made, identity=image.id, content=image.content)

    def release(
        self,
        images: Sequence[BuiltImage],
        tags: Mapping[Key, Sequence[str]] | None = None,
        *,
        annotations: Mapping[str, str] | None = None,
        judge: Judge = lambda tag: Move(True, "it moves"),
        replace: bool = False,
    ) -> Release:
        """Publish images under tags; what is said on the way is in `said`."""
        plan = planned(images, tags or {}, annotations or {}, replace=replace)
        console = Console(self.said, live=False, folded=False)
        registry = Registry(console, self.plain_http)
        releaser = Releaser(
            state=State(self.folder.parent),
            registry=registry,
            engine_for=lambda platform: self.engine,
            console=console,
        )
        before = {tag.name: registry.digest(tag.reference) for tag in plan.tags}
        return releaser.push(plan, before, judge)


def planned(
    images: Sequence[BuiltImage],
    tags: Mapping[Key, Sequence[str]],
    annotations: Mapping[str, str],
    *,
    replace: bool = False,
) -> Plan:
    """Return the plan of a push; what begins with a digit is a version, other tags are branches."""
    targets = {image.key: image.variant.target for image in images}
    event = Event(name="push", ref="refs/heads/main", commit="c" * 40)
    every = [
        ReleaseTag(
            target=key[0],
            python=key[1],
            reference=Reference.parse(f"{targets[key].repository}:{name}"),
            kind=LATEST if LATEST in name else VERSION if name[0].isdigit() else BRANCH,
            rule=name,
            event=event,
        )
        for key, names in tags.items()
        for name in names
    ]
    return Plan(
        kind=PUSH,
        title="a push",
        commit=event.commit,
        images=tuple(images),
        tags=in_order(every),
        annotations=annotations,
        replace=replace,
    )


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
