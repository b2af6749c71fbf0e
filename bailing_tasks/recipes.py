"""What a target is built from, for one platform and one Python: read once, before a plan."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from bailing_tasks.dockerfile import (
    DockerfileError,
    ExternalImage,
    Mention,
    OnBuild,
    declared_args,
    external_images,
    onbuild_instructions,
    syntax_frontend,
)
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings, Target
from bailing_tasks.variants import Key, Variant

NO_BASES: Mapping[Key, str] = {}
OnBuildLookup = Callable[[ExternalImage], tuple[str, ...] | None]
"""Returns the ONBUILD instructions of an image from a registry; None where they are not known."""


def unknown(image: ExternalImage) -> None:
    """Know the ONBUILD instructions of no image."""


class Selection(TypedDict):
    """Which part of a Dockerfile is built: the keywords that `bailing_tasks.dockerfile` takes."""

    target: str | None
    platform: Platform
    build_platform: Platform
    build_args: Mapping[str, str]
    onbuild: OnBuild


@dataclass(frozen=True, kw_only=True)
class OwnImage:
    """An image that a Dockerfile names and the workspace builds itself.

    Attributes:
        image: How it is named.
        base: What is built for it.
    """

    image: ExternalImage
    base: Variant


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A variant's Dockerfile and what it names.

    Attributes:
        variant: What it is for.
        path: The Dockerfile.
        text: Its content.
        build_platform: The platform the build runs on.
        build_args: The build arguments it is built with.
        images: What the build takes from a registry.
        frontend: What BuildKit takes to read the file with, where `BUILDKIT_SYNTAX` or a
            `# syntax=` line names it; it runs on the build platform.
        scanner: What lists what is in the image, where the settings want that; it runs there too.
        own: What it takes that the workspace builds itself: the builder, other services.
        needs: All that is built before it: what `own` is of, and what the settings say.
        bases: The names of the images that stand for `own`, as far as they are known.
        onbuild: The ONBUILD instructions of what its stages are built on, by `image_key`.
        unknown: The images that stages are built on, of which it is not known what ONBUILD adds.
    """

    variant: Variant
    path: Path
    text: bytes
    build_platform: Platform
    build_args: Mapping[str, str]
    images: tuple[ExternalImage, ...]
    frontend: ExternalImage | None
    scanner: ExternalImage | None
    own: tuple[OwnImage, ...]
    needs: tuple[Variant, ...]
    bases: Mapping[Key, str]
    onbuild: OnBuild
    unknown: tuple[ExternalImage, ...]

    @property
    def external(self) -> tuple[ExternalImage, ...]:
        """All that a registry has to be asked for."""
        return (*self.images, *filter(None, (self.frontend, self.scanner)))

    @property
    def selection(self) -> Selection:
        """Which part of the Dockerfile is built, and for what."""
        return Selection(
            target=self.variant.target.stage or None,
            platform=self.variant.platform,
            build_platform=self.build_platform,
            build_args=self.build_args,
            onbuild=self.onbuild,
        )


def image_key(image: ExternalImage) -> tuple[str, str]:
    """Return reference and platform as text: what a pin is found by."""
    return (str(image.reference), str(image.platform))


def read_recipe(
    settings: Settings,
    variant: Variant,
    build_platform: Platform,
    *,
    bases: Mapping[Key, str] = NO_BASES,
    all_stages: bool = False,
    onbuild: OnBuildLookup = unknown,
) -> Recipe:
    """Read a variant's Dockerfile and find the images it names.

    Args:
        settings: The workspace's settings.
        variant: What is to be built.
        build_platform: The platform the build runs on.
        bases: The names of images that the workspace builds; where one is missing, it is the local
            one, whichever that will be.
        all_stages: Name the images of stages that are not built as well.
        onbuild: Returns what an external image adds to the stages that are built on it.

    Raises:
        SettingsError: The build context is not there.
        UsageError: The template of the Dockerfile cannot be rendered.
        DockerfileError: The file is missing or empty, BuildKit would refuse it, or it has no such
            stage.
    """
    target = variant.target
    path, text = _text(settings, target)
    try:
        arguments = _build_args(settings, variant, declared_args(text, target.build_args), bases)
        found, added = _images(
            text,
            _selection(variant, build_platform, arguments),
            unknown
            if target.from_image
            else functools.partial(_added, settings, variant, build_platform, onbuild),
            all_stages=all_stages,
        )
    except DockerfileError as error:
        error.path = target.dockerfile
        raise
    own = tuple(_own(settings, variant, found))
    taken = {each.image for each in own}
    return Recipe(
        variant=variant,
        path=path,
        text=text,
        build_platform=build_platform,
        build_args=arguments,
        images=tuple(image for image in found if image not in taken),
        frontend=_frontend(syntax_frontend(text, arguments), build_platform),
        scanner=_scanner(settings.sbom, build_platform),
        own=own,
        needs=_needs(settings, variant, own),
        bases=bases,
        onbuild={key: texts for key, texts in added.items() if texts},
        unknown=tuple(image for image in found if added.get(image_key(image), ()) is None),
    )


def on_bases(settings: Settings, recipe: Recipe, bases: Mapping[Key, str]) -> Recipe:
    """Return a recipe, now that the names of the images that it is built on are known."""
    if recipe.variant.target.builder_arg:  # it is a build argument, which may change anything
        return read_recipe(
            settings,
            recipe.variant,
            recipe.build_platform,
            bases=bases,
            onbuild=lambda image: (
                None if image in recipe.unknown else recipe.onbuild.get(image_key(image), ())
            ),
        )
    return replace(recipe, bases=bases)


