"""Derives from a workspace's Dockerfiles which changed files build each target in CI."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bailing_tasks import (
    context,
    env_file,
    github_paths,
    lockfile,
    needs,
    templates,
    triggers,
    whole_context,
)
from bailing_tasks.build_plan import context_files
from bailing_tasks.dockerfile import context_inputs
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.options import WORKFLOW_PATH
from bailing_tasks.order import in_order
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import OnBuildLookup, Recipe, unknown
from bailing_tasks.refusals import Refusal, checked
from bailing_tasks.settings import FROM_FILE, Settings, Target
from bailing_tasks.state import State
from bailing_tasks.target_triggers import Derived, TargetTriggers, Written
from bailing_tasks.variants import Key, Variant


class TriggerReader:
    """Finds out what builds the targets of a workspace in CI.

    Args:
        settings: The workspace's settings.
        folder: Its folder, from the repository's root; empty for the root itself.
        onbuild: Returns what an external image adds to the stages that are built on it.
    """

    def __init__(
        self, settings: Settings, folder: str = "", *, onbuild: OnBuildLookup = unknown
    ) -> None:
        self._settings = settings
        self._folder = folder or "."
        self._onbuild = onbuild
        self._recipes: dict[tuple[Key, Platform], Recipe | Refusal] = {}
        self._known: dict[frozenset[tuple[Key, Platform]], Written | Derived] = {}

    def of(self, target: Target) -> TargetTriggers:
        """Return what builds a target, on whichever machine and for whichever platform.

        Raises:
            BailingError: It cannot be built because of its files, or of those of what it needs.
        """
        recipes: dict[str, list[Recipe]] = {}
        for host in dict.fromkeys((*self._settings.platforms, needs.machine())):
            read = functools.partial(self._recipe, host=host)
            for recipe in checked(in_order(map(read, self._variants(target)), read)):
                recipes.setdefault(recipe.variant.target.name, []).append(recipe)
        found = {name: self._own(of_one) for name, of_one in recipes.items()}
        return TargetTriggers(own=found.pop(target.name), needed=found)

    def notes(self, target: Target) -> tuple[str, ...]:
        """Return what to say of a target that reads its whole context.

        Raises:
            BailingError: As for `of`.
        """
        [recipe] = checked([self._recipe(self._variants(target)[0], needs.machine())])
        if not whole_context.lines(recipe):
            return ()
        root = self._settings.root
        files = context_files(self._settings, recipe, State(root))
        found = [path.relative_to(root / target.context).as_posix() for path in files]
        return whole_context.notes(recipe, found)

    def _variants(self, target: Target) -> list[Variant]:
        return [
            Variant(target=target, platform=platform, python=python)
            for platform in self._settings.platforms
            for python in self._settings.pythons_of(target)
        ]

    def _recipe(self, variant: Variant, host: Platform) -> Recipe | Refusal:
        key = (variant.key, host)
        if key not in self._recipes:
            self._recipes[key] = needs.read(self._settings, variant, host, onbuild=self._onbuild)
        return self._recipes[key]

    def _own(self, recipes: Sequence[Recipe]) -> Written | Derived:
        """Return the triggers of one target, of which there are the recipes."""
        key = frozenset((recipe.variant.key, recipe.build_platform) for recipe in recipes)
        if key not in self._known:
            self._known[key] = self._read(recipes[0].variant.target, recipes)
        return self._known[key]

    def _read(self, target: Target, recipes: Sequence[Recipe]) -> Written | Derived:
        if target.triggers:
            folder = "" if self._folder == "." else self._folder
            return Written(
                patterns=tuple(triggers.from_root(each, folder) for each in target.triggers)
            )
        place = self._settings.root / target.context
        ignore = DockerIgnore.parse(context.ignore_text(recipes[0].path, place))
        taken = dict.fromkeys(
            each.pattern
            for recipe in recipes
            for each in context_inputs(recipe.text, **recipe.selection)
        )
        read = self._read_first(target, ignored=bool(taken))
        found = Derived(
            files=frozenset(read),
            context=_joined(self._folder, target.context),
            sources=context.sources(place, ignore, taken),
            ignore=ignore,
            folder=self._folder,
            templates=self._settings.templates,
            patterns=(),
        )
        more = self._read_besides(target, found)
        copied = [
            pattern
            for source in (found.sources if _is_inside(found.context) else ())
            for pattern in github_paths.of_source(
                found.context, source, functools.partial(_is_folder, place)
            )
        ]
        patterns = [*map(triggers.literal, read), *copied, *map(triggers.literal, more)]
        if found.reads_git:
            patterns = [github_paths.EVERYTHING]
        return replace(
            found,
            files=found.files.union(more),
            patterns=github_paths.without_covered(patterns),
        )

    def _read_first(self, target: Target, *, ignored: bool) -> list[str]:
        """Return a target's Dockerfile, and the ignore files of its context, if it reads any."""
        if target.from_image:
            return []
        found = [target.dockerfile]
        if ignored:
            found.append(f"{target.dockerfile}.dockerignore")
            if not (self._settings.root / found[-1]).is_file():
                found.append(posixpath.join(target.context, ".dockerignore"))
        return [
            path for path in (_joined(self._folder, each) for each in found) if _is_inside(path)
        ]

    def _read_besides(self, target: Target, found: Derived) -> list[str]:
        """Return the files behind what a target reads, and those that say how it is built."""
        rendered = templates.find(self._settings.root, self._settings.templates)
        sources = [
            source
            for output, source in rendered.items()
            if found.reads(_joined(self._folder, output))
        ]
        values = (env_file.EXAMPLE, env_file.NAME) if sources else ()
        own = (*sources, *values, lockfile.NAME, FROM_FILE)
        workflow = WORKFLOW_PATH.format(target.name)
        return [*(_joined(self._folder, path) for path in own), workflow]


def _joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def _is_inside(path: str) -> bool:
    """Whether a path from the repository's root is in the repository."""
    return path.partition("/")[0] not in ("", "..")


def _is_folder(context: Path, path: str) -> bool | None:
    """Whether a path of a context is a folder to Git; None where it is not there, or a module."""
    full = context / path
    if full.is_symlink() or full.is_file():
        return False
    return True if full.is_dir() and not (full / ".git").exists() else None
