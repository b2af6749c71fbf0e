"""Publishes images: each platform's first, then an index over them, and only then tags.

So what people pull changes when nothing can fail any more for want of rights or space, and `latest`
last of all.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bailing_tasks import image_index, process
from bailing_tasks.build import BuildResult
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.labels import read_labels
from bailing_tasks.engine.layout import OCI_MANIFEST
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import PullError, RegistryError, RemoteError, SettingsError, UsageError
from bailing_tasks.image_index import Entry
from bailing_tasks.mirrors import sources
from bailing_tasks.names import LABEL, fingerprint_label, identity_tag, published_name
from bailing_tasks.outcomes import short
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.retry import ATTEMPTS, Value, retried
from bailing_tasks.settings import Settings, Target
from bailing_tasks.tag_names import LATEST
from bailing_tasks.variants import Variant

Tags = Mapping[tuple[str, str], Sequence[str]]
"""For a target's name and a Python version, the tags that they get."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """An image that an engine holds, for one platform.

    Attributes:
        variant: What it is for.
        name: Its name in the engine.
        fingerprint: The digest of what it was made from.
        identity: Its id in the engine.
        built: Whether it was built just now, though another may have been published before.
        certain: Whether the fingerprint tells all that it was made from.
    """

    variant: Variant
    name: str
    fingerprint: str
    identity: str = ""
    built: bool = False
    certain: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """The target's name and the Python version."""
        return (self.variant.target.name, self.variant.python)

    @property
    def reference(self) -> Reference:
        """The name by which others find it in its registry, never used twice."""
        return Reference.parse(published_name(self.variant.target, self.fingerprint))

    @property
    def by_identity(self) -> Reference:
        """The name that it has there where that is not free, or would promise too much."""
        return replace(self.reference, tag=identity_tag(self.identity))

    @property
    def label(self) -> str:
        """What its label says."""
        return fingerprint_label(self.variant.target, self.variant.platform, self.fingerprint)


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """An image in its registry.

    Attributes:
        image: The image.
        entry: What an index says of it.
    """

    image: BuiltImage
    entry: Entry


@dataclass(frozen=True, kw_only=True)
class PublishedTag:
    """A tag, and what it stands for.

    Attributes:
        target: The target's name.
        python: The Python version.
        name: The tag, with its repository.
        digest: The digest of the index.
        before: What it stood for before; empty where it is new.
        platforms: For each platform, the digest of its image.
    """

    target: str
    python: str
    name: str
    digest: str
    before: str
    platforms: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Index:
    """An index in a registry, by digest."""

    raw: bytes
    reference: Reference
    entries: tuple[Entry, ...]


def built_images(results: Iterable[BuildResult], settings: Settings) -> tuple[BuiltImage, ...]:
    """Return what builds have made, to be published."""
    targets = {target.name: target for target in settings.targets}
    return tuple(
        BuiltImage(
            variant=Variant(
                target=targets[result.target],
                platform=Platform.parse(result.platform),
                python=result.python,
            ),
            name=result.kept,
            fingerprint=result.fingerprint,
            identity=result.digest,
            built=result.result == "built",
            certain=result.certain,
        )
        for result in results
    )


