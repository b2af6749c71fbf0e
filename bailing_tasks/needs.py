"""What a workspace needs from outside, without an engine to ask."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from bailing_tasks import dotenv
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.extra_images import extra_wanted
from bailing_tasks.order import in_order
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import OnBuildLookup, Recipe, read_recipe, unknown
from bailing_tasks.refusals import Refusal, Refused, check, split
from bailing_tasks.settings import Settings, Target
from bailing_tasks.variants import Variant, variants
from bailing_tasks.wanted import WantedImage, joined, wanted_images


class Required(NamedTuple):
    """What is needed from outside, as far as that can be found out.

    Attributes:
        images: The external images.
        refused: The targets and Compose files that could not be read.
    """

    images: tuple[WantedImage, ...]
    refused: tuple[Refused, ...]

    def checked(self) -> tuple[WantedImage, ...]:
        """Return the images, unless something could not be read.

        Raises:
            BailingError: As `refusals.check`.
        """
        check(self.refused)
        return self.images


def machine() -> Platform:
    """Return this machine's platform, which stands for the engine's where none is asked."""
    return Platform.from_machine(platform.machine())


def read(
    settings: Settings,
    variant: Variant,
    host: Platform,
    *,
    all_stages: bool = False,
    onbuild: OnBuildLookup = unknown,
) -> Recipe | Refusal:
    """Read the recipe of a variant as `read_recipe`, or find out why it is refused."""
    try:
        return read_recipe(settings, variant, host, all_stages=all_stages, onbuild=onbuild)
    except (DockerfileError, UsageError) as error:
        return Refusal(variant=variant, error=error)


def recipes(
    settings: Settings,
    target: Target,
    host: Platform,
    *,
    all_stages: bool = False,
    onbuild: OnBuildLookup = unknown,
) -> list[Recipe | Refusal]:
    """Read the recipes of a target for each chosen platform and Python; arguments as of `read`."""
    return [
        read(settings, variant, host, all_stages=all_stages, onbuild=onbuild)
        for variant in variants(settings, target, host)
    ]


def required(
    settings: Settings,
    host: Platform,
    *,
    all_stages: bool = False,
    onbuild: OnBuildLookup = unknown,
) -> Required:
    """Find every external image of all targets, and those that no Dockerfile names."""
    chosen = targets(settings, host)
    found = _required(settings, chosen, host, all_stages=all_stages, onbuild=onbuild)
    extra = named_by_no_dockerfile(settings, host)
    return Required(joined((*found.images, *extra.images)), (*found.refused, *extra.refused))


def wanted(settings: Settings, host: Platform) -> tuple[WantedImage, ...]:
    """Return what `required` finds.

    Raises:
        BailingError: A target or a Compose file cannot be read.
    """
    return required(settings, host).checked()


def _required(
    settings: Settings,
    chosen: Iterable[Target],
    host: Platform,
    *,
    all_stages: bool,
    onbuild: OnBuildLookup = unknown,
) -> Required:
    readings = [
        reading
        for target in chosen
        for reading in recipes(settings, target, host, all_stages=all_stages, onbuild=onbuild)
    ]
    usable, refused = split(readings)
    return Required(wanted_images(usable), tuple(refused))


def named_by_no_dockerfile(settings: Settings, host: Platform) -> Required:
    """Find the external images that no Dockerfile names."""
    return Required(*extra_wanted(settings, host, _variables(settings)))


def _variables(settings: Settings) -> Mapping[str, str]:
    """Return what Compose files are filled in from: the environment, then `.env` as it is to be."""
    if not settings.compose_files:
        return {}
    return dotenv.variables(dotenv.planned(settings.root), os.environ)


def targets(settings: Settings, host: Platform) -> tuple[Target, ...]:
    """Return what is built here.

    A workspace without a builder's Dockerfile, whose app needs none, has no builder.
    """
    if settings.builder not in settings.pair or settings.has_dockerfile(settings.builder):
        return settings.targets
    apps, _ = split(recipes(settings, settings.app, host))
    bases = {each.base.target.name for app in apps for each in app.own}
    return tuple(
        target for target in settings.targets if target != settings.builder or target.name in bases
    )


def refused(settings: Settings, *, onbuild: OnBuildLookup = unknown) -> tuple[Refusal, ...]:
    """Return the targets that cannot be built because of their files; no engine is asked."""
    host = machine()
    readings = [
        each
        for one in targets(settings, host)
        for each in recipes(settings, one, host, onbuild=onbuild)
    ]
    ordered = in_order(readings, lambda need: read(settings, need, host, onbuild=onbuild))
    return tuple(split(ordered)[1])


def required_anywhere(
    settings: Settings, hosts: Sequence[Platform], *, onbuild: OnBuildLookup
) -> Required:
    """Find what `required` does, on whichever platform the targets are built.

    Some are for the machine that builds (`FROM --platform=$BUILDPLATFORM`): it may be one of those
    that build here, or one of the platforms of the settings.
    """
    platforms = dict.fromkeys((*hosts, *settings.platforms))
    every = [required(settings, each, onbuild=onbuild) for each in platforms]
    found = {image.key: image for one in every for image in one.images}
    return Required(
        tuple(found[key] for key in sorted(found)),
        tuple(refused for one in every for refused in one.refused),
    )


def narrowed(settings: Settings, *, stage: str, build_args: Mapping[str, str]) -> Settings:
    """Return settings whose targets have another stage, where one is given, and more arguments."""

    def narrow(target: Target) -> Target:
        arguments = {**target.build_args, **build_args}
        return replace(target, stage=stage or target.stage, build_args=arguments)

    return replace(
        settings,
        builder=narrow(settings.builder),
        app=narrow(settings.app),
        services=tuple(map(narrow, settings.services)),
    )


def of_dockerfiles(
    settings: Settings,
    host: Platform,
    paths: Sequence[str],
    *,
    stage: str,
    build_args: Mapping[str, str],
    all_stages: bool,
) -> Required:
    """Find the external images of any Dockerfiles, with nothing of the settings but platforms.

    Args:
        settings: The workspace's settings.
        host: The platform the build would run on.
        paths: The Dockerfiles, relative to the workspace.
        stage: The stage to build, by name; empty for the last.
        build_args: Build arguments.
        all_stages: Name the images of stages that are not built as well.
    """
    bare = replace(settings, python_arg="", sbom="")
    targets = [
        replace(
            settings.app,
            name=path,
            dockerfile=path,
            stage=stage,
            build_args=build_args,
            builder_arg="",
        )
        for path in paths
    ]
    return _required(bare, targets, host, all_stages=all_stages)


def build_arguments(given: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Read `NAME=VALUE` arguments; a name alone has its value from the environment, as in Docker.

    Raises:
        UsageError: There is no name.
    """
    found = {}
    for argument in given:
        name, has_value, value = argument.partition("=")
        if not name:
            raise UsageError(
                f"--build-arg {argument!r} has no name", remedy="write it as NAME=VALUE"
            )
        if has_value or name in environment:
            found[name] = value if has_value else environment[name]
    return found


def standin_needs(settings: Settings) -> tuple[Sequence[str], Sequence[str]]:
    """Return the references and platforms that the sandbox has to stand in for.

    It has none for images that no Dockerfile names.
    """
    found = [image for image in wanted(settings, machine()) if image.targets]
    return (
        sorted({str(image.reference) for image in found}),
        sorted({str(image.platform) for image in found}),
    )
