"""The nox sessions that build a workspace's images, and what noxfiles share.

Importing this, and `register`, need nox and the standard library alone: a noxfile is read where
nothing else may be installed.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nox

    from bailing_tasks.settings import Settings

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""The Python versions the library is tested on."""


def register(install: Sequence[str] = ()) -> None:
    """Give a noxfile the sessions of its workspace; to be called where the noxfile stands.

    `build-amd64`, `build-arm64` and so on, one for each platform of the settings, each for every
    Python of the settings, prefetch, build and verify; `build` is all of them. `ci` does what CI
    does for the current branch, and `verify` checks the app image. Where there are services, all
    images are built (`build-all`). What follows `--` goes to the tasks that build, to ci-run and to
    verify. A plain `nox` runs the builds, unless `nox.options.sessions` says what else.

    If the settings are broken, that is said at once; the sessions are there, and fail.

    Args:
        install: What pip installs into an environment of the sessions; without it they run in
            the environment that nox runs in.
    """
    from bailing_tasks import templates
    from bailing_tasks.configuration import load, resolve
    from bailing_tasks.errors import SettingsError

    root = Path.cwd()
    try:
        settings = load(
            root, environment=os.environ, rendered=functools.partial(templates.find, root)
        )
        sessions = _Sessions(settings, install=install)
    except SettingsError as error:
        from nox.logger import logger

        broken = "; ".join(line.strip() for line in str(error).splitlines())
        logger.error(broken)
        default = resolve(root, document={}, environment={}, overrides={})
        sessions = _Sessions(default, install=install, broken=broken)
    sessions.register()


def _tasks(settings: Settings) -> tuple[str, ...]:
    """Return the tasks that build and check everything for one platform and Python."""
    if not settings.services:
        return ("prefetch", "build-builder", "build-app", "verify")
    return ("build-all", "verify") if settings.app in settings.pair else ("build-all",)


class _Sessions:
    """The sessions of a workspace.

    Args:
        settings: The workspace's, or the defaults if they are broken.
        install: See `register`.
        broken: Why the settings cannot be read; empty if they can.
    """

    def __init__(self, settings: Settings, *, install: Sequence[str], broken: str = "") -> None:
        self._root = settings.root
        self._pythons = settings.python if settings.pair else settings.python[:1]
        self._tasks = _tasks(settings)
        self._platforms = {f"build-{each.short}": str(each) for each in settings.platforms}
        self._install = tuple(install)
        self._broken = broken

    def register(self) -> None:
        """Hand them to nox."""
        import nox

        for name, platform in self._platforms.items():
            each_python = nox.parametrize("python", self._pythons)
            self._add(name, each_python(self._one(platform)), default=True)
        # To a plain `nox` these would be the same work again.
        self._add("build", self._all)
        self._add("ci", self._ci)
        self._add("verify", self._verify)

    def _add(self, name: str, body: Callable[..., None], *, default: bool = False) -> None:
        import nox

        backend = None if self._install else "none"
        nox.session(name=name, venv_backend=backend, reuse_venv=True, default=default)(body)

    def _one(self, platform: str) -> Callable[..., None]:
        # Since the function takes `python` itself, nox looks for no such interpreter.
        def build(session: nox.Session, python: str) -> None:
            options = ("--platform", platform, "--python", python)
            argv: list[str] = []
            for task in self._tasks:
                given = session.posargs if task.startswith("build-") else ()
                argv += [task, *options, *given]
            self._invoke(session, *argv)

        build.__doc__ = f"Prefetch, build and verify the images for {platform}."
        return build

    def _all(self, session: nox.Session) -> None:
        """Build and verify the images for every platform and Python of the settings."""
        for name in self._platforms:
            for python in self._pythons:
                session.notify(f"{name}(python={python!r})")

    def _ci(self, session: nox.Session) -> None:
        """Do what CI does for the current branch; `-- --push` publishes, too."""
        from bailing_tasks import git

        branch = git.current_branch(self._root)
        if not branch:
            session.error(f"no branch is checked out in {self._root}; `git switch` to one")
        self._invoke(session, "ci-run", "--event", f"push:{branch}", *session.posargs)

    def _verify(self, session: nox.Session) -> None:
        """Check the app image as it would run."""
        self._invoke(session, "verify", *session.posargs)

    def _invoke(self, session: nox.Session, *argv: str) -> None:
        if self._broken:
            session.error(self._broken)
        if self._install:
            session.install(*self._install)
            session.run("python", "-m", "invoke", *argv)
        else:
            session.run(sys.executable, "-m", "invoke", *argv, external=True)


def add_pyenv_to_path(versions: Iterable[str] = PYTHONS) -> None:
    """Let nox find the Pythons that pyenv has installed but not activated.

    Its shims are taken from PATH: they answer for versions that they then do not start. The
    versions themselves come last, so that any other program of that name is found first.
    """
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [
        str(folder / "bin")
        for version in versions
        for folder in sorted(root.glob(f"{version}.*"))[-1:]
    ]
    shims = str(root.parent / "shims")
    kept = [part for part in os.environ["PATH"].split(os.pathsep) if part != shims]
    os.environ["PATH"] = os.pathsep.join([*kept, *found])
