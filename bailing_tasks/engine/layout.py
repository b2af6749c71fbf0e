"""Images on disk, as the OCI image layout specification has them.

`blobs/sha256/<hex>` hold manifests, configurations and layers; `index.json` names manifests. A name
stands only for an image that is whole, and a blob has its name only once it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from bailing_tasks.engine.base import Held, Image
from bailing_tasks.engine.blobs import CHUNK, Blob, Blobs, Manifest, described, parts
from bailing_tasks.errors import EngineError, UsageError
from bailing_tasks.image_index import OCI_MANIFEST
from bailing_tasks.references import Reference, is_sha256
from bailing_tasks.state import write_in_one_step

REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation of an entry of `index.json` that names it."""


class Layout:
    """An OCI image layout; several threads may use it.

    Args:
        folder: Where it is; made on the first write.

    Attributes:
        incoming: Where the result of a build is while it comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.incoming = self.folder / "incoming"
        self._index = threading.Lock()

    def path(self, digest: str) -> Path:
        """Return where a blob is, or would be."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def partial(self, digest: str) -> Path:
        """Return where a blob is while it comes."""
        return self.folder / "partial" / digest.removeprefix("sha256:")

    def has(self, blob: Blob) -> bool:
        """Whether a blob is there, in its whole length."""
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except OSError:
            return False

    def make(self) -> None:
        """Make the folders and the file that say what it is."""
        self.path("").mkdir(parents=True, exist_ok=True)
        self.partial("").mkdir(parents=True, exist_ok=True)
        if not (self.folder / "oci-layout").exists():
            self._write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def digest(self, name: str) -> str | None:
        """Return the digest that a name, `repository@digest` or digest stands for.

        It may be of an image that is not there; None for a name that nothing has.
        """
        digest = name.rpartition("@")[2]
        return digest if is_sha256(digest) else self._names().get(_canonical(name))

    def read(self, digest: str) -> bytes:
        """Return a small blob; OSError where it is not there."""
        return self.path(digest).read_bytes()

    def open(self, digest: str) -> BinaryIO:
        """Open a blob of any size; OSError where it is not there."""
        return self.path(digest).open("rb")

    def add(self, digest: str, coming: BinaryIO) -> None:
        """Take in a blob, however big, unless it is there.

        Raises:
            OSError: It cannot be read or written.
            ValueError: What came has another digest.
        """
        if self.path(digest).exists():
            return
        partial, found = self.partial(digest), hashlib.sha256()
        with partial.open("wb") as file:
            while piece := coming.read(CHUNK):
                file.write(piece)
                found.update(piece)
            file.flush()
            os.fsync(file.fileno())
        if f"sha256:{found.hexdigest()}" != digest:
            partial.unlink()
            raise ValueError(f"a blob has the digest sha256:{found.hexdigest()}, not {digest}")
        partial.replace(self.path(digest))

    def take(self, source: Blobs, digest: str) -> None:
        """Take in an image from elsewhere; what is here is not copied, its manifest comes last.

        Raises:
            OSError: The source does not have all of it, or it cannot be written.
            ValueError: It is none for one platform, or is damaged.
        """
        self.make()
        for each in reversed(parts(source, digest)):
            if isinstance(source, Layout):
                with contextlib.suppress(OSError):  # on another disk, it is copied
                    self.path(each).hardlink_to(source.path(each))
            with source.open(each) as coming:
                self.add(each, coming)

    def image(self, name: str) -> Image | None:
        """Return an image that is there in all its parts."""
        digest = self.digest(name)
        try:
            return described(self, digest) if digest else None
        except (OSError, ValueError, UsageError):
            return None

    def images(self, repositories: Collection[str]) -> tuple[Held, ...]:
        """Return the images that have a tag of some repositories, if they are there in all parts.

        Raises:
            EngineError: The index cannot be read.
        """
        wanted = {Reference.parse(name).repository for name in repositories}
        names: dict[str, list[Reference]] = {}
        for name, digest in self._names().items():
            names.setdefault(digest, []).append(Reference.parse(name))
        return tuple(
            Held(
                id=digest,
                names=tuple(name.familiar for name in of_one),
                size=image.size,
                labels=image.labels,
            )
            for digest, of_one in names.items()
            if wanted & {name.repository for name in of_one} and (image := self.image(digest))
        )

    def collect(self, *, dry_run: bool) -> int:
        """Remove the blobs that no named image consists of; return their bytes.

        What came of a download that was interrupted stays: it is gone on with.

        Args:
            dry_run: Only count them.

        Raises:
            EngineError: The folder cannot be written to, or the index cannot be read.
        """
        with self._index, unwritable(self.folder):
            needed = self._needed()
            left = [blob for blob in self.path("").glob("*") if blob.name not in needed]
            size = sum(blob.stat().st_size for blob in left)
            if not dry_run:
                shutil.rmtree(self.incoming, ignore_errors=True)
                for blob in left:
                    blob.unlink()
        return size

    def _needed(self) -> set[str]:
        """Return the file names of the blobs that the named images consist of."""
        needed = set(self._names().values())
        for digest in tuple(needed):
            with contextlib.suppress(OSError, AttributeError, KeyError, TypeError, ValueError):
                document = json.loads(self.path(digest).read_bytes())
                needed.update(Blob.parse(each).digest for each in document.get("manifests", ()))
        for digest in tuple(needed):
            # Of an index, not all platforms have to be here.
            with contextlib.suppress(OSError, ValueError):
                manifest = Manifest.parse(self.path(digest).read_bytes())
                needed.update(blob.digest for blob in manifest.blobs)
        return {digest.removeprefix("sha256:") for digest in needed}

    def tag(self, name: str, new: str) -> None:
        """Give an image a further name.

        Raises:
            EngineError: There is no such image, or the index cannot be written.
        """
        image = self.image(name)
        if image is None:
            raise EngineError(
                f"{name} could not be tagged {new}",
                cause=f"{self.folder} does not hold it",
                remedy="`invoke prefetch` brings what the registry has",
            )
        self._rename(lambda names: names | {_canonical(new): image.id})

    def untag(self, name: str) -> None:
        """Take a name from an image; its blobs stay until `collect`.

        Raises:
            EngineError: The index cannot be written.
        """
        gone = _canonical(name)
        self._rename(lambda names: {key: names[key] for key in names if key != gone})

    def remove_staged(self, prefixes: Collection[str]) -> None:
        """Remove the names that begin with one of some prefixes, and results half received.

        Raises:
            EngineError: The index cannot be written.
        """
        shutil.rmtree(self.incoming, ignore_errors=True)
        self._rename(
            lambda names: {
                name: names[name] for name in names if not name.startswith(tuple(prefixes))
            }
        )

    def _names(self) -> dict[str, str]:
        path = self.folder / "index.json"
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))["manifests"]
            return {entry["annotations"][REF_NAME]: entry["digest"] for entry in entries}
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise EngineError(
                f"{path} cannot be read",
                cause=str(error),
                remedy=f"remove {path}; the next prefetch writes it anew",
            ) from error

    def _rename(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        with self._index, unwritable(self.folder):
            before = self._names()
            after = change(before)
            if after != before:
                entries = (self._entry(name, after[name]) for name in sorted(after))
                found = [entry for entry in entries if entry]
                self._write("index.json", {"schemaVersion": 2, "manifests": found})

    def _entry(self, name: str, digest: str) -> dict[str, Any] | None:
        """Return what names a manifest; None where that is gone or damaged."""
        try:
            raw = self.path(digest).read_bytes()
            media_type = json.loads(raw).get("mediaType", OCI_MANIFEST)
        except (FileNotFoundError, ValueError):
            return None
        return {
            "mediaType": media_type,
            "digest": digest,
            "size": len(raw),
            "annotations": {REF_NAME: name},
        }

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        write_in_one_step(self.folder / name, (json.dumps(document, indent=2) + "\n").encode())


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Turn what comes up from below when a folder cannot be written to into an error.

    Raises:
        EngineError: It cannot.
    """
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"{folder} cannot be written to",
            cause=str(error),
            remedy="free disk space, or make the folder writable",
        ) from error


def _canonical(name: str) -> str:
    return str(Reference.parse(name))