def _images(
    text: bytes, selection: Selection, added: OnBuildLookup, *, all_stages: bool
) -> tuple[tuple[ExternalImage, ...], dict[tuple[str, str], tuple[str, ...] | None]]:
    """Return the images that a Dockerfile names, and what ONBUILD of those it is built on adds.

    That may name further images, and stages that are not reached otherwise.
    """
    known: dict[tuple[str, str], tuple[str, ...] | None] = {}
    while True:
        selection["onbuild"] = {key: texts for key, texts in known.items() if texts}
        found = external_images(text, **selection, all_stages=all_stages)
        bases = [image for image in found if any(each.kind == "FROM" for each in image.mentions)]
        new = {image_key(image): added(image) for image in bases if image_key(image) not in known}
        known |= new
        if not any(new.values()):
            return found, known


def _added(
    settings: Settings,
    variant: Variant,
    build_platform: Platform,
    onbuild: OnBuildLookup,
    image: ExternalImage,
) -> tuple[str, ...] | None:
    """Return what ONBUILD of an image adds: its Dockerfile says so if the workspace builds it."""
    base = next((each.base for each in _own(settings, variant, [image])), None)
    if base is None:
        return onbuild(image)
    with contextlib.suppress(DockerfileError, SettingsError):  # it is reported with the base
        _, text = _text(settings, base.target)
        arguments = _build_args(
            settings, base, declared_args(text, base.target.build_args), NO_BASES
        )
        selection = _selection(base, build_platform, arguments)
        if base.target.from_image:
            (upstream,) = external_images(text, **selection)
            return onbuild(upstream)
        return onbuild_instructions(text, **selection)
    return None


def _selection(
    variant: Variant, build_platform: Platform, arguments: Mapping[str, str]
) -> Selection:
    return Selection(
        target=variant.target.stage or None,
        platform=variant.platform,
        build_platform=build_platform,
        build_args=arguments,
        onbuild={},
    )


def _own(
    settings: Settings, variant: Variant, found: Sequence[ExternalImage]
) -> Iterator[OwnImage]:
    """Yield what the workspace builds itself of the images that a Dockerfile names."""
    target = variant.target
    for image in found:
        owner = settings.owner(image.reference)
        if owner is None or owner.name == target.name:
            continue
        # Builder and app may have names that others have too: they are asked for by an argument.
        if owner.per_python and target.per_python and not target.builder_arg:
            continue
        base = _base(settings, replace(variant, platform=image.platform), owner)
        yield OwnImage(image=image, base=base)


def _base(settings: Settings, variant: Variant, target: Target) -> Variant:
    """Return what is built of a target for a variant of another one."""
    python = (variant.python or settings.plain_python) if target.per_python else ""
    return replace(variant, target=target, python=python)


def _needs(settings: Settings, variant: Variant, own: Sequence[OwnImage]) -> tuple[Variant, ...]:
    services = {service.name: service for service in settings.services}
    named = [_base(settings, variant, services[name]) for name in variant.target.needs]
    every = {base.key: base for base in (*(each.base for each in own), *named)}
    return tuple(every.values())


def _text(settings: Settings, target: Target) -> tuple[Path, bytes]:
    """Return where a target's Dockerfile is, and its content; one that is an image has one too."""
    if target.from_image:
        return settings.root / "pyproject.toml", f"FROM {target.from_image}\n".encode()
    path = settings.root / target.dockerfile
    rendered = settings.rendered.get(target.dockerfile)
    if isinstance(rendered, UsageError):
        raise rendered
    text = _read(path, target) if rendered is None else rendered
    _check_context(settings, target)
    return path, text


def _frontend(reference: Reference | None, build_platform: Platform) -> ExternalImage | None:
    if reference is None:
        return None
    return ExternalImage(reference, build_platform, (Mention(1, "syntax"),))


def _scanner(name: str, build_platform: Platform) -> ExternalImage | None:
    return ExternalImage(Reference.parse(name), build_platform, ()) if name else None


def _check_context(settings: Settings, target: Target) -> None:
    if not (settings.root / target.context).is_dir():
        raise SettingsError(
            f"the build context {target.context!r} of {target.name} is no folder",
            remedy=f"name another one: {target.name}.context in [tool.bailing-tasks]",
        )


def _read(path: Path, target: Target) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise DockerfileError(
            f"the Dockerfile of {target.name} is not there",
            path=target.dockerfile,
            remedy=f"write it, or name another one: {target.name}.dockerfile in "
            "[tool.bailing-tasks]",
        ) from error
    except OSError as error:
        raise DockerfileError(
            f"the Dockerfile of {target.name} cannot be read",
            path=target.dockerfile,
            cause=str(error),
        ) from error
    return text


def _build_args(
    settings: Settings, variant: Variant, declared: frozenset[str], bases: Mapping[Key, str]
) -> dict[str, str]:
    """Return the settings' arguments, and those of the Python and the builder where declared."""
    target = variant.target
    arguments = dict(target.build_args)
    if variant.python and settings.python_arg in declared:
        arguments[settings.python_arg] = variant.python
    if target.builder_arg and target.builder_arg in declared:
        builder = bases.get(variant.of(settings.builder).key)
        arguments[target.builder_arg] = builder or f"localhost/{settings.builder.image}:latest"
    return arguments
