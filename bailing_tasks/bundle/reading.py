"""Reads a bundle, after all of it was checked: it may be damaged, cut, or something else.

One pass over the file compares every blob with its digest. What is then read is read where it
stands: nothing is unpacked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from bailing_tasks.bundle import contents
from bailing_tasks.bundle.contents import Contents
from bailing_tasks.bundle.writing import index
from bailing_tasks.engine.archive import END, VERSION
from bailing_tasks.engine.blobs import CHUNK, Blob, described
from bailing_tasks.errors import UsageError
from bailing_tasks.platforms import Platform

LARGEST = 64 << 20
"""The most bytes of a document; the list of a thousand images has about one million."""
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_DOCUMENTS = ("oci-layout", contents.NAME, "index.json")


@dataclass(frozen=True)
class _Place:
    """Where a member of the archive stands in the file, in bytes."""

    start: int
    size: int


class Bundle:
    """A bundle that was checked; several threads may read it.

    Args:
        file: The file, open.
        places: Where each blob stands in it, by its digest.
        holds: What it holds.
    """

    def __init__(self, file: BinaryIO, places: Mapping[str, _Place], holds: Contents) -> None:
        self._file = file
        self._places = places
        self.contents = holds

    def has(self, blob: Blob) -> bool:
        """Whether a blob is in it, in its whole length."""
        place = self._places.get(blob.digest)
        return place is not None and place.size == blob.size

    def read(self, digest: str) -> bytes:
        """Return a small blob; OSError where it is not there."""
        with self.open(digest) as file:
            if len(cast("_Part", file)) > LARGEST:
                raise OSError(f"{digest} is too large for what it should be")
            return file.read()

    def open(self, digest: str) -> BinaryIO:
        """Open a blob of any size; OSError where it is not there."""
        try:
            return cast("BinaryIO", _Part(self._file.fileno(), self._places[digest]))
        except KeyError:
            raise FileNotFoundError(f"{digest} is not in the bundle") from None


class _Part(io.RawIOBase):
    """A part of an open file, as a file; several may be read at once."""

    def __init__(self, descriptor: int, place: _Place) -> None:
        self._descriptor = descriptor
        self._place = place
        self._at = 0

    def __len__(self) -> int:
        return self._place.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._place.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), max(self._place.size - self._at, 0))
        piece = os.pread(self._descriptor, count, self._place.start + self._at)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Check a bundle and read it.

    Raises:
        UsageError: It is not there or none, or it is damaged; or its form is of another version.
    """
    remedy = "name a file that `invoke bundle-save` wrote"
    if path.exists() and not path.is_file():  # nobody may ever write to a pipe
        raise UsageError(f"{path} cannot be read", cause="it is no file", remedy=remedy)
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read", cause=str(error), remedy=remedy) from error
    with file:
        try:
            bundle = _checked(file)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{path} is no bundle, or is damaged; nothing was changed",
                cause=str(error),
                remedy="copy it again, or save it anew with `invoke bundle-save`",
            ) from error
        yield bundle


def _checked(file: BinaryIO) -> Bundle:
    """Return a bundle whose every part is what it should be.

    Raises:
        ValueError: Something is not; it is said what.
        UsageError: Another version of the tasks wrote it.
    """
    documents: dict[str, bytes] = {}
    places: dict[str, _Place] = {}
    for name, size in _members(file):
        start = file.tell()
        if name in _DOCUMENTS:
            documents[name] = _document(file, name, size)
        else:
            digest = _digest(name)
            _check_blob(file, digest, size)
            places[digest] = _Place(start, size)
    if missing := [name for name in _DOCUMENTS if name not in documents]:
        raise ValueError(f"it has no {missing[0]}")
    if json.loads(documents["oci-layout"]) != VERSION:
        raise ValueError("it is an image layout of another version")
    bundle = Bundle(file, places, contents.parse(documents[contents.NAME]))
    _check_images(bundle)
    if json.loads(documents["index.json"]) != index(bundle.contents, bundle):
        raise ValueError(f"its index.json and its {contents.NAME} do not belong together")
    return bundle


def _members(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Yield name and bytes of each member of the archive, whose content has to be read then.

    `bundle-save` writes files alone, each behind one block: what else an archive can hold is
    refused, be it a link, a folder or a header of any length.

    Raises:
        ValueError: It is no such archive, or it is cut.
    """
    seen: set[str] = set()
    while (block := file.read(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
        header = _header(block, first=not seen)
        if header.name in seen:
            raise ValueError(f"it has {header.name} twice")
        seen.add(header.name)
        yield header.name, header.size
        padding = -header.size % tarfile.BLOCKSIZE
        if file.read(padding) != bytes(padding):
            raise ValueError("it is cut, or something stands between its parts")
    if file.read(len(END)) != END[tarfile.BLOCKSIZE :]:
        raise ValueError("it is cut at its end, or something stands behind its end")


def _header(block: bytes, *, first: bool) -> tarfile.TarInfo:
    """Read what stands before a member.

    Raises:
        ValueError: It is none that `bundle-save` writes.
    """
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        what = (
            "it is no archive (tar), or a packed one"
            if first
            else f"it is cut or damaged ({error})"
        )
        raise ValueError(what) from error
    if header.type != tarfile.REGTYPE or header.size < 0:
        raise ValueError(
            f"it holds {header.name!r}, which is no file: bundle-save did not write it"
        )
    if header.name not in _DOCUMENTS and not _BLOB.fullmatch(header.name):
        raise ValueError(f"it holds {header.name!r}: bundle-save did not write it")
    return header


def _document(file: BinaryIO, name: str, size: int) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{name} has {size} bytes, which is too much")
    found = file.read(size)
    if len(found) < size:
        raise ValueError(f"it is cut in {name}")
    return found


def _digest(name: str) -> str:
    return f"sha256:{name.rpartition('/')[2]}"


def _check_blob(file: BinaryIO, digest: str, size: int) -> None:
    found, left = hashlib.sha256(), size
    while left:
        piece = file.read(min(CHUNK, left))
        if not piece:
            raise ValueError(f"it is cut in the blob {digest}")
        found.update(piece)
        left -= len(piece)
    if f"sha256:{found.hexdigest()}" != digest:
        raise ValueError(f"the blob {digest} is damaged: it has sha256:{found.hexdigest()}")


def _check_images(bundle: Bundle) -> None:
    """Make sure that each image is whole, and is for its platform.

    Raises:
        ValueError: One is not.
    """
    for image in bundle.contents.images:
        try:
            found = described(bundle, image.digest)
        except (OSError, ValueError, UsageError) as error:
            raise ValueError(f"{image.title} is not whole ({error})") from error
        if not Platform.parse(image.platform).takes(found.platform):
            raise ValueError(f"{image.title} is for {found.platform}")
