"""A BuildKit of its own (buildx `remote`, `docker-container`, `kubernetes`).

It holds no images that could be named, so they are held here: in an OCI image layout on disk, which
is filled from registries with their own digests, and handed to builds.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from bailing_tasks import image_index, process
from bailing_tasks.engine.base import Container, Held, Image, Layers, Limits, Progress
from bailing_tasks.engine.blobs import Blobs, manifests
from bailing_tasks.engine.buildx import Builder, fields
from bailing_tasks.engine.docker import DockerEngine
from bailing_tasks.engine.downloads import Downloads
from bailing_tasks.engine.layout import Layout, unwritable
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import EngineError
from bailing_tasks.image_index import Entry
from bailing_tasks.mirrors import Source
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference


class BuildKitEngine:
    """One BuildKit of its own, with the images that are here for it.

    Args:
        builder: The buildx builder that it is.
        folder: Where images are held for it.
        docker: Returns the Docker engine beside it, which runs containers; EngineError where there
            is none.
        plain_http: Hosts of registries that are asked by HTTP.
    """

    docker_context: str = ""
    exports_cache: bool = True
    keeps_digests: bool = True
    attests: bool = True
    registry_mirrors: tuple[str, ...] = ()

    def __init__(
        self,
        builder: Builder,
        folder: Path,
        docker: Callable[[], DockerEngine],
        plain_http: Collection[str] = (),
    ) -> None:
        self.builder = builder.name
        self.platform: Platform = builder.platforms[0]
        self._layout = Layout(folder)
        self._docker = functools.cache(docker)
        self._downloads = Downloads(self._layout, plain_http)
        self._uploads = Uploads(plain_http)
        self._under_test: set[str] = set()

    @property
    def identity(self) -> str:
        """What no other engine has: the folder in the state where images are held for it."""
        return f"oci-layout:{self._layout.folder.name}"

    def image(self, name: str) -> Image | None:
        """Return an image by name or digest; None where it is not here in all its parts."""
        return self._layout.image(name)

    def images(self, repositories: Collection[str]) -> tuple[Held, ...]:
        """Return the images of repositories, as `Engine.images`; here each has a name."""
        return self._layout.images(repositories)

    def remove_staged(self, prefixes: Collection[str]) -> None:
        """Remove the names that begin with one of some prefixes, and results half received."""
        self._layout.remove_staged(prefixes)

    def entry(self, name: str, platform: Platform) -> Entry | None:
        """Return what an index says of an image once it is pushed; None where it is not here."""
        image = self._layout.image(name)
        if image is None:
            return None
        manifest, *_ = manifests(self._layout, image.id)
        raw, listed = (self._layout.read(each) for each in (manifest, image.id))
        return image_index.entry(platform, raw, listed)

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
        """Download an image by `repository@digest`, as `Engine.pull`; nothing comes twice."""
        self._downloads.image(
            name.rpartition("@")[2],
            source=source,
            wanted=wanted,
            platform=platform,
            on_progress=on_progress,
            limits=limits,
        )

    def push(self, name: str, destination: Reference) -> str:
        """Upload an image for one platform, as `Engine.push`."""
        image = self._layout.image(name)
        if image is None:
            raise EngineError(
                f"{name} cannot be pushed",
                cause=f"{self._layout.folder} does not hold it",
                remedy="build it first",
            )
        self._uploads.image(self._layout, image.id, destination)
        return image.id

    def save(self, name: str, layout: Layout, layers: Layers) -> str:  # noqa: ARG002
        """Write an image into a layout, with what attests it; return its digest there.

        Raises:
            EngineError: It is not here.
            OSError: It cannot be written.
        """
        image = self._layout.image(name)
        if image is None:
            raise EngineError(f"{name} cannot be saved", cause=f"{self._layout.folder} has it not")
        layout.take(self._layout, image.id)
        return image.id

    def load(self, blobs: Blobs, digest: str, name: str) -> None:
        """Take in an image under a name, as `Engine.load`."""
        with unwritable(self._layout.folder):
            self._layout.take(blobs, digest)
        self._layout.tag(digest, name)

    def registry_digest(self, reference: Reference, limits: Limits) -> str | None:  # noqa: ARG002
        """Return nothing: what this process cannot reach is out of reach."""
        return None

    def tag(self, name: str, new: str) -> None:
        """Give an image a further name.

        Raises:
            EngineError: It is not here.
        """
        self._layout.tag(name, new)

    def untag(self, name: str) -> None:
        """Take a name from an image."""
        self._layout.untag(name)

    def collect(self, *, dry_run: bool) -> int:
        """Free the blobs that no image needs, as `Engine.collect`."""
        return self._layout.collect(dry_run=dry_run)

    def source(self, name: str) -> str:
        """Return where a build takes an image from: from here, else BuildKit from its registry."""
        held = self._layout.image(name)
        if held is None:
            return f"docker-image://{name}"
        # By the way from here: in a path, buildx takes `:` and `@` for a tag and a digest.
        folder = os.path.relpath(self._layout.folder)
        return f"oci-layout://{folder}@{held.id}"

    def destination(self, name: str) -> tuple[str, ...]:
        """Return buildx's arguments that write a build's result to where it is taken from."""
        return ("--output", fields("type=oci", f"dest={self._incoming(name)}", "tar=false"))

    @contextlib.contextmanager
    def receiving(self, name: str) -> Iterator[None]:
        """Take in the result of the build that runs meanwhile, if it has one, under a name.

        buildx writes into a layout of its own, whose blobs are those of this one: layers that are
        here are not sent again, and no half result gets a name.

        Raises:
            EngineError: The folder cannot be written to.
        """
        incoming = self._incoming(name)
        with unwritable(incoming):
            self._layout.make()
            shutil.rmtree(incoming, ignore_errors=True)
            incoming.mkdir(parents=True)
            (incoming / "blobs").symlink_to(self._layout.folder / "blobs")
        try:
            yield
            index = incoming / "index.json"
            if index.exists():
                (result,) = json.loads(index.read_bytes())["manifests"]
                self._layout.tag(result["digest"], name)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def shown(self, verb: str, *names: str) -> str:
        """Return what stands in a dry run for `docker pull`, `tag`, `push` or `rmi`."""
        return f"# {verb} {' '.join(names)} in {self._layout.folder}"

    def free_bytes(self) -> int | None:
        """Return the free space where images are held."""
        folder = self._layout.folder
        places = (folder, *folder.parents)
        return shutil.disk_usage(next(place for place in places if place.exists())).free

    def answers(self) -> bool:
        """Whether it is still there."""
        answer = process.run(["docker", "buildx", "inspect", self.builder])
        return answer.ok and "Platforms:" in answer.stdout

    @contextlib.contextmanager
    def container(
        self,
        image: str,
        platform: Platform,
        *,
        start: bool,
        owner: str,
        argv: Sequence[str] = (),
    ) -> Iterator[Container]:
        """Make a container of an image in a Docker engine beside it, as `Engine.container`.

        A BuildKit runs none: the image is loaded into the engine that Docker's configuration names,
        under a name of its own, and removed from there at the end.

        Raises:
            EngineError: There is no Docker engine, or as `Engine.container`.
        """
        held = self._layout.image(image)
        if held is None:
            raise EngineError(f"no container can be made of {image}", cause="it is not here")
        beside = self._beside(image)
        with (
            self._loaded(held.id, beside, owner) as name,
            beside.container(name, platform, start=start, owner=owner, argv=argv) as container,
        ):
            yield container

    @contextlib.contextmanager
    def _loaded(self, image: str, beside: DockerEngine, owner: str) -> Iterator[str]:
        """Load an image into the engine beside, once for all checks that are within one another."""
        name = _check_name(image, owner)
        if name in self._under_test:
            yield name
            return
        manifest, *_ = manifests(self._layout, image)
        beside.load(self._layout, manifest, name)
        self._under_test.add(name)
        try:
            yield name
        finally:
            self._under_test.discard(name)
            beside.untag(name)

    def _beside(self, image: str) -> DockerEngine:
        try:
            return self._docker()
        except EngineError as error:
            raise EngineError(
                f"no container can be made of {image}",
                cause=f"the builder {self.builder!r} is a BuildKit of its own, which only builds, "
                f"and there is no Docker engine beside it ({error.message})",
                remedy="start a Docker engine, or name one in DOCKER_HOST: the image is loaded "
                "into it for the check",
            ) from error

    def remove_containers(self, owner: str) -> None:
        """Remove the containers that an owner's killed run has left in the engine beside it.

        Raises:
            EngineError: That engine failed.
        """
        self._under_test.clear()
        try:
            beside = self._docker()
        except EngineError:
            return  # and nothing of ours in it
        beside.remove_containers(owner)

    def _incoming(self, name: str) -> Path:
        short = hashlib.sha256(name.encode()).hexdigest()[:16]
        return self._layout.incoming / short


def _check_name(image: str, owner: str) -> str:
    """Return the name of an image under test, which no other workspace uses."""
    short = hashlib.sha256(f"{image} {owner}".encode()).hexdigest()[:16]
    return f"localhost/bailing-tasks/check:{short}"
