"""Gathers the images of a bundle in a layout beside the state, from where they are.

What a registry serves is in the bundle as the registry has it: from an engine that keeps its
manifests, else downloaded. What came is kept if the run is interrupted, for the next one.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from bailing_tasks import fetching, kept
from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.bundle.contents import Built, External
from bailing_tasks.console import Console
from bailing_tasks.decision import built_image
from bailing_tasks.engine.base import Engine, Image, Layers
from bailing_tasks.engine.blobs import parts
from bailing_tasks.engine.buildkit import BuildKitEngine
from bailing_tasks.engine.buildx import Builder
from bailing_tasks.engine.layout import Layout, unwritable
from bailing_tasks.engine.saving import layers_of
from bailing_tasks.errors import BuildError, EngineError, PullError
from bailing_tasks.names import LABEL, kept_name
from bailing_tasks.outcomes import Outcome
from bailing_tasks.platforms import Platform
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.state import Pin, write_in_one_step
from bailing_tasks.units import size
from bailing_tasks.wanted import WantedImage

FOLDER = "bundle"
"""Where images are gathered, in the state's folder."""


@dataclass(kw_only=True)
class Gatherer:
    """Gathers images in one place.

    Attributes:
        folder: The place.
        console: Who is told.
        layout: The images that are there.
        layers: Their layers, so that none comes twice.
    """

    folder: Path
    console: Console
    layout: Layout = field(init=False)
    layers: Layers = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.layout = Layout(self.folder)

    def engine(self, host: Platform, plain_http: Sequence[str]) -> Engine:
        """Return the place as an engine that images are pulled into.

        Args:
            host: The platform that counts as its machine's.
            plain_http: Hosts of registries that are asked by HTTP.
        """
        nobody = Builder(name=FOLDER, driver="none", context="", platforms=(host,))
        return BuildKitEngine(nobody, self.folder, _no_engine, plain_http)

    def pin(
        self, wanted: Sequence[WantedImage], engines: Sequence[Engine], prefetcher: Prefetcher
    ) -> None:
        """Pin all images from registries: what no registry has, to what an engine has.

        Args:
            wanted: The images.
            engines: Where they may be.
            prefetcher: Asks registries.

        Raises:
            PullError: Some are nowhere; all of them are named.
        """
        prefetcher.settle(wanted, keep=True)
        missing = []
        for image in wanted:
            if image.key in prefetcher.pins:
                continue
            found = filter(None, (kept.by_its_name(engine, image) for engine in engines))
            if pin := next(found, None):
                prefetcher.pins[image.key] = pin
            else:
                missing.append(_title(image))
        if missing:
            raise PullError(
                f"{len(missing)} images cannot be had: {', '.join(missing)}",
                cause="no registry gave an answer for them, and no engine has them",
                remedy="`invoke prefetch --platform all --python all` says what is wrong with each",
            )

    def external(
        self, wanted: Sequence[WantedImage], engines: Sequence[Engine], prefetcher: Prefetcher
    ) -> tuple[External, ...]:
        """Gather images from registries, which are pinned.

        Args:
            wanted: The images.
            engines: Where they may be.
            prefetcher: Brings the others here, from registries.

        Raises:
            PullError: Some cannot be had; all of them are named.
        """
        pins = prefetcher.pins
        for pin in [pins[image.key] for image in wanted]:
            name = kept_name(*pin.key, pin.digest)
            if not self.layout.image(name) and self._from_engines(pin, engines, exact=True):
                self.layout.tag(pin.digest, name)
        with self.console.group(f"{len(wanted)} images from registries"):
            result = fetching.fetch(
                self.console, [(prefetcher, wanted)], choose=lambda failed: "continue"
            )
        failed = {outcome.key: outcome for outcome in result.images if outcome.status == "failed"}
        found, missing = list[External](), list[Outcome]()
        for image in wanted:
            pin, outcome = pins[image.key], failed.get(image.key)
            digest = (
                self._from_engines(pin, engines, exact=False)
                if outcome
                else self.layout.digest(kept_name(*pin.key, pin.digest))
            )
            if digest:
                self.layers.update(layers_of(self.layout, digest))
                self._index(pin, image, prefetcher)
                found.append(self._entry(pin, digest))
            if digest and outcome:
                self.console.warn(
                    f"{_title(image)} is taken from the engine: no registry gave it, so its digest "
                    "is not the one that its registry knows it by"
                )
            elif outcome:
                missing.append(outcome)
        _check(missing)
        return tuple(found)

    def commands(
        self,
        wanted: Sequence[WantedImage],
        engines: Sequence[Engine],
        prefetcher: Prefetcher,
        plans: Iterable[tuple[BuildPlan, Engine]],
    ) -> list[str]:
        """Return what would be gathered, with sizes as engines and registries count them."""
        prefetcher.settle(wanted, keep=False)
        lines = []
        for image in wanted:
            pin = prefetcher.pins.get(image.key)
            held = _held(pin, engines) if pin else iter(())
            there = [each for each in held if pin and each[2].id == pin.digest]
            for engine, name, found in there[:1]:
                lines += [f"# {_title(image)}: {size(found.size)}", engine.shown("save", name)]
            if not there:
                sizes = prefetcher.resolver.described(pin, image).sizes if pin else {}
                shown = size(sum(sizes.values())) if sizes else "its size is not known"
                lines += [f"# {_title(image)}: {shown}", *prefetcher.commands([image])]
        for plan, engine in plans:
            image_here = built_image(plan, engine)
            shown = size(image_here.size) if image_here else "it is not built"
            lines += [f"# {plan.name} ({plan.recipe.variant.platform}): {shown}"]
            lines += [engine.shown("save", plan.kept)] if image_here else []
        return lines

    def _from_engines(self, pin: Pin, engines: Sequence[Engine], *, exact: bool) -> str | None:
        """Take the image of a pin from an engine that has it; return its digest here.

        Args:
            pin: The pin.
            engines: The engines.
            exact: Whether it has to be as its registry has it.
        """
        for engine, name, image in _held(pin, engines):
            if image.id == pin.digest or not exact:
                with contextlib.suppress(EngineError):  # another one or a registry may have it
                    return self._save(engine, name)
        return None

    def _save(self, engine: Engine, name: str) -> str:
        with unwritable(self.folder):
            digest = engine.save(name, self.layout, self.layers)
        if self.layout.image(digest) is None:
            raise EngineError(
                f"{name} could not be saved",
                cause="what the engine gave is not whole",
                remedy="`docker system prune` may have taken a part of it: pull or build it again",
            )
        return digest

    def _index(self, pin: Pin, image: WantedImage, prefetcher: Prefetcher) -> None:
        """Bring the index that an image stands in, where somebody has it."""
        path = self.layout.path(pin.index_digest)
        resolver = prefetcher.resolver
        if path.exists() or resolver.offline or not pin.served_from:
            return
        with contextlib.suppress(PullError), unwritable(self.folder):
            source = resolver.source(pin, image)
            raw = resolver.registries.manifest(image.reference, pin.index_digest, source)
            write_in_one_step(path, raw)

    def _entry(self, pin: Pin, digest: str) -> External:
        return External(
            reference=pin.reference,
            platform=pin.platform,
            pinned=pin.digest,
            index_digest=pin.index_digest,
            served_from=pin.served_from,
            resolved_at=pin.resolved_at,
            digest=digest,
            size=self._size(digest),
        )

    def built(self, plans: Sequence[tuple[BuildPlan, Engine]], version: str) -> tuple[Built, ...]:
        """Gather the images that were built, which are there.

        Args:
            plans: How each is made, and where it is.
            version: The version of what they were built from.

        Raises:
            EngineError: An engine failed.
        """
        found = []
        with self.console.group(f"{len(plans)} images that were built"):
            for number, (plan, engine) in enumerate(plans, 1):
                here, image = self.layout.image(plan.kept), built_image(plan, engine)
                if not here or not image or here.content != image.content:
                    self.layout.tag(self._save(engine, plan.kept), plan.kept)
                label = image.labels.get(LABEL, "") if image else ""
                entry = self._built(plan, str(self.layout.digest(plan.kept)), version, label)
                self.layers.update(layers_of(self.layout, entry.digest))
                self.console.say(f"[{number}/{len(plans)}] {entry.title}: {size(entry.size)}")
                found.append(entry)
        return tuple(found)

    def _built(self, plan: BuildPlan, digest: str, version: str, label: str) -> Built:
        variant = plan.recipe.variant
        return Built(
            target=variant.target.name,
            platform=str(variant.platform),
            python=variant.python,
            version=version,
            name=plan.name,
            kept=plan.kept,
            label=label,
            digest=digest,
            size=self._size(digest),
        )

    def _size(self, digest: str) -> int:
        return sum(self.layout.path(each).stat().st_size for each in parts(self.layout, digest))

    def clear(self) -> None:
        """Remove what was gathered."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _held(pin: Pin, engines: Sequence[Engine]) -> Iterator[tuple[Engine, str, Image]]:
    """Yield each engine that has the image of a pin, with its name and what it is there."""
    for engine in engines:
        name = kept.held_name(engine, pin)
        image = engine.image(name) if name else None
        if name and image:
            yield engine, name, image


def _check(missing: Sequence[Outcome]) -> None:
    if missing:
        names = ", ".join(f"{each.reference} ({each.platform})" for each in missing)
        raise PullError(
            f"{len(missing)} images cannot be had: {names}",
            cause="; ".join(dict.fromkeys(each.cause for each in missing)),
            remedy="; ".join(dict.fromkeys(each.remedy for each in missing)),
        )


def _title(image: WantedImage) -> str:
    return f"{image.reference.familiar} ({image.platform})"


def check_built(plans: Iterable[tuple[BuildPlan, Engine]]) -> None:
    """Make sure that all images are built.

    Raises:
        BuildError: Some are not; all of them are named.
    """
    missing = [plan for plan, engine in plans if not built_image(plan, engine)]
    if missing:
        names = ", ".join(str(plan.recipe.variant) for plan in missing)
        raise BuildError(
            f"{len(missing)} images are not built: {names}",
            cause="no image with the fingerprint of what is checked out is here",
            remedy=_remedy(missing),
        )


def _remedy(plans: Iterable[BuildPlan]) -> str:
    """Return the commands that build what is missing."""
    targets = [plan.recipe.variant.target for plan in plans]
    names = dict.fromkeys(
        f"build-{target.name} --platform all --python all"
        if target.per_python
        else "build-all --platform all"
        for target in targets
    )
    return f"run `invoke prefetch --platform all --python all {' '.join(names)}`"


def _no_engine() -> NoReturn:
    raise EngineError("there is no engine for it")
