"""Containers of images under test, through the Docker SDK.

A module of its own, since the SDK is slow to import and only `verify` needs this.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bailing_tasks.engine.sdk import SDK_ERRORS, opened, sdk_errors
from bailing_tasks.platforms import Platform

if TYPE_CHECKING:
    import docker

POLL_SECONDS = 0.05
OWNER_LABEL = "io.bailing-tasks.owner"
"""On a container under test: the workspace that made it."""


@contextlib.contextmanager
def container(
    connected: Callable[[], docker.APIClient],
    image: str,
    platform: Platform,
    *,
    start: bool,
    owner: str,
    argv: Sequence[str],
) -> Iterator[Container]:
    """Make a container of an image, and remove it at the end.

    Args:
        connected: Returns the engine's connection.
        image: The image.
        platform: Its platform.
        start: Whether it runs; otherwise it is only looked into.
        owner: Who it belongs to: `remove` finds it by that.
        argv: What it runs instead of what the image says, entry point included.

    Raises:
        EngineError: It could not be made or started, or the engine failed.
    """
    with sdk_errors(f"no container could be made from {image}"):
        client = connected()
        made = client.create_container(
            image,
            command=list(argv[1:]) if argv else None if start else ["-"],
            entrypoint=list(argv[:1]) or None,
            platform=str(platform),
            labels={OWNER_LABEL: owner},
        )["Id"]
    try:
        if start:
            with sdk_errors(f"the container of {image} could not be started"):
                client.start(made)
        yield Container(client, made)
    finally:
        with contextlib.suppress(*SDK_ERRORS):
            client.remove_container(made, force=True, v=True)


def remove(connected: Callable[[], docker.APIClient], owner: str) -> None:
    """Remove the containers that an owner's killed run has left.

    Args:
        connected: Returns the engine's connection.
        owner: Whose they are.

    Raises:
        EngineError: The engine failed.
    """
    with sdk_errors("what an earlier run left could not be removed"):
        client = connected()
        for found in client.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner}"}):
            client.remove_container(found["Id"], force=True, v=True)


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
        with sdk_errors(f"{argv[0]} could not be run in the container"):
            command = self._client.exec_create(self._id, list(argv))["Id"]
            output = self._client.exec_start(command)
            code = self._client.exec_inspect(command)["ExitCode"]
        return int(code), output.decode(errors="replace")

    def ended(self, seconds: float = 0.0) -> int | None:
        """Return the exit code of its main process; None where that is still alive."""
        deadline = time.monotonic() + seconds
        while True:
            with sdk_errors("the container could not be looked at"):
                state = self._client.inspect_container(self._id)["State"]
            if not state["Running"]:
                return int(state["ExitCode"])
            if time.monotonic() >= deadline:
                return None
            time.sleep(POLL_SECONDS)

    def log(self) -> str:
        """Return what its main process printed."""
        with sdk_errors("the container's log could not be read"):
            return self._client.logs(self._id).decode(errors="replace")

    def read(self, path: str) -> bytes | None:
        """Return the content of a file by its absolute path; None where there is no such file."""
        from docker.errors import NotFound

        with sdk_errors(f"{path} of the image could not be read"):
            try:
                chunks, _ = self._client.get_archive(self._id, path)
            except NotFound:
                return None
            with opened(chunks) as archive:
                for member in archive:
                    if file := archive.extractfile(member):
                        return file.read()
        return None

    def files(self) -> Iterator[str]:
        """Yield the path of each file in its file system, without a leading slash."""
        message = "the image's files could not be read"
        with sdk_errors(message), opened(self._client.export(self._id)) as archive:
            for member in archive:
                yield member.name
