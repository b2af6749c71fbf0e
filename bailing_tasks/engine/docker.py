"""A Docker engine: the images it holds, pulls, tags and containers, through its API.

Builds are in `bailing_tasks.engine.buildx`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bailing_tasks import image_content, process
from bailing_tasks.engine.base import Container, Held, Image, Layers, Limits, Progress
from bailing_tasks.engine.buildx import docker
from bailing_tasks.engine.listing import held
from bailing_tasks.engine.transport import (
    BROKEN,
    ENGINE_ERRORS,
    RefusedError,
    Transport,
    engine_errors,
)
from bailing_tasks.errors import PullError, RemoteError
from bailing_tasks.failures import pull_error, push_error
from bailing_tasks.mirrors import Source
from bailing_tasks.names import lasts
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

if TYPE_CHECKING:
    from docker.auth import AuthConfig

    from bailing_tasks.engine.blobs import Blobs
    from bailing_tasks.engine.layout import Layout

NOT_FOUND = 404
CONTAINERD = "io.containerd.snapshotter"
"""What an engine with the containerd store calls what it stores images with."""
REGISTRY_SECONDS = 15.0
"""How long the engine may ask a registry that this process could not speak to."""
DAMAGED = "failed commit on ref"
"""What the containerd store says of a blob that is not what its digest says."""

TAKEN = "already exists"
"""What the containerd store says where another process sets the same tag meanwhile: it removes the
old one before it sets the new one."""
TAG_ATTEMPTS = 20


class Traffic:
    """What the pulls of one engine share.

    A pull may wait until the engine has finished the layers of others, and it hears of a layer only
    now and then (the containerd store counts in MiB): while any of them moves, none is stalled.

    Attributes:
        moved: When any of them last moved, by `time.monotonic()`.
    """

    moved = 0.0


class DockerEngine:
    """One Docker engine; pulls of several threads may run at once.

    Args:
        transport: The way to its API.
        version: What it says of itself (`GET /version`).
        builder: The name of buildx's own builder for it.

    Attributes:
        docker_context: The Docker context that buildx builds here in; empty for the current one.
    """

    docker_context: str = ""

    def __init__(self, transport: Transport, version: Mapping[str, Any], *, builder: str) -> None:
        self._transport = transport
        self._api = f"/v{version['ApiVersion']}"
        self._traffic = Traffic()
        self._lasting: dict[str, Image] = {}
        self.builder = builder
        machine = version["Arch"]
        if machine == "arm":
            # Which kind of it, only the kernel's name for the machine says.
            machine = self._info["Architecture"]
        self.platform: Platform = Platform.from_machine(machine)

    @functools.cached_property
    def _info(self) -> Mapping[str, Any]:
        with engine_errors("the engine says nothing of itself"):
            found: Mapping[str, Any] = self._transport.ask("GET", f"{self._api}/info")
        return found

    @property
    def identity(self) -> str:
        """What no other engine has: the id that the daemon gave itself."""
        return str(self._info.get("ID", ""))

    @property
    def registry_mirrors(self) -> tuple[str, ...]:
        """The mirrors of Docker Hub that it uses by itself."""
        return tuple((self._info.get("RegistryConfig") or {}).get("Mirrors") or ())

    def image(self, name: str) -> Image | None:
        """Return an image by name, digest or id; None where it is not there.

        A name that lasts is asked for once: a run looks at the same images again and again.
        Which image that is, is for the caller to check: another program may have moved the name.
        """
        found = self._lasting.get(name) or self._inspect(name)
        if found and lasts(name):
            self._lasting[name] = found
        return found

    def images(self, repositories: Collection[str]) -> tuple[Held, ...]:
        """Return the images of repositories, and those without a name, as `Engine.images`."""
        found: set[str] = set()
        with engine_errors("the images could not be listed"):
            for filters in ({"reference": sorted(repositories)}, {"dangling": ["true"]}):
                params = {"filters": json.dumps(filters)}
                listed = self._transport.ask("GET", f"{self._api}/images/json", params)
                found.update(each["Id"] for each in listed)
            # In a list by repository, images on the classic store have the names of those alone.
            ask = functools.partial(self._transport.ask, "GET")
            return tuple(held(ask(f"{self._image(each)}/json")) for each in sorted(found))

    def remove_staged(self, prefixes: Collection[str]) -> None:
        """Remove the names that begin with one of some prefixes, as `Engine.remove_staged`."""
        with engine_errors("what an earlier build left could not be listed"):
            filters = json.dumps({"reference": [f"{prefix}*" for prefix in prefixes]})
            listed = self._transport.ask("GET", f"{self._api}/images/json", {"filters": filters})
        for name in (name for each in listed for name in each["RepoTags"] or ()):
            if name.startswith(tuple(prefixes)):
                self.untag(name)

    def entry(self, name: str, platform: Platform) -> None:
        """Return nothing: the engine shows its manifests to registries alone."""

    def _inspect(self, name: str) -> Image | None:
        with engine_errors(f"{name} could not be looked up"):
            try:
                found = self._transport.ask("GET", f"{self._image(name)}/json")
            except RefusedError as error:
                if error.status == NOT_FOUND:
                    return None
                raise
        parts = (found["Os"], found["Architecture"], found.get("Variant") or "")
        config = found.get("Config") or {}
        return Image(
            id=found["Id"],
            content=image_content.of_inspected(found),
            platform=Platform.parse("/".join(filter(None, parts))),
            size=found["Size"],
            user=config.get("User") or "",
            labels=config.get("Labels") or {},
            digests=tuple(name.rpartition("@")[2] for name in found.get("RepoDigests") or ()),
            onbuild=tuple(config.get("OnBuild") or ()),
        )

    def pull(
        self,
        name: str,
        *,
        source: Source,  # noqa: ARG002
        wanted: Reference,
        platform: Platform | None,
        on_progress: Callable[[Progress], None],
        limits: Limits,
    ) -> None:
        """Pull an image by `repository@digest` or `repository:tag`, as `Engine.pull`."""
        from bailing_tasks.engine.pulling import TICK_SECONDS, Pull, forget_damaged

        repository, tag = _split(name)
        params = {"fromImage": repository, "tag": tag}
        if platform:
            params["platform"] = str(platform)
        pull = Pull(
            wanted=wanted,
            platform=platform,
            host=repository.partition("/")[0],
            limits=limits,
            traffic=self._traffic,
        )
        pull.check()
        headers = self._login(repository, pull.failed)
        try:
            stream = self._transport.follow(f"{self._api}/images/create", params, headers)
            with contextlib.closing(stream):
                for document in stream.documents(TICK_SECONDS):
                    if document:
                        on_progress(pull.take(document))
                    pull.check()
        except RefusedError as error:
            raise pull.failed(str(error)) from error
        except BROKEN as error:
            raise pull.broken(str(error)) from error
        except PullError as error:
            if DAMAGED in error.cause:
                forget_damaged(self._transport)
            raise

    def _login(self, repository: str, failed: Callable[..., RemoteError]) -> dict[str, str]:
        """Return what tells the engine the login for a repository, as `docker pull` does."""
        from docker.errors import DockerException

        from docker import auth

        try:
            registry, _ = auth.resolve_repository_name(repository)
            found = self._logins.resolve_authconfig(registry)
        except (DockerException, OSError, ValueError) as error:
            raise failed(str(error), sign="credential") from error
        return {"X-Registry-Auth": auth.encode_header(found).decode()} if found else {}

    @functools.cached_property
    def _logins(self) -> AuthConfig:
        from docker.auth import load_config

        return load_config()

    def push(self, name: str, destination: Reference) -> str:
        """Upload an image for one platform, as `Engine.push`."""
        from bailing_tasks.engine import pushing

        failed = functools.partial(push_error, reference=destination, host=destination.host)
        headers = {"X-Registry-Auth": pushing.NOBODY} | self._login(destination.repository, failed)
        path = f"{self._image(destination.repository)}/push"
        params = {"tag": str(destination.tag)}
        with pushing.named(self, name, str(destination)):
            return pushing.digest(
                lambda: self._transport.follow(path, params, headers), failed, name=name
            )

    def save(self, name: str, layout: Layout, layers: Layers) -> str:
        """Write an image into a layout, as `Engine.save`."""
        from bailing_tasks.engine import saving

        return saving.save(self._transport.client, self, name, layout, layers)

    def load(self, blobs: Blobs, digest: str, name: str) -> None:
        """Take in an image under a name, as `Engine.load`."""
        from bailing_tasks.engine import saving

        self._lasting.pop(name, None)
        saving.load(self._transport.client, blobs, digest, name)

    def registry_digest(self, reference: Reference, limits: Limits) -> str | None:
        """Return the digest that the engine finds for a reference at its registry.

        The engine has proxies, certificates and insecure registries in its own configuration. The
        digest may be that of an index. None where the engine finds nothing either, or not in time.
        """
        path = f"{self._api}/distribution/{_quoted(str(reference))}/json"
        timeout = min(REGISTRY_SECONDS, max(limits.left(), 0.1))
        failed = functools.partial(
            pull_error, reference=reference, platform="", host=reference.host
        )
        try:
            headers = self._login(reference.repository, failed)
            found = self._transport.ask("GET", path, headers=headers, timeout=timeout)
        except (PullError, *ENGINE_ERRORS):
            return None
        return str(found["Descriptor"]["digest"])

    def tag(self, name: str, new: str) -> None:
        """Give an image a further name; EngineError where it refuses."""
        repository, tag = _split(new)
        params = {"repo": repository, "tag": tag}
        self._lasting.pop(new, None)
        with engine_errors(f"{name} could not be tagged {new}"):
            for left in reversed(range(TAG_ATTEMPTS)):
                try:
                    self._transport.ask("POST", f"{self._image(name)}/tag", params)
                    return
                except RefusedError as error:
                    if not left or TAKEN not in str(error):
                        raise
                    time.sleep(random.uniform(0.01, 0.1))  # noqa: S311

    def untag(self, name: str) -> None:
        """Take a name from an image, which goes with its last; EngineError where it refuses."""
        self._lasting.pop(name, None)
        with engine_errors(f"the name {name} could not be removed"):
            try:
                self._transport.ask("DELETE", self._image(name))
            except RefusedError as error:
                if error.status != NOT_FOUND:
                    raise

    def collect(self, *, dry_run: bool) -> int:  # noqa: ARG002
        """Leave it to the engine, which frees what it can as names go."""
        return 0

    def _image(self, name: str) -> str:
        return f"{self._api}/images/{_quoted(name)}"

    def source(self, name: str) -> str:
        """Return where a build takes an image from, as buildx names contexts."""
        return f"docker-image://{name}"

    def destination(self, name: str) -> tuple[str, ...]:
        """Return buildx's arguments that put a build's result here under a name."""
        return ("--tag", name, "--load")

    def receiving(self, name: str) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002
        """Let a build run: buildx hands its result over and names it."""
        return contextlib.nullcontext()

    def shown(self, verb: str, *names: str) -> str:
        """Return what stands in a dry run for `docker pull`, `tag`, `push` or `rmi`."""
        return process.quote([*docker(self.docker_context), verb, *names])

    @property
    def keeps_digests(self) -> bool:
        """Whether ids are digests, and builds attest and export cache: the containerd store."""
        return CONTAINERD in str(self._info.get("DriverStatus"))

    exports_cache = attests = keeps_digests

    def free_bytes(self) -> int | None:
        """Return the free space where it keeps images; None where that cannot be known.

        It can where the engine runs on this machine, whose name it then has, and not in a virtual
        machine or behind a forwarded socket.
        """
        info = self._info
        if (
            not self._transport.host.startswith("unix://")
            or info.get("Name") != os.uname().nodename
        ):
            return None
        try:
            return shutil.disk_usage(info["DockerRootDir"]).free
        except OSError:
            return None

    def answers(self) -> bool:
        """Whether it is still there."""
        try:
            self._transport.ask("GET", "/_ping")
        except ENGINE_ERRORS:
            return False
        return True

    def container(
        self,
        image: str,
        platform: Platform,
        *,
        start: bool,
        owner: str,
        argv: Sequence[str] = (),
    ) -> AbstractContextManager[Container]:
        """Make a container of an image, and remove it at the end, as `Engine.container`."""
        from bailing_tasks.engine import containers

        return containers.container(
            self._transport.client, image, platform, start=start, owner=owner, argv=argv
        )

    def remove_containers(self, owner: str) -> None:
        """Remove the containers that an owner's killed run has left."""
        from bailing_tasks.engine import containers

        containers.remove(self._transport.client, owner)


def _quoted(name: str) -> str:
    return quote(name, safe="/:@")


def _split(name: str) -> tuple[str, str]:
    repository, _, rest = name.partition("@") if "@" in name else name.rpartition(":")
    return repository, rest
