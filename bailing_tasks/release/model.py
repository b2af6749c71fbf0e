"""What a release is made of: images, indexes and tags, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bailing_tasks.build import BuildResult
from bailing_tasks.errors import SettingsError
from bailing_tasks.events import Event
from bailing_tasks.hosting import NO_DEFAULT
from bailing_tasks.image_index import Entry
from bailing_tasks.names import fingerprint_label, identity_tag, published_name
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings, Target
from bailing_tasks.tag_moves import KINDS, Move
from bailing_tasks.variants import Variant

Key = tuple[str, str]
"""A target's name and a Python version: what has one index."""

PUSH = "push"
ROLLBACK = "rollback"


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """An image that an engine holds, for one platform.

    Attributes:
        variant: What it is for.
        name: Its name in the engine.
        fingerprint: The digest of what it was made from.
        identity: Its id in the engine.
        content: What makes it the same as another, by `image_content`.
        certain: Whether the fingerprint tells all that it was made from.
    """

    variant: Variant
    name: str
    fingerprint: str
    identity: str = ""
    content: str = ""
    certain: bool = True

    @property
    def key(self) -> Key:
        """What index it is in."""
        return (self.variant.target.name, self.variant.python)

    @property
    def reference(self) -> Reference:
        """The name by which others find it in its registry, never used twice."""
        return Reference.parse(published_name(self.variant.target, self.fingerprint))

    @property
    def by_identity(self) -> Reference:
        """The name that it has there where that is not free, or would promise too much."""
        return replace(self.reference, tag=identity_tag(self.content))

    @property
    def label(self) -> str:
        """What its label says."""
        return fingerprint_label(self.variant.target, self.variant.platform, self.fingerprint)


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
            content=result.content,
            certain=result.certain,
        )
        for result in results
    )


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """An image in its registry.

    Attributes:
        image: The image.
        reference: Its name there, never used twice.
        entry: What an index says of it.
        size: The bytes of its configuration and layers, as they are pulled.
        sent: Whether anything had to be sent for it.
    """

    image: BuiltImage
    reference: Reference
    entry: Entry
    size: int
    sent: bool


@dataclass(frozen=True, kw_only=True)
class Index:
    """One image over all its platforms, in a registry.

    Attributes:
        reference: Its name by digest.
        raw: Its bytes there.
        platforms: For each platform, the digest of its image.
        sizes: For each platform, the bytes that are pulled.
    """

    reference: Reference
    raw: bytes
    platforms: Mapping[str, str]
    sizes: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Its digest."""
        return str(self.reference.digest)


@dataclass(frozen=True, kw_only=True)
class ReleaseTag:
    """A tag that is to stand for an index.

    Attributes:
        target: The target's name.
        python: The Python version.
        reference: Its name in the registry.
        kind: What kind of tag it is, one of `tag_moves.KINDS`.
        rule: The rule that made it, for people.
        event: What it is published for.
    """

    target: str
    python: str
    reference: Reference
    kind: str
    rule: str
    event: Event

    @property
    def key(self) -> Key:
        """Which index it stands for."""
        return (self.target, self.python)

    @property
    def name(self) -> str:
        """Its name in the registry, as people write it."""
        return self.reference.familiar


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A tag as it stands before a release.

    Attributes:
        tag: The tag.
        digest: What it stands for; empty where it is free.
        move: Whether it moves from there, by what is known now.
        is_there: Whether it stands for what it is to stand for.
    """

    tag: ReleaseTag
    digest: str
    move: Move
    is_there: bool = False


@dataclass(frozen=True, kw_only=True)
class MovedTag:
    """A tag, and what a release made of it.

    Attributes:
        target: The target's name.
        python: The Python version.
        name: The tag, with its repository.
        kind: What kind of tag it is.
        digest: What it stands for now.
        before: What it stood for before the release; empty where it is new.
        result: `moved`, `there` where it stood for this already, or `left` where it stays.
        why: Why, in a sentence.
    """

    target: str
    python: str
    name: str
    kind: str
    digest: str
    before: str
    result: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a release is to do.

    Attributes:
        kind: `push` or `rollback`.
        title: What it is, for people, such as `push of tag v1.2.3` or `rollback to 1.2.2`.
        commit: The commit that is published; empty for a rollback.
        images: The images that are uploaded.
        tags: The tags, in the order in which they are moved.
        annotations: What each index says of itself.
        replace: Whether a version may be taken from another image.
    """

    kind: str
    title: str
    commit: str = ""
    images: tuple[BuiltImage, ...] = ()
    tags: tuple[ReleaseTag, ...] = ()
    annotations: Mapping[str, str]
    replace: bool = False

    @property
    def repositories(self) -> tuple[Reference, ...]:
        """A name in each repository concerned, the one that is pushed to first."""
        names = [image.reference for image in self.images] + [tag.reference for tag in self.tags]
        found: dict[str, Reference] = {}
        for name in names:
            found.setdefault(name.repository, name)
        return tuple(found.values())


def in_order(tags: Iterable[ReleaseTag]) -> tuple[ReleaseTag, ...]:
    """Return tags in the order in which they move: versions first, each `latest` after all."""
    return tuple(sorted(tags, key=lambda tag: KINDS.index(tag.kind)))


def check_repositories(targets: Iterable[Target]) -> None:
    """Make sure that it is known where targets are published.

    Raises:
        SettingsError: A target has no repository.
    """
    for target in targets:
        if not target.repository:
            raise SettingsError(
                f"{target.name} cannot be published: its repository is not known",
                cause=NO_DEFAULT,
                remedy=f"set `repository` in [tool.bailing-tasks], or {target.name}.repository",
            )
