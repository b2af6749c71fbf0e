"""What the tasks of one Invoke process share: a run.

`invoke prefetch build-builder build-app` is one run: settings, pins and results are computed once.
Errors become exit codes here, and here alone.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.console import Console
    from bailing_tasks.decision import Decision
    from bailing_tasks.engine.base import Engine
    from bailing_tasks.errors import BailingError
    from bailing_tasks.lockfile import Key, Locked
    from bailing_tasks.prefetch import Prefetcher
    from bailing_tasks.published import Published
    from bailing_tasks.recipes import Recipe
    from bailing_tasks.resolver import Resolver
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.state import Pin, State
    from bailing_tasks.variants import Variant
    from bailing_tasks.wanted import WantedImage

SCHEMA = 1
"""Counted up when the JSON document of a run changes its shape."""

HELP = {
    "platform": "platform such as linux/arm64, or all (repeatable)",
    "python": "Python version such as 3.11, or all (repeatable)",
    "json": "print one JSON document about the run on standard output",
    "dry_run": "print the exact commands and change nothing",
    "force": "build even if nothing changed",
    "no_cache": "build, and let BuildKit not use its cache either",
    "strict": "end the run if an image cannot be pulled",
    "jobs": "how many images are pulled at once",
    "timeout": "seconds that all pulls may take; 0: as long as they take",
    "refresh": "follow tags that have moved",
    "frozen": "take no image that images.lock does not bind",
    "offline": "ask no registry",
    "update": "renew what is locked: all of it, or one image",
    "on_failure": "what to do about failed pulls: retry, continue, stop or ask",
    "explain": "list all that a target is made from: builder or app",
    "builder_image": "the builder image to build on, by name",
    "dockerfile": "a Dockerfile, instead of those of the settings (repeatable)",
    "target": "what is built: a stage by name or number; for CI builder or app",
    "build_arg": "a build argument, as NAME=VALUE (repeatable)",
    "all_stages": "list the images of stages that are not built as well",
    "event": "push:BRANCH, pr:NUMBER[:BRANCH], tag:NAME, schedule, or github: the one it runs for",
    "base": "the revision that an event is compared with",
    "push": "publish what was built, under the event's tags",
    "purge": "remove its engine, images and state as well",
    "overwrite": "replace workflow files that ci-write did not write",
    "store": "image store of the private engine: containerd or classic",
}
"""What each option does, the same wherever it stands."""

OPTIONAL = {"update"}
"""Options that may stand without a value."""

REPEATABLE = {option for option, text in HELP.items() if text.endswith("(repeatable)")}


def command(*options: str, name: str | None = None) -> Callable[[Callable[..., None]], Any]:
    """Make an Invoke task of a function: help for its options, its failures as exit codes.

    There are no one-letter options: they would mean different things in different tasks.

    Args:
        options: The options it has.
        name: Its name, where that is not the function's.
    """

    def decorate(body: Callable[..., None]) -> Any:
        return task(
            name=name,
            help={option: HELP[option] for option in options},
            iterable=[option for option in options if option in REPEATABLE],
            optional=[option for option in options if option in OPTIONAL],
            auto_shortflags=False,
        )(guarded(body))

    return decorate


class Run:
    """One run in one workspace.

    Args:
        root: The workspace's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results: list[dict[str, Any]] = []
        self._at_top: dict[str, Any] = {}
        self.json = False
        self.dry_run = False
        self.frozen = False
        self.offline = False
        self.failed: dict[str, Any] | None = None
        self._settings: dict[tuple[object, ...], Settings] = {}
        self._published: dict[str, Published] = {}
        self._locked = False

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
        from bailing_tasks import git
        from bailing_tasks.configuration import load

        key = (tuple(platform), tuple(python), tuple(others.items()))
        if key not in self._settings:
            self._settings[key] = load(
                self.root,
                environment=os.environ,
                overrides={"platforms": list(platform), "python": list(python)}
                | {f"prefetch.{name}": value for name, value in others.items()},
                remote_path=git.remote_path(self.root),
            )
        return self._settings[key]

    @functools.cached_property
    def state(self) -> State:
        """The workspace's state."""
        from bailing_tasks.state import State

        return State(self.root)

    @functools.cached_property
    def engine(self) -> Engine:
        """The engine, connected on first use."""
        from bailing_tasks.engine.choice import choose

        # Whatever the command line chose, the builder is the workspace's.
        settings = next(iter(self._settings.values()), None) or self.settings()
        return choose(os.environ, builder=settings.buildx_builder, layout=self.state.folder / "oci")

    @functools.cached_property
    def locked(self) -> dict[Key, Locked] | None:
        """What `images.lock` binds; None where there is no such file."""
        from bailing_tasks import locking

        return locking.read(self.root)

    @functools.cached_property
    def pins(self) -> dict[Key, Pin]:
        """The pins of this run: of the lock file, of the state, and what a prefetch added."""
        from bailing_tasks import locking

        return locking.bind(self.state.pins(), self.locked or {})

    def read_anew(self) -> None:
        """Forget the lock file and the pins: they may have changed."""
        for name in ("locked", "pins"):
            self.__dict__.pop(name, None)

    def resolver(self, settings: Settings) -> Resolver:
        """Return what asks registries for this run."""
        from bailing_tasks.resolver import Resolver

        return Resolver(
            engine=self.engine,
            mirrors=settings.mirrors,
            trust_mirrors=settings.prefetch.trust_mirrors,
            offline=self.offline,
            warn=self.console.warn,
        )

    def prefetcher(self, settings: Settings, *, refresh: bool = False) -> Prefetcher:
        """Return what brings images for this run."""
        from bailing_tasks.prefetch import Prefetcher

        resolver = self.resolver(settings)
        return Prefetcher(
            engine=self.engine,
            state=self.state,
            pins=self.pins,
            locked=frozenset(self.locked or ()),
            resolver=resolver,
            console=self.console,
            limits=resolver.limits,
            timeout=settings.prefetch.timeout,
            jobs=settings.prefetch.jobs,
            jobs_per_host=settings.prefetch.jobs_per_host,
            refresh=refresh,
        )

    def recipes(self, settings: Settings, target: Target) -> list[Recipe]:
        """Read the recipes of a target for the platforms and Pythons of this run."""
        from bailing_tasks import needs

        return needs.recipes(settings, target, self.engine.platform)

    def on_builder(self, settings: Settings, recipe: Recipe, builder: str) -> Recipe:
        """Read the app's recipe again, now that its builder is known."""
        from bailing_tasks.recipes import read_recipe

        return read_recipe(settings, recipe.variant, recipe.build_platform, builder=builder)

    def builder_recipe(self, settings: Settings, app: Variant) -> Recipe:
        """Read the recipe of the builder that an app variant is built on."""
        from bailing_tasks.recipes import read_recipe

        return read_recipe(settings, app.of(settings.builder), self.engine.platform)

    def plan(self, settings: Settings, recipe: Recipe) -> BuildPlan:
        """Work out one build on this run's pins."""
        from bailing_tasks.build_plan import plan_build

        return plan_build(settings, recipe, self.pins, self.engine, self.state)

    def decide(
        self, settings: Settings, plan: BuildPlan, *, force: bool, builder_comes: bool = False
    ) -> Decision:
        """Return whether a planned build is needed, and why."""
        from bailing_tasks import published
        from bailing_tasks.decision import decide
        from bailing_tasks.made import last_made

        def look(planned: BuildPlan) -> Published:
            if planned.kept not in self._published:
                self._published[planned.kept] = published.look(planned, self.resolver(settings))
            return self._published[planned.kept]

        return decide(
            plan,
            engine=self.engine,
            made=last_made(plan, self.state),
            look=look,
            force=force,
            builder_comes=builder_comes,
        )

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

    def report(self, name: str, result: Mapping[str, Any], *, at_top: bool = False) -> None:
        """Add a task's result to the run's document.

        Args:
            name: The task.
            result: What it has to say, as plain data.
            at_top: Whether it stands at the document's top level as well.
        """
        self.results.append({"task": name, **result})
        if at_top:
            self._at_top |= result

    def print_document(self) -> None:
        """Print the run's one JSON document, if a task asked for it."""
        from bailing_tasks.console import no_longer_read
        from bailing_tasks.state import to_json

        if self.json:
            document = {"schema": SCHEMA, **self._at_top, "results": self.results}
            if self.failed:
                document["error"] = self.failed
            try:
                print(to_json(document), flush=True)
            except BrokenPipeError:
                no_longer_read(sys.stdout)


