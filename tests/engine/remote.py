"""A BuildKit that is no Docker engine, for the tests: buildx knows it, and it has a proxy's socket.

It is the one inside the sandbox's engine with the containerd store.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bailing_tasks.engine.blobs import Manifest, manifests
from bailing_tasks.engine.layout import Layout
from tests.engine.buildkit_proxy import buildkit
from tests.engine.support import Engine, Workspace


@contextlib.contextmanager
def remote(containerd: Engine, folder: Path) -> Iterator[Engine]:
    """Let buildx know a BuildKit of its own; no Docker engine is where Docker looks."""
    socket = containerd.environment["DOCKER_HOST"].removeprefix("unix://")
    environment = {
        **containerd.environment,
        "BUILDX_CONFIG": str(folder),
        "BUILDX_BUILDER": "remote",
        "DOCKER_HOST": f"unix://{folder}/nobody.sock",
    }
    with buildkit(socket, folder) as address:
        found = replace(containerd, store="buildkit", environment=environment)
        found.must("buildx", "create", "--driver", "remote", "--name", "remote", address)
        yield found


def layout(workspace: Workspace) -> Layout:
    """Return where a workspace's images are held for the BuildKit."""
    return Layout(workspace.root / ".bailing-tasks" / "oci")


def content(workspace: Workspace, image: str) -> dict[str, bytes]:
    """Return the files of an image that is held for the BuildKit."""
    held, found = layout(workspace), dict[str, bytes]()
    digest = held.digest(image)
    assert digest
    manifest, *_ = manifests(held, digest)
    for layer in Manifest.parse(held.path(manifest).read_bytes()).layers:
        with tarfile.open(fileobj=io.BytesIO(held.path(layer.digest).read_bytes())) as archive:
            for member in archive:
                file = archive.extractfile(member)
                found |= {member.name: file.read()} if file else {}
    return found
