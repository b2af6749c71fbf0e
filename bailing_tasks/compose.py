"""Which images the services of a Compose file run. Pure: files are read by whoever asks.

Every service counts, whatever its profiles. What `include` and `extends` name in the workspace is
read as well; what they fetch from elsewhere (`oci://`, Git) is not. Each file that is named stands
for itself: files are not laid over one another, as `docker compose -f a -f b` does.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bailing_tasks.errors import UsageError
from bailing_tasks.interpolation import UnresolvedError, interpolate
from bailing_tasks.workflows.nodes import Node, parse


@dataclass(frozen=True, kw_only=True)
class ComposeImage:
    """The image of one service.

    Attributes:
        service: The service.
        name: The image, as it stands there once variables are filled in.
        platform: The platform that the service asks for; empty for none.
        built: Whether the service has a `build` section: the image is what that makes.
        path: The file that names it, relative to the workspace.
        line: The line of the name.
    """

    service: str
    name: str
    platform: str
    built: bool
    path: str
    line: int

    @property
    def place(self) -> str:
        """Where it is named, as `compose.yaml:12`."""
        return f"{self.path}:{self.line}"


def images(
    path: str, variables: Mapping[str, str], *, read: Callable[[str], str]
) -> tuple[ComposeImage, ...]:
    """Return the images of the services of a Compose file, in the order they stand in.

    Args:
        path: The file, relative to the workspace.
        variables: The variables that its values may name.
        read: Returns the text of a file of the workspace.

    Raises:
        UsageError: A file is no Compose file, or a variable has no value; as `read`.
    """
    return tuple(_Reader(variables=variables, read=read).images(path))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What is known of a service: its own, and what it has from those that it extends."""

    image: tuple[str, Node] | None = None
    platform: tuple[str, Node] | None = None
    built: bool = False


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads files and those that they name, each once."""

    variables: Mapping[str, str]
    read: Callable[[str], str]
    files: dict[str, Node] = field(default_factory=dict)
    included: set[str] = field(default_factory=set)

    def images(self, path: str) -> Iterator[ComposeImage]:
        if path in self.included:
            return
        self.included.add(path)
        root = self._root(path)
        for included in self._includes(path, root):
            yield from self.images(included)
        for name in root.get("services").items:
            found = self._service(path, name, ())
            if found.image is None:
                continue
            where, node = found.image
            yield ComposeImage(
                service=name,
                name=self._text(where, node),
                platform=self._text(*found.platform) if found.platform else "",
                built=found.built,
                path=where,
                line=node.line,
            )

    def _root(self, path: str) -> Node:
        if path not in self.files:
            self.files[path] = parse(self.read(path), path)
        root = self.files[path]
        services = root.get("services")
        if services.text or services.entries is not None or root.text or root.entries:
            raise UsageError(
                f"{path}:{services.line or 1}: this is no Compose file",
                cause="`services` holds no services by name",
                remedy="name another file in compose-files",
            )
        return root

    def _includes(self, path: str, root: Node) -> Iterator[str]:
        """Yield the files that a file includes, by a short name or by `path`."""
        for entry in root.get("include").each:
            for node in entry.get("path").each if entry.items else (entry,):
                yield from self._beside(path, node)

    def _beside(self, path: str, node: Node) -> Iterator[str]:
        """Yield the file that a file names relative to itself, unless that is fetched first."""
        name = self._text(path, node)
        if "://" not in name and not name.startswith("git@"):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), name))

    def _service(self, path: str, name: str, extended_by: tuple[tuple[str, str], ...]) -> _Found:
        """Return what is known of a service.

        Args:
            path: The file that it stands in.
            name: Its name.
            extended_by: The services that extend it, by file and name.
        """
        services = self._root(path).get("services")
        if name not in services.items or (path, name) in extended_by:
            cause = "it extends itself" if (path, name) in extended_by else "it is not there"
            raise UsageError(
                f"{path}:{services.line}: the service {name!r} cannot be read", cause=cause
            )
        service = services.items[name]
        base = self._extended(path, service, (*extended_by, (path, name)))
        own = {key: (path, service.get(key)) for key in ("image", "platform") if service.get(key)}
        return replace(base, **own, built=base.built or bool(service.get("build")))

    def _extended(
        self, path: str, service: Node, extended_by: tuple[tuple[str, str], ...]
    ) -> _Found:
        extends = service.get("extends")
        name = extends.value or extends.get("service").value
        if not name:
            return _Found()
        if not extends.get("file"):
            return self._service(path, name, extended_by)
        for file in self._beside(path, extends.get("file")):
            return self._service(file, name, extended_by)
        return _Found()

    def _text(self, path: str, node: Node) -> str:
        try:
            return interpolate(node.value, self.variables)
        except UnresolvedError as error:
            raise UsageError(
                f"{path}:{node.line}: {node.value!r} cannot be filled in",
                cause=error.cause,
                remedy=f"{error.remedy}; variables are taken from .env and the environment",
            ) from error
