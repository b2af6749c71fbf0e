"""A Docker engine: the images it holds, pulls, tags and containers, through the Docker SDK.

Builds are in `bailing_tasks.engine.buildx`: the SDK cannot drive BuildKit.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, cast

import requests
from docker.errors import DockerException, ImageNotFound, NotFound
from urllib3.exceptions import HTTPError

import docker
from bailing_tasks.engine.base import Image, Limits, Progress
from bailing_tasks.errors import EngineError
from bailing_tasks.failures import pull_error
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

ENGINE_ERRORS = (DockerException, requests.RequestException, HTTPError, tarfile.TarError)
"""What comes up from below when an engine refuses, or its connection breaks."""

OWNER_LABEL = "io.bailing-tasks.owner"
"""On a container under test: the workspace that made it."""


class DockerEngine:
    """One Docker engine.

    Args:
        client: A connection to it.
        builder: The name of buildx's own builder for it.
    """

    def __init__(self, client: docker.APIClient, *, builder: str) -> None:
        self._client = client
        self.builder = builder
        with _engine_errors("the engine says nothing of itself"):
            info = client.info()
        machine = Platform.from_machine(info["Architecture"])
        self.platform: Platform = machine
        self.registry_mirrors: tuple[str, ...] = tuple(
            (info.get("RegistryConfig") or {}).get("Mirrors") or ()
        )

    def image(self, name: str) -> Image | None:
        """Return an image by name, digest or id; None where it is not there."""
        try:
            found = self._client.inspect_image(name)  # type: ignore[no-untyped-call]
        except (ImageNotFound, NotFound):
            return None
        except ENGINE_ERRORS as error:
            raise _engine_error(f"{name} could not be looked up", error) from error
        parts = (found["Os"], found["Architecture"], found.get("Variant") or "")
        config = found.get("Config") or {}
        return Image(
            id=found["Id"],
            platform=Platform.parse("/".join(filter(None, parts))),
            size=found["Size"],
            user=config.get("User") or "",
            labels=config.get("Labels") or {},
        )

    def pull(
        self,
        name: str,
        *,
        wanted: Reference,
        platform: Platform | None,
        on_progress: Callable[[Progress], None],
        limits: Limits,  # noqa: ARG002
    ) -> None:
        """Pull an image by `repository@digest` or `repository:tag`.

        Args:
            name: What the engine is asked for.
            wanted: The reference that people know it by, for messages.
            platform: The platform to choose from an index; None where the digest decides.
            on_progress: Told where the pull stands.
            limits: When it is given up.

        Raises:
            PullError: It could not be pulled.
        """
        repository, tag = _split(name)
        host = repository.partition("/")[0]
        try:
            events = self._client.pull(
                repository,
                tag=tag,
                stream=True,
                decode=True,
                platform=str(platform) if platform else None,
            )
            for event in cast("Iterator[dict[str, Any]]", events):
                if "error" in event:
                    raise pull_error(
                        str(event["error"]),
                        reference=wanted,
                        platform=str(platform or ""),
                        host=host,
                    )
                detail = event.get("progressDetail") or {}
                on_progress(
                    Progress(
                        status=event.get("status", ""),
                        layer=event.get("id", ""),
                        current=detail.get("current", 0),
                        total=detail.get("total", 0),
                    )
                )
        except ENGINE_ERRORS as error:
            raise pull_error(
                _words(error), reference=wanted, platform=str(platform or ""), host=host
            ) from error

    def registry_digest(self, reference: Reference) -> str | None:
        """Return the digest that the engine finds for a reference at its registry.

        The engine has proxies, certificates and insecure registries in its own configuration. The
        digest may be that of an index. None where the engine finds nothing either.
        """
        try:
            found = self._client.inspect_distribution(str(reference))  # type: ignore[no-untyped-call]
        except ENGINE_ERRORS:
            return None
        return str(found["Descriptor"]["digest"])

    def tag(self, name: str, new: str) -> None:
        """Give an image a further name.

        Raises:
            EngineError: The engine refuses.
        """
        repository, tag = _split(new)
        try:
            self._client.tag(name, repository, tag)
        except ENGINE_ERRORS as error:
            raise _engine_error(f"{name} could not be tagged {new}", error) from error

    def untag(self, name: str) -> None:
        """Take a name from an image; an image without any other name goes with it.

        Raises:
            EngineError: The engine refuses.
        """
        try:
            self._client.remove_image(name)
        except ImageNotFound:
            return
        except ENGINE_ERRORS as error:
            raise _engine_error(f"the name {name} could not be removed", error) from error

    def free_bytes(self) -> int | None:
        """Return the free space where it keeps images; None where that cannot be known."""
        return None

    def answers(self) -> bool:
        """Whether it is still there."""
        try:
            return bool(self._client.ping())
        except ENGINE_ERRORS:
            return False

    @contextlib.contextmanager
    def container(
        self, image: str, platform: Platform, *, start: bool, owner: str
    ) -> Iterator[Container]:
        """Make a container of an image, and remove it at the end.

        Args:
            image: The image.
            platform: Its platform.
            start: Whether it runs, as the image says; otherwise it is only looked into.
            owner: Who it belongs to: `remove_containers` finds it by that.

        Raises:
            EngineError: It could not be made or started, or the engine failed.
        """
        with _engine_errors(f"no container could be made from {image}"):
            made = self._client.create_container(
                image,
                command=None if start else ["-"],
                platform=str(platform),
                labels={OWNER_LABEL: owner},
            )["Id"]
        try:
            if start:
                with _engine_errors(f"the container of {image} could not be started"):
                    self._client.start(made)
            yield Container(self._client, made)
        finally:
            with contextlib.suppress(*ENGINE_ERRORS):
                self._client.remove_container(made, force=True, v=True)

    def remove_containers(self, owner: str) -> None:
        """Remove the containers that an owner's killed run has left.

        Raises:
            EngineError: The engine failed.
        """
        with _engine_errors("what an earlier run left could not be removed"):
            label = {"label": f"{OWNER_LABEL}={owner}"}
            for found in self._client.containers(all=True, filters=label):
                self._client.remove_container(found["Id"], force=True, v=True)


@contextlib.contextmanager
def _engine_errors(message: str) -> Iterator[None]:
    try:
        yield
    except ENGINE_ERRORS as error:
        raise _engine_error(message, error) from error


class Container:
    """A container of an image under test; each call raises EngineError where the engine fails.

    Args:
        client: The engine's connection.
        identity: Its id there.
    """

    def __init__(self, client: docker.APIClient, identity: str) -> None:
        self._client = client
        self._id = identity

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        """Run a command in it; return its exit code and what it printed."""
        with _engine_errors(f"{argv[0]} could not be run in the container"):
            command = self._client.exec_create(self._id, list(argv))["Id"]
            output = self._client.exec_start(command)
            code = self._client.exec_inspect(command)["ExitCode"]
        return int(code), output.decode(errors="replace")

    def running(self) -> bool:
        """Whether its main process is alive."""
        with _engine_errors("the container could not be looked at"):
            return bool(self._client.inspect_container(self._id)["State"]["Running"])

    def log(self) -> str:
        """Return what its main process printed."""
        with _engine_errors("the container's log could not be read"):
            return self._client.logs(self._id).decode(errors="replace")

    def uids(self) -> tuple[int, ...]:
        """Return the user ids that its processes run under."""
        with _engine_errors("the container's processes could not be listed"):
            table = self._client.top(self._id, "-eo uid,pid")
        return tuple(int(row[0]) for row in table["Processes"])

    def files(self) -> Iterator[str]:
        """Yield the path of each file in its file system, without a leading slash."""
        with _engine_errors("the image's files could not be read"):
            reader = cast("IO[bytes]", _Chunks(self._client.export(self._id)))
            with tarfile.open(fileobj=reader, mode="r|", bufsize=1 << 20) as archive:
                for member in archive:
                    yield member.name


class _Chunks:
    """What tarfile wants of a stream, over the SDK's chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


def _split(name: str) -> tuple[str, str]:
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    repository, _, tag = name.rpartition(":")
    return repository, tag


def _words(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)


def _engine_error(message: str, error: Exception) -> EngineError:
    return EngineError(
        message, cause=_words(error), remedy="`docker info` shows whether the engine is well"
    )
