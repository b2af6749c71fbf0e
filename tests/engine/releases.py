"""Releases that meet faults: what whoever pulls sees of them, and what came of each."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

from bailing_tasks.engine.base import Limits
from bailing_tasks.engine.registry import ACCEPT
from bailing_tasks.errors import BailingError
from bailing_tasks.image_index import is_image
from bailing_tasks.release.model import BuiltImage
from bailing_tasks.settings import Target
from tests.engine import registries, tiny
from tests.engine.proxy import Fault, RegistryProxy, SendingFault
from tests.engine.pushing import PLATFORMS, Holder, holder
from tests.engine.support import Engine
from tests.engine.test_push import target
from tests.engine.tokens import basic

OLD, NEW = "old", "new"
VERSION = "1.1.0"
"""The version that is released; the release before it was another one."""
TAGS = ("latest", "main", VERSION)
ABSENT = "-"
WHOLE = {f"{name}:{tag}": NEW for name in ("builder", "app") for tag in TAGS}
"""What whoever pulls sees of a release that is done."""
BEFORE = {tag: ABSENT if tag.endswith(VERSION) else OLD for tag in WHOLE}
"""What they see while no tag has moved."""


@dataclass(frozen=True)
class Puller:
    """Pulls as a machine of each platform does, and checks every byte.

    Attributes:
        registry: The address of the registry.
        login: The user and password.
    """

    registry: str
    login: str

    def seen(self, repository: str, tag: str) -> str:
        """Return which release a tag is, the same for every platform; `ABSENT` where it is free."""
        raw = self._get(f"{repository}/manifests/{tag}")
        if raw is None:
            return ABSENT
        entries = json.loads(raw)["manifests"]
        images = [entry for entry in entries if is_image(entry)]
        platforms = {f"linux/{each['platform']['architecture']}" for each in images}
        assert platforms == set(PLATFORMS)
        for entry in entries:
            self._blobs(repository, entry["digest"])
        found = {self._content(repository, entry["digest"]) for entry in images}
        assert len(found) == 1, f"{tag} is of two releases: {found}"
        return found.pop()

    def _blobs(self, repository: str, digest: str) -> list[bytes]:
        """Return the configuration and the layers of an image, or of what attests one."""
        manifest = json.loads(self._whole(f"{repository}/manifests/{digest}", digest))
        return [
            self._whole(f"{repository}/blobs/{each['digest']}", each["digest"])
            for each in (manifest["config"], *manifest["layers"])
        ]

    def _content(self, repository: str, digest: str) -> str:
        layer = self._blobs(repository, digest)[1]
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
            file = archive.extractfile("file")
            assert file
            return file.read().decode().split()[-1]

    def _whole(self, path: str, digest: str) -> bytes:
        body = self._get(path)
        assert body is not None, f"{path} is missing"
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest, f"{path} is damaged"
        return body

    def _get(self, path: str) -> bytes | None:
        headers = {"Accept": ACCEPT, "Authorization": basic(self.login)}
        request = urllib.request.Request(f"http://{self.registry}/v2/{path}", headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise


@dataclass
class Stage:
    """What releases of builder and app are made with, each from the same images.

    Attributes:
        held: The engine.
        proxy: Before the registry, at the address that the images are named after.
        images: The new images.
        template: What is in the registry's storage before each release.
    """

    held: Holder
    proxy: RegistryProxy
    images: Sequence[BuiltImage]
    template: Path

    @contextlib.contextmanager
    def scene(self, folder: Path) -> Iterator[Scene]:
        """Return a release of its own: a registry with the old one, and a state."""
        shutil.copytree(self.template, folder / "registry" / "storage", dirs_exist_ok=True)
        with registries.running(folder / "registry", login=True) as address:
            self.proxy.registry = address
            self.proxy.tokens, self.proxy.upstream, self.proxy.immutable = None, "", False
            self.proxy.heal()
            self.proxy.log.clear()
            yield Scene(self, folder, Puller(address, registries.LOGIN))


@dataclass
class Scene:
    """One release, in its registry."""

    stage: Stage
    folder: Path
    puller: Puller

    def release(self) -> None:
        """Release as one run of a command does; what it said is told where it fails."""
        held = dataclasses.replace(self.stage.held.again(), folder=self.folder / "image")
        keys = dict.fromkeys(image.key for image in self.stage.images)
        held.release(self.stage.images, dict.fromkeys(keys, TAGS))

    def seen(self) -> dict[str, str]:
        """Return what whoever pulls sees, by target and tag."""
        targets = {image.variant.target.name: image.variant.target for image in self.stage.images}
        return {
            f"{name}:{tag}": self.puller.seen(_path(each), tag)
            for name, each in targets.items()
            for tag in TAGS
        }

    @property
    def storage(self) -> Path:
        """Where the registry keeps what it has."""
        return self.folder / "registry" / "storage"

    def fails(self) -> BailingError:
        """Release, which has to stop halfway with no tag moved; return how it ended."""
        with pytest.raises(BailingError) as caught:
            self.release()
        assert caught.value.exit_code == 9
        assert "no tag was moved" in caught.value.remedy
        assert self.seen() == BEFORE
        return caught.value

    def goes_on(self) -> None:
        """Release again, which has to finish, and send nothing twice."""
        self.release()
        assert self.seen() == WHOLE
        twice = sent_twice(self.stage.proxy)
        assert not twice, twice


def _path(of: Target) -> str:
    return of.repository.partition("/")[2]


@contextlib.contextmanager
def stage(kind: str, started: Engine, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Build what is released, and prepare a registry with an older release.

    Args:
        kind: As for `holder`.
        started: Likewise.
        folder: What is made for it.
        patch: Sets the environment, and lets nobody wait for long.
    """
    for name, seconds in _PATIENCE.items():
        patch.setattr(f"bailing_tasks.{name}", seconds)
    limits = Limits.__init__.__kwdefaults__
    assert limits
    patch.setitem(limits, "stall", 0.6)
    patch.setattr("tests.engine.proxy.TRICKLE", (4, 0.02))
    patch.setattr("tests.engine.proxy.RETRY_AFTER", 1)
    with (
        holder(kind, started, folder, patch) as held,
        RegistryProxy("") as proxy,
    ):
        registries.log_in(folder, patch, proxy.address)
        targets = [target(proxy.address, folder, name) for name in ("builder", "app")]
        with registries.running(folder / "registry") as address:
            for each in targets:
                files = {platform: {"file": OLD.encode()} for platform in PLATFORMS}
                for tag in ("latest", "main", "1.0.0"):
                    tiny.push_index(address, f"{_path(each)}:{tag}", files)
        images = [
            held.built(each, platform, content=NEW) for each in targets for platform in PLATFORMS
        ]
        yield Stage(held.again(), proxy, images, folder / "registry" / "storage")


