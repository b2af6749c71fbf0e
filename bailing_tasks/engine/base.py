"""What the use cases ask of an engine: it holds images, and builds take them from it.

A Docker engine is one (`bailing_tasks.engine.docker`), a BuildKit of its own another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bailing_tasks.image_index import Entry
from bailing_tasks.mirrors import Source
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

if TYPE_CHECKING:
    from bailing_tasks.engine.blobs import Blobs
    from bailing_tasks.engine.layout import Layout

Layers = MutableMapping[str, dict[str, Any]]
"""The descriptors of layers, by the digests of their content unpacked."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that an engine holds.

    Attributes:
        id: Its id there: of its configuration on the classic store, of its manifest or index on
            the containerd store.
        content: What two builds that made the same have in common, by `image_content`. The id of
            an image with attestations is not: they have times in them.
        platform: Its platform.
        size: Bytes, as the engine counts them.
        user: The user that its processes run as; empty for root.
        labels: Its labels.
        digests: On the classic store, the digests that registries served it under.
        onbuild: The instructions that a build on it carries out as well.
    """

    id: str
    content: str
    platform: Platform
    size: int
    user: str
    labels: dict[str, str]
    digests: tuple[str, ...] = ()
    onbuild: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Held:
    """An image that an engine holds, with all its names.

    Attributes:
        id: Its id there, as `Image.id`.
        names: What it can be named by; none where a newer image has taken its name.
        size: Bytes, as the engine counts them.
        labels: Its labels.
    """

    id: str
    names: tuple[str, ...]
    size: int
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a pull stands.

    Attributes:
        status: The engine's word for what a layer is doing.
        layer: The layer's short id.
        current: Bytes done.
        total: Bytes in all, 0 where that is not known.
    """

    status: str
    layer: str
    current: int
    total: int


@dataclass(kw_only=True)
class Limits:
    """When a pull is given up.

    Attributes:
        stall: Seconds without a byte, or any other progress.
        deadline: When it is, by `time.monotonic()`; None for never.
        cancelled: Set when the run is being interrupted.
    """

    stall: float = 60.0
    deadline: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def left(self) -> float:
        """Return the seconds until the deadline; infinity where there is none."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()


class Container(Protocol):
    """A container of an image under test; each call raises EngineError where the engine fails."""

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        """Run a command in it; return its exit code and what it printed."""

    def ended(self, seconds: float = 0.0) -> int | None:
        """Return the exit code of its main process; None where that is still alive.

        Args:
            seconds: How long to wait for its end.
        """

    def log(self) -> str:
        """Return what its main process printed."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file by its absolute path; None where there is no such file."""

    def files(self) -> Iterator[str]:
        """Yield the path of each file in its file system, without a leading slash."""


