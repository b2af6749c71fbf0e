"""The engines of a run: the one that a platform has in the settings, else the default one."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from bailing_tasks.console import Console
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.choice import choose
from bailing_tasks.errors import EngineError
from bailing_tasks.lanes import Lane
from bailing_tasks.needs import machine
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe
from bailing_tasks.settings import Settings


class Engines:
    """The engines of a run, each connected on first use.

    Args:
        settings: The workspace's settings.
        folder: Where images are held for each BuildKit of its own.
        environment: Environment variables.
    """

    def __init__(self, settings: Settings, folder: Path, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._folder = folder
        self._environment = environment
        self._named: dict[str, Engine] = {}
        self._usable: set[tuple[str, Platform]] = set()

    @functools.cached_property
    def default(self) -> Engine:
        """The engine of the platforms that have none of their own in the settings.

        Raises:
            UsageError: Docker's configuration, or the environment, makes no sense.
            EngineError: There is none, it is stopped, or too old.
        """
        return self._chosen(self._settings.buildx_builder, "oci")

    @functools.cached_property
    def host(self) -> Platform:
        """The platform whose images have the plain names: the default engine's.

        This machine's, where no engine is here and none is needed.
        """
        try:
            return self.default.platform
        except EngineError:
            if set(self._settings.platforms) <= set(self._settings.builders):
                return machine()
            raise

    def of(self, platform: Platform) -> Engine:
        """Return the engine that builds and holds the images of a platform.

        Raises:
            EngineError: The builder in the settings cannot be used, or not for that platform.
        """
        name = self._settings.builders.get(platform)
        if name is None:
            return self.default
        try:
            engine = self._engine(name)
            if (name, platform) not in self._usable:
                _check(engine, platform)
                self._usable.add((name, platform))
        except EngineError as error:
            raise EngineError(
                f"{name!r}, which builds {platform} by the setting `builders`, cannot be used: "
                f"{error.message}",
                cause=error.cause,
                remedy="start it, or name another one there: `docker buildx ls` lists the builders "
                "and Docker contexts",
            ) from error
        return engine

    def check(self, recipe: Recipe) -> None:
        """Make sure that what a recipe is built on is where it is built.

        Raises:
            EngineError: It is on another engine.
        """
        platform = recipe.variant.platform
        for each in recipe.own:
            if self.of(each.base.platform) is not self.of(platform):
                raise EngineError(
                    f"{recipe.variant} takes {each.base}, which is built on another engine",
                    cause=f"the setting `builders` gives {platform} and {each.base.platform} "
                    "engines of their own",
                    remedy="take that image for the platform that is built, or build both "
                    "platforms on one engine",
                )

    def lanes(self, settings: Settings, console: Console) -> tuple[Lane, ...]:
        """Return a lane for each engine that the platforms of a run are built on.

        Args:
            settings: The workspace's settings, with what the command line chose.
            console: Who is told.

        Raises:
            EngineError: One of them cannot be used.
        """
        platforms: dict[Engine, list[Platform]] = {}
        for platform in settings.chosen_platforms(self.host):
            platforms.setdefault(self.of(platform), []).append(platform)
        return tuple(
            Lane(engine=engine, settings=settings.only(tuple(of_one)), console=console)
            for engine, of_one in platforms.items()
        )

    def _engine(self, name: str) -> Engine:
        """Return the engine of a builder: the default one, if it has that name."""
        if name not in self._named:
            if self._is_default(name):
                self._named[name] = self.default
            else:
                self._named[name] = self._chosen(name, f"oci-{name}")
        return self._named[name]

    def _chosen(self, builder: str, folder: str) -> Engine:
        return choose(
            self._environment,
            builder=builder,
            layout=self._folder / folder,
            plain_http=self._settings.plain_http,
        )

    def _is_default(self, name: str) -> bool:
        try:
            return self.default.builder == name
        except EngineError:
            return False


def _check(engine: Engine, platform: Platform) -> None:
    known = () if platform == engine.platform else buildx.platforms(engine.builder)
    if known and platform not in known:
        raise EngineError(
            f"it does not run {platform}", cause=f"it runs {', '.join(map(str, known))}"
        )
