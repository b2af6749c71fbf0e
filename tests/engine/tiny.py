"""Tiny images of random bytes, put straight into a registry, and whether an engine has them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engine.remote import content, layout
from tests.engine.support import Workspace

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Tiny:
    """An image in a registry.

    Attributes:
        name: Its repository and tag.
        digest: The digest of its manifest.
        layers: The digests of its layers.
        files: What each layer holds: one file, named by the layer's number.
    """

    name: str
    digest: str
    layers: tuple[str, ...]
    files: tuple[bytes, ...]

    @property
    def repository(self) -> str:
        return self.name.partition(":")[0]


def push(
    registry: str, name: str, *sizes: int, architecture: str = "amd64", runs: bool = True
) -> Tiny:
    """Put an image for Linux into a registry: a layer of random bytes for each size.

    Where it does not run, its configuration has no `config`, which the specification lets out.
    """
    repository, _, tag = name.partition(":")
    files = tuple(os.urandom(size) for size in sizes)
    archives = [_archive({str(number): content}) for number, content in enumerate(files)]
    body = _manifest(registry, repository, f"linux/{architecture}", archives, runs=runs)
    url = f"http://{registry}/v2/{repository}/manifests/{tag}"
    _ask("PUT", url, body, {"Content-Type": MANIFEST})
    layers = tuple(layer["digest"] for layer in json.loads(body)["layers"])
    return Tiny(name, _digest(body), layers, files)


def push_index(
    registry: str,
    name: str,
    contents: Mapping[str, Mapping[str, bytes]],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    onbuild: Sequence[str] = (),
) -> None:
    """Put an image for several platforms into a registry: for each, files by their paths."""
    repository, _, tag = name.partition(":")
    manifests = []
    for platform, files in contents.items():
        settings = {"Labels": dict(labels or {}), "OnBuild": [*onbuild]}
        body = _manifest(registry, repository, platform, [_archive(files)], settings)
        digest, (os_name, architecture) = _digest(body), platform.split("/")
        url = f"http://{registry}/v2/{repository}/manifests/{digest}"
        _ask("PUT", url, body, {"Content-Type": MANIFEST})
        described = {"mediaType": MANIFEST, "digest": digest, "size": len(body)}
        manifests.append(described | {"platform": {"os": os_name, "architecture": architecture}})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    index |= {"annotations": dict(annotations)} if annotations else {}
    url = f"http://{registry}/v2/{repository}/manifests/{tag}"
    _ask("PUT", url, json.dumps(index).encode(), {"Content-Type": INDEX})


def held(workspace: Workspace, repository: str, image: Tiny) -> bool:
    """Whether a workspace's engine has an image; what it has of the repository has to be right.

    Right is what is byte for byte the image that was pushed there.
    """
    name = f"{repository}@{image.digest}"
    if workspace.engine.store == "buildkit":
        _assert_whole(workspace)
        if layout(workspace).image(name) is None:
            return False
        files = content(workspace, name)
    else:
        argv = ("image", "ls", "--digests", "--format", "{{.Digest}}", repository)
        digests = set(workspace.engine.must(*argv).split())
        if not digests:
            return False
        assert digests == {image.digest}, "the engine has a wrong image"
        files = _files(workspace, name)
    assert files == {str(number): file for number, file in enumerate(image.files)}
    return True


def _assert_whole(workspace: Workspace) -> None:
    """Check that each blob that is held for a BuildKit is what its name says."""
    for blob in layout(workspace).path("").glob("*"):
        assert _digest(blob.read_bytes()) == f"sha256:{blob.name}", "a blob is damaged"


def _files(workspace: Workspace, name: str) -> dict[str, bytes]:
    """Return what the layers of an image in a Docker engine hold."""
    engine = workspace.engine
    container = engine.must("create", name, "-")
    with tempfile.TemporaryDirectory() as copy:
        engine.must("cp", f"{container}:/.", copy)
        engine.must("rm", container)
        return {
            path.name: path.read_bytes() for path in Path(copy).iterdir() if path.name.isdecimal()
        }


def _manifest(
    registry: str,
    repository: str,
    platform: str,
    archives: Sequence[bytes],
    settings: Mapping[str, object] | None = None,
    *,
    runs: bool = True,
) -> bytes:
    """Upload configuration and layers of an image; return its manifest."""
    os_name, architecture = platform.split("/")
    config = {
        "os": os_name,
        "architecture": architecture,
        **({"config": dict(settings or {})} if runs else {}),
        "rootfs": {"type": "layers", "diff_ids": [_digest(archive) for archive in archives]},
    }
    layers = [gzip.compress(archive, mtime=0) for archive in archives]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(registry, repository, CONFIG, json.dumps(config).encode()),
        "layers": [_blob(registry, repository, LAYER, layer) for layer in layers],
    }
    return json.dumps(manifest).encode()


def _blob(registry: str, repository: str, media_type: str, content: bytes) -> dict[str, object]:
    """Upload a blob; return its descriptor."""
    digest = _digest(content)
    place = _ask("POST", f"http://{registry}/v2/{repository}/blobs/uploads/")
    mark = "&" if "?" in place else "?"
    octets = {"Content-Type": "application/octet-stream"}
    _ask("PUT", f"{place}{mark}digest={digest}", content, octets)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _ask(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> str:
    """Ask a registry, past any proxy this machine is set to; return where it points to."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return str(answer.headers.get("Location", ""))


def _archive(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
