"""What a release asks of registries, again where asking again may help."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import image_index
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.blobs import Manifest
from bailing_tasks.engine.labels import read_content, read_labels
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import IncompleteError, PullError, RegistryError, RemoteError
from bailing_tasks.failures import LOGIN
from bailing_tasks.image_index import Entry
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.retry import ATTEMPTS, Value, retried
from bailing_tasks.tag_moves import Standing
from bailing_tasks.tagging import read_standing


@dataclass(frozen=True, kw_only=True)
class Found:
    """One platform's image in a registry, with all that it names.

    Attributes:
        entry: What an index says of it, and of what attests it.
        manifest: What it consists of.
    """

    entry: Entry
    manifest: Manifest

    @property
    def size(self) -> int:
        """The bytes that are pulled for it."""
        return sum(blob.size for blob in self.manifest.blobs)


class Registry:
    """Asks registries for a release.

    Args:
        console: Told what is tried again.
        plain_http: Hosts of registries that are asked by HTTP.
    """

    def __init__(self, console: Console, plain_http: Collection[str] = ()) -> None:
        self._console = console
        self._uploads = Uploads(plain_http)

    def check(self, reference: Reference) -> None:
        """Make sure that this login may push to a repository; nothing is sent.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        self.again(lambda: self._uploads.check(reference), reference.repository)

    def digest(self, reference: Reference) -> str:
        """Return what a tag stands for; empty where it is free.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        try:
            return self.again(lambda: self._uploads.standing(reference), reference.familiar) or ""
        except RegistryError as error:
            # It was asked on the way to a push, and perhaps for a status.
            error.message = _unread(reference)
            raise

    def standing(self, reference: Reference, root: Path, commit: str) -> Standing:
        """Return where a tag stands, seen from a commit of a repository.

        Raises:
            RegistryError: The registry cannot be asked, or what it has is no image.
        """

        def ask() -> Standing:
            with _reading(reference):
                return read_standing(self._uploads, root, commit, reference)

        return self.again(ask, reference.familiar)

    def labels(self, reference: Reference) -> Mapping[str, str]:
        """Return what an image says of itself.

        Raises:
            RegistryError: The registry cannot be asked, or has no such image.
        """

        def ask() -> Mapping[str, str]:
            with _reading(reference):
                return read_labels(self._uploads, reference)

        return self.again(ask, reference.familiar)

    def push(self, engine: Engine, name: str, reference: Reference, title: str) -> None:
        """Have an engine push an image; before each attempt the registry is asked if it may.

        An engine may try for most of a minute what a registry refuses, and hide its words.

        Args:
            engine: Holds the image.
            name: The image's name there.
            reference: The repository and tag that it gets.
            title: What it is, for people.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
            EngineError: The image is not there, or the engine failed.
        """

        def attempt() -> None:
            self._uploads.check(reference)
            try:
                engine.push(name, reference)
            except RegistryError as error:
                # The login was good just now: a token has expired on the way.
                error.transient = error.transient or error.kind == LOGIN
                raise

        self.again(attempt, title)

    def put(self, raw: bytes, reference: Reference, before: str = "") -> bool:
        """Put a manifest or an index under a tag or its digest.

        Args:
            raw: What is put.
            reference: Its name.
            before: What the name stands for until then; empty where it is free.

        Returns:
            Whether it was put: not where somebody else was quicker while it was tried again.

        Raises:
            RegistryError: The registry denies it, or cannot be reached.
        """
        digest, tried = image_index.digest(raw), False

        def attempt() -> bool:
            nonlocal tried
            if tried:
                # An answer may be lost: what has arrived is not sent again, and a tag may be
                # immutable.
                found = self._uploads.standing(reference) or ""
                if found == digest:
                    return True
                if found != before:
                    return False
            tried = True
            self._uploads.put(raw, reference)
            return True

        return self.again(attempt, reference.familiar)

    def remove_tag(self, reference: Reference) -> None:
        """Take a tag away, where the registry knows how to (the specification lets it refuse).

        Raises:
            RegistryError: It does not.
        """
        self._uploads.remove_tag(reference)

    def raw(self, reference: Reference, digest: str) -> bytes:
        """Return a manifest or an index, byte for byte.

        Raises:
            RegistryError: The registry cannot be asked, or does not have it.
        """
        source = self._uploads.origin(reference)

        def ask() -> bytes:
            with _reading(reference):
                return self._uploads.manifest(reference, digest, source)

        return self.again(ask, reference.familiar)

    def found(self, reference: Reference, platform: Platform) -> Found:
        """Return what stands under a name for a platform, and that all of it is there.

        Raises:
            RegistryError: The registry cannot be asked.
            IncompleteError: A part is missing, or it is no image.
        """

        def ask() -> Found:
            with _reading(reference):
                return self._found(reference, platform)

        return self.again(ask, f"{reference.familiar} ({platform})")

    def _found(self, reference: Reference, platform: Platform) -> Found:
        source = self._uploads.origin(reference)
        resolved = self._uploads.resolve(reference, platform, source)
        listed = (
            self._uploads.manifest(reference, resolved.index_digest, source)
            if resolved.index_digest != resolved.digest
            else None
        )
        raw = self._uploads.manifest(reference, resolved.digest, source)
        try:
            entry = image_index.entry(platform, raw, listed)
            found = Found(entry=entry, manifest=Manifest.parse(raw))
            attested_by = [
                Manifest.parse(self._uploads.manifest(reference, each.digest, source))
                for each in entry.attested_by
            ]
        except ValueError as error:
            raise IncompleteError(
                f"{reference.familiar} is no image for {platform}", cause=str(error)
            ) from error
        for manifest in (found.manifest, *attested_by):
            for blob in manifest.blobs:
                self._uploads.check_blob(reference, blob)
        return found

    def content(self, reference: Reference, manifest: Manifest) -> str:
        """Return what makes an image the same as another, by `image_content`.

        Raises:
            RegistryError: The registry cannot be asked, or has no such image.
        """

        def ask() -> str:
            with _reading(reference):
                return read_content(self._uploads, reference, manifest)

        return self.again(ask, reference.familiar)

    def again(self, attempt: Callable[[], Value], title: str) -> Value:
        """Return what an attempt returns; try it again where its failure is transient.

        Raises:
            RemoteError: The last failure.
        """

        def on_wait(error: RemoteError, number: int, wait: float) -> None:
            self._console.say(
                f"{title}: {error.cause}; attempt {number} of {ATTEMPTS} in {wait:.0f} s"
            )
            self._uploads.listen_again()

        return retried(attempt, on_wait)


def _unread(reference: Reference) -> str:
    return f"{reference.familiar} could not be read"


@contextlib.contextmanager
def _reading(reference: Reference) -> Iterator[None]:
    """Turn what fails while something is read into a failure of the release."""
    try:
        yield
    except PullError as error:
        raise RegistryError(
            _unread(reference),
            cause=error.cause,
            remedy="run it again: what is there is not sent again"
            if error.transient
            else error.remedy,
            transient=error.transient,
        ) from error
