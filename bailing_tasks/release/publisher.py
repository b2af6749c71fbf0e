"""Uploads the images of a release, each under a name never used twice, and makes their indexes.

Nothing that people pull has changed when this is done: tags move after it
(`bailing_tasks.release.mover`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from bailing_tasks import image_index
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import EngineError, RegistryError
from bailing_tasks.names import LABEL
from bailing_tasks.outcomes import short
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release import journal as journals
from bailing_tasks.release.journal import Journal
from bailing_tasks.release.model import BuiltImage, Index, Plan, Uploaded
from bailing_tasks.release.registry import Registry
from bailing_tasks.units import size


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
        """Have an image in the registry, under a name that is never used twice."""
        title, started = str(image.variant), time.monotonic()
        reference, there = self._place(image)
        if not there:
            self._journal.add(
                journals.SEND, name=str(reference), platform=str(image.variant.platform)
            )
            engine = self._engine_for(image.variant.platform)
            with self._console.activity(f"pushing {title}"):
                self._registry.push(engine, image.name, reference, title)
        found = self._registry.found(reference, image.variant.platform)
        self._check_label(image, reference)
        took = "was there" if there else f"pushed in {time.monotonic() - started:.1f} s"
        digest = found.entry.digest
        self._console.say(
            f"{title}: {took}, {size(found.size)}, {reference.familiar} ({short(digest)})"
        )
        self._journal.add(
            journals.UPLOADED, name=str(reference), digest=digest, size=found.size, sent=not there
        )
        return Uploaded(
            image=image, reference=reference, entry=found.entry, size=found.size, sent=not there
        )

    def _place(self, image: BuiltImage) -> tuple[Reference, bool]:
        """Return where an image goes, and whether it is there: it takes nobody's place.

        Where an upload of ours was killed, what stands there may be a part of it: a Docker engine
        puts what attests an image under the same tag, before its index.
        """
        if image.certain:
            there = self._identities(image.reference, image.variant.platform)
            interrupted = str(image.reference) in self._interrupted
            whole = image.identity in there or (image.content in there and not interrupted)
            if not there or whole or interrupted:
                return image.reference, whole
        by_identity = image.by_identity
        return by_identity, bool(self._identities(by_identity, image.variant.platform))

    def _identities(self, reference: Reference, platform: Platform) -> frozenset[str]:
        """Return the ids that engines have for what stands under a name; nothing where it is free.

        The classic store names an image by its configuration, others by its manifest or index. What
        is in it is the same as well where only what attests it is not.
        """
        digest = self._registry.digest(reference)
        if not digest:
            return frozenset()
        found = self._registry.found(reference, platform)
        content = self._registry.content(reference, found.manifest)
        return frozenset({digest, found.entry.digest, found.manifest.config.digest, content})

    def _check_label(self, image: BuiltImage, reference: Reference) -> None:
        """Make sure that what the registry has was made from what the image was made from."""
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
