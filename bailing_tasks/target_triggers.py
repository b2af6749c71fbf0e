"""Which changed files build a target in CI: those that it is made from, or what the settings say.

What is derived follows a build's fingerprint: the files of the context that the stages it reaches
read, after the ignore file. GitHub's patterns cannot say all of that: the `paths` of a workflow may
start it for more files, and never for less. Pure.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bailing_tasks import github_paths, templates, triggers
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.triggers import EXCLUDES, Verdict
from bailing_tasks.units import in_one_line
from bailing_tasks.workflows.facts import takes, within


@dataclass(frozen=True, kw_only=True)
class Written:
    """Triggers that the settings give.

    Attributes:
        patterns: GitHub's patterns, from the repository's root.
    """

    patterns: tuple[str, ...]

    def decide(self, files: Sequence[str], commits: int) -> Verdict:
        """Decide as `paths` would, with these."""
        return triggers.decide(files, paths=self.patterns, commits=commits)


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What the builds of a target read; all paths are from the repository's root.

    Attributes:
        files: The files that are named one by one: its Dockerfile, the lock file and others.
        context: The build context; `.` for the root itself.
        sources: What is taken of it, as in `ContextInput.pattern`, with what links lead to.
        ignore: What is kept out of it.
        folder: The workspace; `.` for the root itself.
        templates: Patterns of the files that others are rendered from, from the workspace's root.
        patterns: GitHub's patterns, which take all of that.
    """

    files: frozenset[str]
    context: str
    sources: tuple[str, ...]
    ignore: DockerIgnore
    folder: str
    templates: tuple[str, ...]
    patterns: tuple[str, ...]

    def decide(self, files: Sequence[str], commits: int) -> Verdict:
        """Decide whether one of the changed files is read."""
        if verdict := triggers.by_numbers(files, commits):
            return verdict
        for file in files:
            if self.reads(file):
                return Verdict(
                    runs=True,
                    reason=f"{in_one_line(file)} has changed",
                    file=file,
                    pattern=triggers.deciding(self.patterns, file) or "",
                )
        return Verdict(runs=False, reason="it is built from no file that has changed")

    def reads(self, path: str) -> bool:
        """Whether a file is read, or would be if it were there."""
        return self.reads_git or path in self.files or self.copies(path) or self._renders(path)

    def copies(self, path: str) -> bool:
        """Whether a file of the context is taken, or leads to one: a link, or a submodule."""
        inner = within(self.context, path)
        if inner is None:
            return False
        leads = any(source.startswith(f"{inner}/") for source in self.sources)
        return leads or takes(self.ignore, self.sources, inner)

    @functools.cached_property
    def reads_git(self) -> bool:
        """Whether what Git keeps of the repository is taken: each commit changes that."""
        named = any(source.partition("/")[0] == ".git" for source in self.sources)
        return self.context == "." and (named or self.copies(".git/HEAD"))

    def _renders(self, path: str) -> bool:
        """Whether what a template is rendered to is read."""
        inner = within(self.folder, path)
        output = templates.output(self.templates, inner) if inner else None
        if output is None:
            return False
        rendered = posixpath.normpath(posixpath.join(self.folder, output))
        return rendered in self.files or self.copies(rendered)


@dataclass(frozen=True, kw_only=True)
class TargetTriggers:
    """What builds one target in CI.

    Attributes:
        own: Its own triggers.
        needed: Those of all that is built before it, by the names of targets.
    """

    own: Written | Derived
    needed: Mapping[str, Written | Derived]

    def decide(self, files: Sequence[str], commits: int) -> Verdict:
        """Decide whether changed files build it, and which one does."""
        verdicts = [each.decide(files, commits) for each in (self.own, *self.needed.values())]
        return next((each for each in verdicts if each.runs), verdicts[0])

    @property
    def paths(self) -> tuple[str, ...]:
        """GitHub's patterns for the workflow that builds it, from the repository's root.

        What one list excludes is not to exclude what another takes: the own one comes first, and of
        the others only what includes.
        """
        own = self.own.patterns
        others = dict.fromkeys(
            pattern
            for each in self.needed.values()
            for pattern in each.patterns
            if not pattern.startswith(EXCLUDES)
        )
        if any(pattern.startswith(EXCLUDES) for pattern in own):
            return (*own, *others)
        return github_paths.without_covered([*own, *others])