_PATIENCE: Mapping[str, object] = {
    "retry.FIRST_WAIT": 0.02,
    "engine.uploads.STALL": 0.6,
    "engine.exchange.TIMEOUT": (0.6, 0.6),
    "engine.exchange.HEAD_TIMEOUT": (0.6, 0.6),
}
"""Seconds in which a release of a few bytes to loopback is given up."""


@dataclass(frozen=True)
class Case:
    """A fault, and the step of a release that it befalls.

    Attributes:
        fault: What goes wrong.
        step: Where, one of `STEPS`.
        times: How often; None until it is mended.
    """

    fault: Fault | SendingFault
    step: str
    times: int | None

    def __str__(self) -> str:
        often = "for good" if self.times is None else "once"
        return f"{self.fault.value}-{self.step}-{often}".replace(" ", "_")


STEPS: Mapping[str, tuple[str, str, str]] = {
    "check": ("blobs", "POST", "/uploads/"),
    "blob": ("blobs", "PUT", "/uploads/"),
    "image": ("manifests", "PUT", "/fp-"),
    "read image": ("manifests", "GET", "/sha256:"),
    "read blob": ("blobs", "GET", "/sha256:"),
    "index": ("manifests", "PUT", "/sha256:"),
    "look": ("manifests", "HEAD", "/main"),
    "version": ("manifests", "PUT", f"/{VERSION}"),
    "branch": ("manifests", "PUT", "/main"),
    "latest": ("manifests", "PUT", "/latest"),
}
"""For each step of a release, what is asked then: kind, method, and a part of the path."""


@dataclass(frozen=True)
class Came:
    """What came of a case.

    Attributes:
        case: What it was.
        error: How the release ended; None where it was done all the same.
        between: What whoever pulls saw after it, by target and tag.
    """

    case: Case
    error: BailingError | None
    between: Mapping[str, str]

    @property
    def row(self) -> tuple[str, ...]:
        """One line of a table."""
        often = "until mended" if self.case.times is None else "once"
        seen = [" ".join(dict.fromkeys(self._of(tag))) for tag in TAGS]
        how = f"exit {self.error.exit_code}" if self.error else "done"
        return (self.case.step, self.case.fault.value, often, how, *seen)

    def _of(self, tag: str) -> list[str]:
        return [seen for name, seen in self.between.items() if name.endswith(f":{tag}")]


def meet(stage: Stage, case: Case, folder: Path) -> Came:
    """Release while something goes wrong, and again once it does not; check what both leave."""
    on, method, path = STEPS[case.step]
    with stage.scene(folder) as scene:
        stage.proxy.fault(case.fault, on=on, method=method, path=path, times=case.times)
        error = None
        try:
            scene.release()
        except BailingError as caught:
            error = caught
        between = scene.seen()
        stage.proxy.heal()
        scene.goes_on()
    assert all(between[tag] in (BEFORE[tag], NEW) for tag in WHOLE), between
    if error is None:
        assert between == WHOLE
    return Came(case, error, between)


def sent_twice(proxy: RegistryProxy) -> list[str]:
    """Return the blobs and manifests that arrived more than once; tags may have been put back."""
    arrived = Counter(
        re.sub(r"uploads/.*digest=", "", path)
        for method, path, status in proxy.log
        if method == "PUT" and status == 201
    )
    followed = tuple(f"/manifests/{tag}" for tag in TAGS)
    # The containerd store puts an image, what attests it and then their index under one tag, and
    # all of them again after a push that was killed in between.
    allowed = {path: 6 if re.search("/manifests/(fp|id)-", path) else 1 for path in arrived}
    return [
        path
        for path, times in arrived.items()
        if times > allowed[path] and not path.endswith(followed)
    ]


HEADINGS = ("step", "fault", "how often", "release", *TAGS)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines for people."""
    every = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    )