class Publisher:
    """Publishes images of one engine.

    Args:
        engine: Holds them.
        console: Told what is done.
    """

    def __init__(self, engine: Engine, console: Console) -> None:
        self._engine = engine
        self._console = console
        self._registry = Uploads()

    def upload(self, images: Sequence[BuiltImage]) -> tuple[Uploaded, ...]:
        """Upload images, each under a name that is never used twice; what is there stays as it is.

        Raises:
            SettingsError: A target has no repository.
            RegistryError: A registry denies it, cannot be reached, or has something else.
            EngineError: The engine does not have an image, or failed.
        """
        _check(images, {})
        return tuple(self._uploaded(image) for image in images)

    def tag(
        self, uploads: Sequence[Uploaded], tags: Tags, *, annotations: Mapping[str, str]
    ) -> tuple[PublishedTag, ...]:
        """Make an index for each target and Python, and give it its tags; `latest` moves last.

        Args:
            uploads: The images; those of one target and Python are for different platforms.
            tags: The tags of each target and Python.
            annotations: What each index says of itself, as by `image_index.said_of_it`.

        Returns:
            Each tag, in the order in which they were moved.

        Raises:
            UsageError: There is no image for a tag.
            RegistryError: A registry denies it, cannot be reached, or has something else.
        """
        _check([upload.image for upload in uploads], tags)
        indexes = {
            key: self._index([each for each in uploads if each.image.key == key], annotations)
            for key in tags
            if tags[key]
        }
        return tuple(self._tagged(key, tag, indexes[key]) for key, tag in _in_order(tags))

    def publish(
        self, images: Sequence[BuiltImage], tags: Tags, *, annotations: Mapping[str, str]
    ) -> tuple[PublishedTag, ...]:
        """Upload images, then tag them; see `upload` and `tag`."""
        _check(images, tags)
        return self.tag(self.upload(images), tags, annotations=annotations)

    def commands(
        self, images: Sequence[BuiltImage], tags: Tags, *, annotations: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Return commands for a shell that do what `publish` does.

        buildx leaves annotations out where the images have Docker's media types.

        Raises:
            SettingsError: A target has no repository.
            UsageError: There is no image for a tag.
        """
        _check(images, tags)
        lines: list[str] = []
        for image in images:
            name = str(image.reference)
            lines += [
                f"# {image.variant}: unless {image.reference.familiar} is there",
                self._engine.shown("tag", image.name, name),
                self._engine.shown("push", name),
                self._engine.shown("rmi", name),
            ]
        create = ["docker", "buildx", "imagetools", "create"]
        for key, value in annotations.items():
            create += ["--annotation", f"index:{key}={value}"]
        for of, tag in _in_order(tags):
            parts = [image.reference for image in images if image.key == of]
            names = [str(replace(parts[0], tag=tag)), *map(str, parts)]
            lines.append(process.quote([*create, "--tag", *names]))
        return tuple(lines)

    def _uploaded(self, image: BuiltImage) -> Uploaded:
        """Have an image in the registry, under a name that is never used twice."""
        title, started = str(image.variant), time.monotonic()
        reference = self._place(image)
        if self._try(lambda: self._registry.standing(reference), title):
            word = "was there"
        else:
            self._try(lambda: self._registry.check(reference), title)
            with self._console.activity(f"pushing {title}"):
                self._try(lambda: self._engine.push(image.name, reference), title)
            word = f"pushed in {time.monotonic() - started:.1f} s"
        entry = self._try(lambda: self._read_back(image, reference), title)
        self._console.say(f"{title}: {word}, {reference.familiar} ({short(entry.digest)})")
        return Uploaded(image=image, entry=entry)

    def _place(self, image: BuiltImage) -> Reference:
        """Return where an image goes: what was built just now takes nobody's place."""
        if not image.certain:
            return image.by_identity
        taken = image.built and self._try(
            lambda: self._registry.standing(image.reference), str(image.variant)
        )
        return image.by_identity if taken else image.reference

    def _read_back(self, image: BuiltImage, reference: Reference) -> Entry:
        """Read what the registry has of an image, and whether it is that."""
        with _reading(reference):
            label = read_labels(self._registry, reference).get(LABEL)
            if label != image.label:
                raise RegistryError(
                    f"{reference.familiar} is not what its tag says",
                    cause=f"its label names other inputs: {label or 'it has none'}",
                    remedy="remove the tag from the registry, then run it again",
                )
            return self._entry(reference, image.variant.platform)

    def _entry(self, reference: Reference, platform: Platform) -> Entry:
        """Read what the registry has for a platform under a name."""
        *_, source = sources(reference, {})
        digest = self._registry.resolve(reference, platform, source).digest
        raw = self._registry.manifest(reference, digest, source)
        media_type = json.loads(raw).get("mediaType", OCI_MANIFEST)
        return Entry(platform=platform, digest=digest, size=len(raw), media_type=media_type)

    def _index(self, parts: Sequence[Uploaded], annotations: Mapping[str, str]) -> _Index:
        """Put an index, without a tag, and read it back with all that it names."""
        image = parts[0].image
        entries = tuple(part.entry for part in parts)
        raw = image_index.index(entries, annotations)
        reference = replace(image.reference, tag=None, digest=image_index.digest(raw))
        self._try(lambda: self._registry.put(raw, reference), str(reference))
        self._try(lambda: self._compare(reference, entries), str(reference))
        return _Index(raw=raw, reference=reference, entries=entries)

    def _compare(self, reference: Reference, entries: Sequence[Entry]) -> None:
        """Make sure that an index in the registry has these images, and they are there."""
        with _reading(reference):
            for entry in entries:
                found = self._entry(reference, entry.platform)
                if found != entry:
                    raise RegistryError(
                        f"{reference} has another image for {entry.platform} than was pushed",
                        cause=f"it has {found.digest}, not {entry.digest}",
                        remedy="run it again; if it stays so, the registry is damaged",
                    )

    def _tagged(self, key: tuple[str, str], tag: str, index: _Index) -> PublishedTag:
        """Let a tag stand for an index."""
        digest = str(index.reference.digest)
        reference = replace(index.reference, tag=tag, digest=None)
        name = reference.familiar
        before = self._try(lambda: self._registry.standing(reference), name) or ""
        if before != digest:
            self._try(lambda: self._registry.put(index.raw, reference), name)
            found = self._try(lambda: self._registry.standing(reference), name)
            if found != digest:
                raise RegistryError(
                    f"{name} is not what it was set to",
                    cause=f"it stands for {found or 'nothing'}, not {digest}",
                    remedy="somebody else may push at the same time; run it again",
                )
        platforms = {str(entry.platform): entry.digest for entry in index.entries}
        word = "stays at" if before == digest else "is"
        self._console.say(f"{name} {word} {short(digest)} for {', '.join(platforms)}")
        return PublishedTag(
            target=key[0],
            python=key[1],
            name=name,
            digest=digest,
            before=before,
            platforms=platforms,
        )

    def _try(self, attempt: Callable[[], Value], title: str) -> Value:
        def on_wait(error: RemoteError, number: int, wait: float) -> None:
            self._console.say(
                f"{title}: {error.cause}; attempt {number} of {ATTEMPTS} in {wait:.0f} s"
            )
            self._registry.listen_again()

        return retried(attempt, on_wait)


def check_repositories(targets: Iterable[Target]) -> None:
    """Make sure that it is known where targets are published.

    Raises:
        SettingsError: A target has no repository.
    """
    for target in targets:
        if not target.repository:
            raise SettingsError(
                f"{target.name} cannot be published: its repository is not known",
                remedy=f"set `repository` in [tool.bailing-tasks], or {target.name}.repository",
            )


def _check(images: Sequence[BuiltImage], tags: Tags) -> None:
    check_repositories(image.variant.target for image in images)
    for name, python in tags:
        if tags[name, python] and not any(image.key == (name, python) for image in images):
            raise UsageError(
                f"there is no image of {name} (Python {python}) to be tagged "
                f"{', '.join(tags[name, python])}",
                remedy="build it first",
            )


def _in_order(tags: Tags) -> list[tuple[tuple[str, str], str]]:
    """Return every tag, each `latest` after all others."""
    every = [(key, tag) for key, found in tags.items() for tag in found]
    return sorted(every, key=lambda each: each[1] == LATEST or each[1].startswith(f"{LATEST}-py"))


@contextlib.contextmanager
def _reading(reference: Reference) -> Iterator[None]:
    """Turn what fails while something is read back into a failure of the push."""
    try:
        yield
    except PullError as error:
        raise RegistryError(
            f"{reference.familiar} could not be read back",
            cause=error.cause,
            remedy=error.remedy,
            transient=error.transient,
        ) from error