class Engine(Protocol):
    """Holds images by name, pulls them, and hands them to builds.

    Attributes:
        builder: The name of the buildx builder that builds here.
        docker_context: The Docker context that buildx builds here in; empty for the current one.
    """

    builder: str
    docker_context: str

    @property
    def identity(self) -> str:
        """What no other engine has: images that it holds are recorded under it."""

    @property
    def platform(self) -> Platform:
        """The platform of the machine it runs on."""

    @property
    def registry_mirrors(self) -> tuple[str, ...]:
        """The mirrors of Docker Hub that it uses by itself."""

    @property
    def exports_cache(self) -> bool:
        """Whether a build here can write its cache elsewhere (`--cache-to`)."""

    @property
    def keeps_digests(self) -> bool:
        """Whether an image's id here is its digest in a registry."""

    @property
    def attests(self) -> bool:
        """Whether a build here can say how it was made (provenance) and what is in it (SBOM)."""

    def image(self, name: str) -> Image | None:
        """Return an image by name, digest or id; None where it is not there."""

    def images(self, repositories: Collection[str]) -> tuple[Held, ...]:
        """Return the images that have a tag of some repositories, and those without any name.

        Raises:
            EngineError: The engine failed.
        """

    def remove_staged(self, prefixes: Collection[str]) -> None:
        """Remove the names that begin with one of some prefixes, and results half received.

        Raises:
            EngineError: The engine failed.
        """

    def entry(self, name: str, platform: Platform) -> Entry | None:
        """Return what an index says of an image once it is pushed; None where that is not known."""

    def pull(
        self,
        name: str,
        *,
        source: Source,
        wanted: Reference,
        platform: Platform | None,
        on_progress: Callable[[Progress], None],
        limits: Limits,
    ) -> None:
        """Pull an image by `repository@digest` or `repository:tag`.

        Args:
            name: What the engine is asked for.
            source: The registry that has it, and how it is reached.
            wanted: The reference that people know it by, for messages.
            platform: The platform to choose from an index; None where the digest decides.
            on_progress: Told where the pull stands.
            limits: When it is given up.

        Raises:
            PullError: It could not be pulled.
        """

    def push(self, name: str, destination: Reference) -> str:
        """Upload an image for one platform; return the digest of its manifest in the registry.

        What the registry has is not sent again. It may be tried again where it fails.

        Args:
            name: The image's name here.
            destination: The repository and tag that it gets there.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
            EngineError: The image is not here, or the engine failed.
        """

    def save(self, name: str, layout: Layout, layers: Layers) -> str:
        """Write an image into a layout, with what attests it; return its digest there.

        The classic store of a Docker engine has no manifest: it gets a new one.

        Args:
            name: The image's name here.
            layout: Where to.
            layers: The layers that are there, as far as they need not come again; those that come
                are added.

        Raises:
            EngineError: It is not here, or the engine failed.
            OSError: The layout cannot be written to.
        """

    def load(self, blobs: Blobs, digest: str, name: str) -> None:
        """Take in an image under a name.

        Args:
            blobs: Where it is.
            digest: The digest of its manifest, or of the index that lists what attests it as well.
            name: The name that it gets here.

        Raises:
            EngineError: The engine refuses it, or failed.
        """

    def registry_digest(self, reference: Reference, limits: Limits) -> str | None:
        """Return the digest that the engine itself finds for a reference at its registry.

        It may be that of an index. None where the engine finds nothing either, or not in time.
        """

    def tag(self, name: str, new: str) -> None:
        """Give an image a further name.

        Raises:
            EngineError: The engine refuses.
        """

    def untag(self, name: str) -> None:
        """Take a name from an image; an image without any other name goes with it.

        Raises:
            EngineError: The engine refuses.
        """

    def collect(self, *, dry_run: bool) -> int:
        """Free what is left of images that have no name any more; return its bytes.

        Nothing else may be at work in the workspace.

        Args:
            dry_run: Only count it.

        Raises:
            EngineError: It could not be freed.
        """

    def source(self, name: str) -> str:
        """Return where a build takes an image from, as buildx names contexts."""

    def destination(self, name: str) -> tuple[str, ...]:
        """Return buildx's arguments that put a build's result here under a name."""

    def receiving(self, name: str) -> AbstractContextManager[None]:
        """Take in the result of the build that runs meanwhile, if it has one, under a name.

        Raises:
            EngineError: There is no place for it.
        """

    def shown(self, verb: str, *names: str) -> str:
        """Return what stands in a dry run for `docker pull`, `tag`, `push` or `rmi`."""

    def free_bytes(self) -> int | None:
        """Return the free space where it keeps images; None where that cannot be known."""

    def answers(self) -> bool:
        """Whether it is still there."""

    def container(
        self,
        image: str,
        platform: Platform,
        *,
        start: bool,
        owner: str,
        argv: Sequence[str] = (),
    ) -> AbstractContextManager[Container]:
        """Make a container of an image, and remove it at the end.

        Args:
            image: The image.
            platform: Its platform.
            start: Whether it runs; otherwise it is only looked into.
            owner: Who it belongs to: `remove_containers` finds it by that.
            argv: What it runs instead of what the image says, entry point included.

        Raises:
            EngineError: It could not be made or started, or the engine failed.
        """

    def remove_containers(self, owner: str) -> None:
        """Remove the containers that an owner's killed run has left.

        Raises:
            EngineError: The engine failed.
        """
