"""Uploads the images of a release, each under a name never used twice, and makes their indexes.

Nothing that people pull has changed when this is done: tags move after it
(`bailing_tasks.release.mover`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bailing_tasks import image_index
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import EngineError, IncompleteError, RegistryError
from bailing_tasks.names import LABEL
from bailing_tasks.outcomes import short
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release import journal as journals
from bailing_tasks.release.journal import Journal
from bailing_tasks.release.model import BuiltImage, Index, Plan, Uploaded
from bailing_tasks.release.registry import Found, Registry
from bailing_tasks.units import size


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What stands under a name, and the ids that engines have for it."""

    found: Found
    ids: frozenset[str]


class Publisher:
    """Brings the images of a release into their registries.

    Args:
        engine_for: Returns the engine that holds the images of a platform.
        registry: Asks registries.
        journal: Told each step.
        console: Told what is done.
    """

    def __init__(
        self,
        engine_for: Callable[[Platform], Engine],
        registry: Registry,
        journal: Journal,
        console: Console,
    ) -> None:
        self._engine_for = engine_for
        self._registry = registry
        self._journal = journal
        self._console = console
        self._interrupted = {step["name"]: step["platform"] for step in journal.open_sends}

    def publish(self, plan: Plan) -> tuple[dict[tuple[str, str], Index], tuple[Uploaded, ...]]:
        """Upload the images of a plan, and make an index for each target and Python.

        What is there is not sent again. Everything is read back and compared.

        Returns:
            The indexes by target and Python, and what was uploaded.

        Raises:
            RegistryError: A registry denies it, cannot be reached, or has something else.
            EngineError: An engine does not have an image, or failed.
        """
        self._tidy()
        uploads = tuple(self._uploaded(image) for image in plan.images)
        keys = dict.fromkeys(tag.key for tag in plan.tags)
        indexes = {
            key: self._index([each for each in uploads if each.image.key == key], plan)
            for key in keys
        }
        return indexes, uploads

    def _tidy(self) -> None:
        """Take away the names that an upload which was killed has left in an engine."""
        for name, platform in self._interrupted.items():
            with contextlib.suppress(EngineError):
                self._engine_for(Platform.parse(platform)).untag(name)

    def _uploaded(self, image: BuiltImage) -> Uploaded:
        """Have an image in the registry, under a name that is never used twice.

        It takes nobody's place: where its fingerprint names another image, it goes by what is in
        it. Where an upload of ours was killed, what stands there may be a part of it: a Docker
        engine puts what attests an image under the same tag, before its index.
        """
        started = time.monotonic()
        names = (image.reference, image.by_identity) if image.certain else (image.by_identity,)
        for reference in names:
            interrupted = str(reference) in self._interrupted
            is_taken, there = self._there(image, reference)
            whole = there is not None and (
                image.identity in there.ids or (image.content in there.ids and not interrupted)
            )
            if is_taken and not (whole or interrupted or reference == image.by_identity):
                continue
            if there is None or not whole:
                self._send(image, reference)
                there = self._read(image, reference)
            if there.ids & {image.identity, image.content}:
                return self._done(image, reference, there.found, started, sent=not whole)
        raise RegistryError(
            f"{image.variant} is not in the registry as it is here",
            cause=f"{', '.join(each.familiar for each in names)} stand for other images",
            remedy="somebody else may push at the same time; run it again",
        )

    def _send(self, image: BuiltImage, reference: Reference) -> None:
        title, platform = str(image.variant), image.variant.platform
        self._journal.add(journals.SEND, name=str(reference), platform=str(platform))
        with self._console.activity(f"pushing {title}"):
            self._registry.push(self._engine_for(platform), image.name, reference, title)

    def _done(
        self, image: BuiltImage, reference: Reference, found: Found, started: float, *, sent: bool
    ) -> Uploaded:
        """Say and write down that an image is in the registry."""
        self._check_label(image, reference)
        took = f"pushed in {time.monotonic() - started:.1f} s" if sent else "was there"
        digest = found.entry.digest
        self._console.say(
            f"{image.variant}: {took}, {size(found.size)}, {reference.familiar} ({short(digest)})"
        )
        self._journal.add(
            journals.UPLOADED, name=str(reference), digest=digest, size=found.size, sent=sent
        )
        return Uploaded(
            image=image, reference=reference, entry=found.entry, size=found.size, sent=sent
        )

    def _there(self, image: BuiltImage, reference: Reference) -> tuple[bool, _Read | None]:
        """Return whether a name is taken, and what stands there; None for a part of an image."""
        if not self._registry.digest(reference):
            return False, None
        try:
            return True, self._read(image, reference)
        except IncompleteError:
            return True, None

    def _read(self, image: BuiltImage, reference: Reference) -> _Read:
        """Read what stands under a name, and the ids that engines have for it.

        The classic store names an image by its configuration, others by its manifest or index. What
        is in it is the same as well where only what attests it is not.
        """
        digest = self._registry.digest(reference)
        found = self._registry.found(reference, image.variant.platform)
        content = self._registry.content(reference, found.manifest)
        ids = {digest, found.entry.digest, found.manifest.config.digest, content}
        return _Read(found=found, ids=frozenset(ids))

    def _check_label(self, image: BuiltImage, reference: Reference) -> None:
        """Make sure that what the registry has was made from what the image was made from.

        An image of somebody else's says nothing of that.
        """
        if image.variant.target.from_image:
            return
        label = self._registry.labels(reference).get(LABEL)
        if label != image.label:
            raise RegistryError(
                f"{reference.familiar} is not what its tag says",
                cause=f"its label names other inputs: {label or 'it has none'}",
                remedy="remove the tag from the registry, then run it again",
            )

    def _index(self, parts: Sequence[Uploaded], plan: Plan) -> Index:
        """Put an index, without a tag, and read it back with all that it names."""
        raw = image_index.index([part.entry for part in parts], plan.annotations)
        reference = Reference.parse(parts[0].reference.repository)
        reference = Reference.parse(f"{reference.repository}@{image_index.digest(raw)}")
        if self._registry.digest(reference) != reference.digest:
            self._registry.put(raw, reference)
        index = read_index(self._registry, reference, [part.entry.platform for part in parts])
        for part in parts:
            found = index.platforms[str(part.entry.platform)]
            if found != part.entry.digest:
                raise RegistryError(
                    f"{reference} has another image for {part.entry.platform} than was pushed",
                    cause=f"it has {found}, not {part.entry.digest}",
                    remedy="run it again; if it stays so, the registry is damaged",
                )
        platforms = ", ".join(index.platforms)
        self._journal.add(journals.INDEX, name=str(reference), platforms=dict(index.platforms))
        self._console.say(f"index {short(index.digest)} of {platforms}: there, and compared")
        return index


def read_index(registry: Registry, reference: Reference, platforms: Sequence[Platform]) -> Index:
    """Return an index that a registry has, with everything that it names for some platforms.

    Args:
        registry: Asks.
        reference: Its name by digest.
        platforms: What it has to be for.

    Raises:
        RegistryError: It cannot be read, or something is missing.
    """
    found = {str(platform): registry.found(reference, platform) for platform in platforms}
    return Index(
        reference=reference,
        raw=registry.raw(reference, str(reference.digest)),
        platforms={platform: each.entry.digest for platform, each in found.items()},
        sizes={platform: each.size for platform, each in found.items()},
    )
