"""What a workspace needs from outside, without an engine to ask."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bailing_tasks import dotenv
from bailing_tasks.errors import UsageError
from bailing_tasks.extra_images import extra_wanted
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import OnBuildLookup, Recipe, read_recipe, unknown
from bailing_tasks.settings import Settings, Target
from bailing_tasks.variants import variants
from bailing_tasks.wanted import WantedImage, joined, wanted_images


def machine() -> Platform:
    """Return this machine's platform, which stands for the engine's where none is asked."""
    return Platform.from_machine(platform.machine())


def recipes(
    settings: Settings,
    target: Target,
    host: Platform,
    *,
    all_stages: bool = False,
    onbuild: OnBuildLookup = unknown,
) -> list[Recipe]:
    """Read the recipes of a target for each chosen platform and Python.

    Arguments as of `read_recipe`.

    Raises:
        DockerfileError: The Dockerfile is missing, or BuildKit would refuse it.
    """
    return [
        read_recipe(settings, variant, host, all_stages=all_stages, onbuild=onbuild)
        for variant in variants(settings, target, host)
    ]


def wanted(
    settings: Settings,
    host: Platform,
    *,
    all_stages: bool = False,
    onbuild: OnBuildLookup = unknown,
) -> tuple[WantedImage, ...]:
    """Return every external image of all targets, and those that no Dockerfile names."""
    found = wanted_images(
        recipe
        for target in targets(settings, host)
        for recipe in recipes(settings, target, host, all_stages=all_stages, onbuild=onbuild)
    )
    return joined((*found, *named_by_no_dockerfile(settings, host)))


def named_by_no_dockerfile(settings: Settings, host: Platform) -> tuple[WantedImage, ...]:
    """Return the external images that no Dockerfile names."""
    return extra_wanted(settings, host, _variables(settings))


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
    bases = {
        each.base.target.name for app in recipes(settings, settings.app, host) for each in app.own
    }
    return tuple(
        target for target in settings.targets if target != settings.builder or target.name in bases
    )


def wanted_anywhere(
    settings: Settings, hosts: Sequence[Platform], *, onbuild: OnBuildLookup
) -> tuple[WantedImage, ...]:
    """Return what `wanted` does, on whichever platform the targets are built.

    Some are for the machine that builds (`FROM --platform=$BUILDPLATFORM`): it may be one of those
    that build here, or one of the platforms of the settings.
    """
    found = {
        image.key: image
        for machine in dict.fromkeys((*hosts, *settings.platforms))
        for image in wanted(settings, machine, onbuild=onbuild)
    }
    return tuple(found[key] for key in sorted(found))


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
) -> tuple[WantedImage, ...]:
    """Return the external images of any Dockerfiles, with nothing of the settings but platforms.

    Args:
        settings: The workspace's settings.
        host: The platform the build would run on.
        paths: The Dockerfiles, relative to the workspace.
        stage: The stage to build, by name or number; empty for the last.
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
    return wanted_images(
        recipe
        for target in targets
        for recipe in recipes(bare, target, host, all_stages=all_stages)
    )


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