def workspace(start: Path) -> Path:
    """Return the workspace's folder: the nearest with a tasks.py, else the repository's root."""
    for marker in ("tasks.py", ".git"):
        for folder in (start, *start.parents):
            if (folder / marker).exists():
                return folder
    return start


def current(**flags: bool) -> Run:
    """Return the run of this process.

    `--json`, `--dry-run`, `--frozen` and `--offline` are for the whole run, whichever task of the
    chain they stand behind.

    Args:
        flags: Those that the task was told.
    """
    run = _run_in(workspace(Path.cwd()))
    for name in ("json", "dry_run", "frozen", "offline"):
        given = flags.get(name, False) or f"--{name.replace('_', '-')}" in sys.argv
        setattr(run, name, getattr(run, name) or given)
    return run


@functools.cache
def _run_in(root: Path) -> Run:
    run = Run(root)
    atexit.register(run.print_document)
    return run


def guarded(body: Callable[..., None]) -> Callable[..., None]:
    """Turn the foreseen failures of a task into a message and an exit code."""

    @functools.wraps(body)
    def guard(*args: Any, **options: Any) -> None:
        from bailing_tasks.errors import BailingError, InterruptedRunError, UsageError

        try:
            body(*args, **options)
        except BailingError as error:
            raise _exit(error) from None
        except OSError as error:
            raise _exit(UsageError("the system refused something", cause=str(error))) from error
        except KeyboardInterrupt:
            raise _exit(
                InterruptedRunError(
                    "interrupted", remedy="run the same command again: it goes on from here"
                )
            ) from None

    return guard


def _exit(error: BailingError) -> Exit:
    current().failed = {
        "message": error.message,
        "cause": error.cause,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
    }
    return Exit(f"error: {error}", error.exit_code)
