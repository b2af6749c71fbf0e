"""What the tasks of one Invoke process share: a run.

`invoke prefetch build-builder build-app` is one run: settings, pins and results are computed once.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bailing_tasks.tasks.document import Document

if TYPE_CHECKING:
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.console import Console
    from bailing_tasks.decision import Decision
    from bailing_tasks.engine.base import Engine, Image
    from bailing_tasks.engines import Engines
    from bailing_tasks.history import History
    from bailing_tasks.lanes import Lane
    from bailing_tasks.lockfile import Key as ImageKey
    from bailing_tasks.lockfile import Locked
    from bailing_tasks.needs import Required
    from bailing_tasks.onbuild import KnownOnBuild
    from bailing_tasks.origin import Origin
    from bailing_tasks.platforms import Platform
    from bailing_tasks.prefetch import Prefetcher
    from bailing_tasks.published import Lookup
    from bailing_tasks.recipes import OnBuildLookup, Recipe
    from bailing_tasks.refusals import Refusal
    from bailing_tasks.resolver import Resolver
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.state import Pin, State
    from bailing_tasks.tasks.invoked import Invoked
    from bailing_tasks.variants import Key, Variant
    from bailing_tasks.wanted import WantedImage


class Run(Document):
    """One run in one workspace.

    Args:
        root: The workspace's folder.

    Attributes:
        images: The lasting names of the images that this run has built one by one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.began = time.monotonic()
        self.images: dict[Key, str] = {}
        super().__init__()
        self.dry_run = False
        self.frozen = False
        self.offline = False
        self.overwrite = False
        self._settings: dict[tuple[object, ...], Settings] = {}
        self._lookup: Lookup | None = None
        self._locked = False
        self._warned: set[str] = set()

    @property
    def console(self) -> Console:
        """Where people are told; standard error as soon as one task prints JSON."""
        from bailing_tasks.console import Console

        return Console.standard(json=self.json)

    def settings(
        self, platform: Sequence[str] = (), python: Sequence[str] = (), **others: Any
    ) -> Settings:
        """Return the workspace's settings, with what the command line chose.

        Args:
            platform: Platforms, `all` for each that the workspace names.
            python: Python versions, likewise.
            others: The values of settings of `[tool.bailing-tasks.prefetch]`.
        """
        from bailing_tasks import workspace

        key = (tuple(platform), tuple(python), tuple(others.items()), self.overwrite)
        if key not in self._settings:
            self._settings[key] = workspace.settings(
                self.root,
                environment=os.environ,
                overrides={"platforms": list(platform), "python": list(python)}
                | {f"prefetch.{name}": value for name, value in others.items()},
                describe=lambda: self.origin.named,
                overwrite=self.overwrite,
            )
        return self._settings[key]

    @functools.cached_property
    def state(self) -> State:
        """The workspace's state."""
        from bailing_tasks.state import State

        return State(self.root)

    @functools.cached_property
    def _engines(self) -> Engines:
        from bailing_tasks.engines import Engines

        # Whatever the command line chose, the builders are the workspace's.
        settings = next(iter(self._settings.values()), None) or self.settings()
        return Engines(settings, self.state.folder, os.environ)

    @property
    def engine(self) -> Engine:
        """The engine of the platforms that have no builder of their own in the settings."""
        return self._engines.default

    @property
    def host(self) -> Platform:
        """The platform whose images have the plain names: that engine's."""
        return self._engines.host

    def engine_for(self, platform: Platform) -> Engine:
        """Return the engine that builds and holds the images of a platform.

        Raises:
            EngineError: The builder that the settings name for it cannot be used.
        """
        return self._engines.of(platform)

    @functools.cached_property
    def locked(self) -> dict[ImageKey, Locked] | None:
        """What `images.lock` binds; None where there is no such file."""
        from bailing_tasks import locking

        return locking.read(self.root)

    @functools.cached_property
    def pins(self) -> dict[ImageKey, Pin]:
        """The pins of this run: of the lock file, of the state, and what a prefetch added."""
        from bailing_tasks import locking

        return locking.bind(self.state.pins(), self.locked or {})

    @functools.cached_property
    def origin(self) -> Origin:
        """Where what this run builds comes from: Git is asked once."""
        from bailing_tasks.origin import checked_out

        return checked_out(self.root, os.environ)

    def read_settings_anew(self) -> None:
        """Forget the settings: the files that they are found by may have changed."""
        self._settings.clear()

    @functools.cached_property
    def history(self) -> History:
        """What the workspace has built, and this run adds to."""
        from bailing_tasks.history import History

        return History(self.state, self.origin.revision)

    def read_anew(self) -> None:
        """Forget the lock file and the pins: they may have changed."""
        for name in ("locked", "pins"):
            self.__dict__.pop(name, None)

    def lanes(self, settings: Settings) -> tuple[Lane, ...]:
        """Return a lane for each engine that the platforms of a run are built on.

        Raises:
            EngineError: One of them cannot be used.
        """
        return self._engines.lanes(settings, self.console)

    def required(self, settings: Settings) -> list[tuple[Lane, Required]]:
        """Find for each engine the external images of all targets, and what cannot be read."""
        from bailing_tasks import needs

        return [
            (
                lane,
                needs.required(
                    lane.settings, lane.engine.platform, onbuild=self.onbuild(lane.engine)
                ),
            )
            for lane in self.lanes(settings)
        ]

    def wanted(self, settings: Settings) -> list[tuple[Lane, Sequence[WantedImage]]]:
        """Return the external images of all targets that can be read, for each engine."""
        return [(lane, found.images) for lane, found in self.required(settings)]

    def resolver(self, lane: Lane) -> Resolver:
        """Return what asks registries in a lane."""
        from bailing_tasks.engine.base import Limits
        from bailing_tasks.resolver import Resolver

        return Resolver(
            engine=lane.engine,
            mirrors=lane.settings.mirrors,
            trust_mirrors=lane.settings.prefetch.trust_mirrors,
            plain_http=lane.settings.plain_http,
            offline=self.offline,
            limits=Limits(cancelled=lane.cancelled),
            warn=lane.console.warn,
        )

    def prefetcher(self, lane: Lane, *, refresh: bool = False) -> Prefetcher:
        """Return what brings images in a lane."""
        from bailing_tasks.prefetch import Prefetcher

        settings = lane.settings
        resolver = self.resolver(lane)
        return Prefetcher(
            engine=lane.engine,
            state=self.state,
            pins=self.pins,
            locked=frozenset(self.locked or ()),
            resolver=resolver,
            console=lane.console,
            limits=resolver.limits,
            timeout=settings.prefetch.timeout,
            jobs=settings.prefetch.jobs,
            jobs_per_host=settings.prefetch.jobs_per_host,
            refresh=refresh,
        )

    def targets(self, settings: Settings) -> tuple[Target, ...]:
        """Return what the workspace builds, as `needs.targets`."""
        from bailing_tasks import needs

        return needs.targets(settings, self.host)

    def recipes(self, settings: Settings, *targets: Target) -> list[Recipe | Refusal]:
        """Read the recipes of targets for the platforms and Pythons of this run."""
        from bailing_tasks import needs

        return [
            recipe
            for target in targets
            for lane in self.lanes(settings)
            for recipe in needs.recipes(
                lane.settings, target, lane.engine.platform, onbuild=self.onbuild(lane.engine)
            )
        ]

    def recipe(self, settings: Settings, variant: Variant) -> Recipe:
        """Read the recipe of one variant, whatever the run is for."""
        from bailing_tasks.recipes import read_recipe

        engine = self.engine_for(variant.platform)
        return read_recipe(settings, variant, engine.platform, onbuild=self.onbuild(engine))

    @functools.cached_property
    def known_onbuild(self) -> KnownOnBuild:
        """What ONBUILD of external images is known to add."""
        from bailing_tasks.onbuild import KnownOnBuild

        return KnownOnBuild(self.state)

    def onbuild(self, engine: Engine | None = None) -> OnBuildLookup:
        """Return what finds the ONBUILD instructions of external images.

        Args:
            engine: Who may have them; None where no engine is asked.
        """
        from bailing_tasks.recipes import image_key

        return lambda image: self.known_onbuild.of(self.pins.get(image_key(image)), engine)

    def check_engines(self, recipe: Recipe) -> None:
        """Make sure that what a recipe is built on is where it is built, as `Engines.check`."""
        self._engines.check(recipe)

    def in_order(
        self, settings: Settings, readings: Iterable[Recipe | Refusal]
    ) -> tuple[Recipe | Refusal, ...]:
        """Return recipes and those of all that they need, each after what it needs."""
        from bailing_tasks import needs
        from bailing_tasks.order import in_order

        def read(need: Variant) -> Recipe | Refusal:
            engine = self.engine_for(need.platform)
            return needs.read(settings, need, engine.platform, onbuild=self.onbuild(engine))

        return in_order(readings, read)

    def plan(self, settings: Settings, recipe: Recipe) -> BuildPlan:
        """Work out one build on this run's pins."""
        from bailing_tasks.build_plan import plan_build

        engine = self.engine_for(recipe.variant.platform)
        return plan_build(
            settings, recipe, self.pins, engine, self.state, host=self.host, origin=self.origin
        )

    def decide(
        self,
        settings: Settings,
        plan: BuildPlan,
        *,
        force: bool,
        here: Mapping[Key, Image | None] | None = None,
        bases_come: bool = False,
        bases_certain: bool = True,
    ) -> Decision:
        """Return what `decision.decide` does; the engine is asked for what is not in `here`."""
        from bailing_tasks.decision import built_image, decide
        from bailing_tasks.made import last_made

        key, engine = plan.recipe.variant.key, self.engine_for(plan.recipe.variant.platform)
        return decide(
            plan,
            image=here[key] if here and key in here else built_image(plan, engine),
            made=last_made(plan, self.state),
            look=self.lookup(settings).find,
            force=force,
            bases_come=bases_come,
            bases_certain=bases_certain,
        )

    def lookup(self, settings: Settings) -> Lookup:
        """Return what asks registries for images by their fingerprints, for all of this run."""
        from bailing_tasks.published import Lookup

        if self._lookup is None:
            self._lookup = Lookup(self.resolver(self.lanes(settings)[0]), self.state)
        return self._lookup

    def warn_once(self, text: str, console: Console) -> None:
        """Warn of something that several steps of the run may meet."""
        if text not in self._warned:
            self._warned.add(text)
            console.warn(text)

    def check_frozen(self, wanted: Iterable[WantedImage]) -> None:
        """Make sure that the lock file binds every image, if it was said so."""
        from bailing_tasks import locking

        if self.frozen:
            locking.check_frozen(wanted, self.locked)

    def hold(self) -> None:
        """Hold the workspace until this process ends; wait for another run that holds it."""
        if not self._locked:
            lock = self.state.locked(
                lambda pid: self.console.say(
                    f"another run (pid {pid}) is at work in this workspace; waiting for it"
                )
            )
            lock.__enter__()
            atexit.register(lock.__exit__, None, None, None)
            self._locked = True
            self.read_anew()


_joined: ContextVar[Run] = ContextVar("run")


def join(invoked: Invoked) -> Run:
    """Return the run that a task is a part of, which `current` returns from then on.

    `--json`, `--dry-run`, `--frozen` and `--offline` are for the whole run, whichever task of the
    chain they stand behind.
    """
    _joined.set(_run_in(invoked.root))
    flags = ("json", "dry_run", "frozen", "offline")
    current(**{name: f"--{name.replace('_', '-')}" in sys.argv for name in flags})
    return current(dry_run=invoked.dry_run)


def current(**flags: bool) -> Run:
    """Return the run of the task that is at work; a flag that is given holds from then on."""
    run = _joined.get()
    for name, given in flags.items():
        setattr(run, name, getattr(run, name) or given)
    return run


@functools.cache
def _run_in(root: Path) -> Run:
    run = Run(root)
    atexit.register(run.print_document)
    return run
