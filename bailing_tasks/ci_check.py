"""Checks the workflows of a repository against its Dockerfiles and the settings: `ci-check`."""

from __future__ import annotations

import contextlib
import functools
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bailing_tasks import context, git, installed
from bailing_tasks.dockerfile import context_inputs, external_images, stages
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.engine import bake
from bailing_tasks.errors import DockerfileError, FindingsError, SettingsError, UsageError
from bailing_tasks.needs import machine
from bailing_tasks.recipes import OnBuildLookup, unknown
from bailing_tasks.settings import FROM_FILE, Settings
from bailing_tasks.target_triggers import Derived, TargetTriggers
from bailing_tasks.trigger_reader import TriggerReader
from bailing_tasks.workflows import model, rules, writing
from bailing_tasks.workflows.builds import Finding, Source
from bailing_tasks.workflows.contexts import Surroundings
from bailing_tasks.workflows.expressions import STAND_IN, UNKNOWN
from bailing_tasks.workflows.facts import Facts, Input, Problem, Reading, Sampled, takes, within
from bailing_tasks.workflows.running import run
from bailing_tasks.workflows.samples import samples

FOLDER = ".github/workflows"


@dataclass(frozen=True)
class Checked:
    """What was checked: the workflow files, and what is wrong in them."""

    workflows: tuple[str, ...]
    findings: tuple[Finding, ...]


def check(settings: Settings, *, onbuild: OnBuildLookup = unknown) -> Checked:
    """Check all workflows of the repository that a workspace is in.

    Args:
        settings: The workspace's settings.
        onbuild: Returns what an external image adds to the stages that are built on it.

    Raises:
        UsageError: It is no Git repository, or a workflow cannot be read.
        EngineError: A step uses a bake file, and buildx is not there or refuses it.
    """
    root = git.top(settings.root)
    workflows = _workflows(root)
    around = Surroundings(
        settings=settings,
        prefix=git.folder(settings.root),
        slug=_slug(settings),
        bake=functools.partial(bake.targets, root),
        workflows=workflows,
    )
    files = git.tracked(root)
    sampled = tuple(
        Sampled(run(workflow, sample.event, around), sample.pattern)
        for workflow in workflows.values()
        for sample in samples(workflow, settings.default_branch)
    )
    sources = {build.source for each in sampled for build in each.run.builds if build.source.known}
    reader = _Reader(root, files, settings)
    written = _triggers(settings, around.prefix, onbuild)
    facts = Facts(
        around=around,
        sampled=sampled,
        readings={source: reader.read(source) for source in sources},
        files=files,
        lines=_trigger_lines(settings),
        paths={name: each.paths for name, each in written.items()},
        below={
            name: tuple(reader.read(_source(settings, below, around.prefix)) for below in needed)
            for name, needed in _derived_below(written).items()
        },
    )
    outdated = _outdated(settings, root, written, around.prefix)
    return Checked(tuple(workflows), tuple(sorted((*rules.judge(facts), *outdated))))


def describe(findings: Iterable[Finding]) -> list[str]:
    """Return findings as people read them: two lines each."""
    return [
        line
        for each in findings
        for line in (
            f"{each.file}:{each.line}: {each.rule}: {each.message}",
            f"    {each.remedy}",
        )
    ]


def require(checked: Checked) -> None:
    """Let a run fail that has findings.

    Raises:
        FindingsError: There are some.
    """
    if count := len(checked.findings):
        raise FindingsError(
            f"{count} finding{'s' if count > 1 else ''} in {len(checked.workflows)} workflows"
        )


def _workflows(root: Path) -> dict[str, model.Workflow]:
    """Read all workflow files, by path."""
    found = {}
    for path in sorted((root / FOLDER).glob("*.y*ml")):
        if path.suffix not in (".yml", ".yaml") or not path.is_file():
            continue
        name = f"{FOLDER}/{path.name}"
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name} cannot be read", cause=str(error)) from error
        found[name] = model.read(text, name)
    return found


def _triggers(settings: Settings, prefix: str, onbuild: OnBuildLookup) -> dict[str, TargetTriggers]:
    """Return what builds each target whose Dockerfiles can be read; others are findings."""
    reader = TriggerReader(settings, prefix, onbuild=onbuild)
    found = {}
    for target in settings.targets:
        with contextlib.suppress(DockerfileError, UsageError):
            found[target.name] = reader.of(target)
    return found


def _derived_below(triggers: Mapping[str, TargetTriggers]) -> dict[str, list[str]]:
    """Return for each target what it is built on, where nothing else was set for that."""
    return {
        name: [below for below, its in each.needed.items() if isinstance(its, Derived)]
        for name, each in triggers.items()
    }


def _source(settings: Settings, name: str, prefix: str) -> Source:
    """Return what a target is built from, as a step of a workflow would name it."""
    targets = (*settings.targets, settings.builder)
    target = next(target for target in targets if target.name == name)
    dockerfile, context = (
        posixpath.normpath(posixpath.join(prefix, path))
        for path in (target.dockerfile, target.context)
    )
    return Source(dockerfile, target.stage, context, tuple(sorted(target.build_args.items())))


def _outdated(
    settings: Settings, root: Path, triggers: Mapping[str, TargetTriggers], prefix: str
) -> Iterator[Finding]:
    """Find workflows of `ci-write` that are not what it would write now."""
    command = _install(settings)
    settings = replace(settings, ci=replace(settings.ci, install=command))
    for target in settings.targets:
        name = writing.path(target)
        path = root / name
        content = path.read_bytes() if path.is_file() else b""
        if not writing.is_own(content) or target.name not in triggers:
            continue
        text = writing.workflow(settings, target, triggers[target.name].paths, folder=prefix)
        found, wanted = content, text.encode()
        if not command:
            found, wanted = map(writing.without_install, (found, wanted))
        if reason := writing.edited(content):
            message = f"it {reason}"
            remedy = "move the changes to the settings, and run `invoke ci-write --overwrite`"
        elif found != wanted:
            message = "settings, Dockerfiles or these tasks have changed since `ci-write` wrote it"
            remedy = "run `invoke ci-write`"
        else:
            continue
        yield Finding(file=name, line=1, rule="not-as-written", message=message, remedy=remedy)


def _install(settings: Settings) -> str:
    """Return what installs the tasks in CI; empty where that is known on another machine only."""
    try:
        return installed.install(settings).command
    except SettingsError:
        return ""


def _trigger_lines(settings: Settings) -> dict[str, int]:
    """Return the lines of the settings' file that set the triggers of targets, by name."""
    path = settings.root / FROM_FILE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            table = line.strip("[] ")
        elif line.partition("=")[0].strip() == "triggers":
            found[table.rpartition(".")[2]] = number
    return found


def _slug(settings: Settings) -> str:
    named = settings.app.repository.partition("/")[2]
    return git.remote_path(settings.root) or named or STAND_IN


class _Reader:
    """Reads what builds are made from.

    Args:
        root: The repository's root.
        files: The files that Git tracks.
        settings: The workspace's settings: the platforms it builds for.
    """

    def __init__(self, root: Path, files: tuple[str, ...], settings: Settings) -> None:
        self._root = root
        self._files = files
        self._platforms = settings.platforms

    def read(self, source: Source) -> Reading:
        """Return what a source reads, or why it cannot be built."""
        path = self._root / source.dockerfile
        if not path.is_file():
            return _problem("no-such-dockerfile", f"there is no {source.dockerfile}", "file")
        folder = self._root / source.context
        if not folder.is_dir():
            return _problem("no-such-context", f"there is no folder {source.context}", "context")
        try:
            text = path.read_bytes()
            names = {stage.name.lower() for stage in stages(text) if stage.name}
            if source.stage and not source.stage.isdigit() and source.stage.lower() not in names:
                message = f"{source.dockerfile} has no stage {source.stage!r}"
                return _problem("no-such-stage", message, "stage")
            return self._reading(source, text, path, folder)
        except (DockerfileError, UsageError) as error:
            message = f"{source.dockerfile} would be refused: {error.message}"
            return _problem("dockerfile-refused", message, error.remedy or error.cause)

    def _reading(self, source: Source, text: bytes, path: Path, folder: Path) -> Reading:
        ignore = DockerIgnore.parse(context.ignore_text(path, folder))
        arguments = {name: value.replace(UNKNOWN, "unknown") for name, value in source.build_args}
        taken: dict[tuple[int, str], list[str]] = {}
        images = set()
        for platform in self._platforms:
            selection: dict[str, Any] = {
                "target": source.stage or None,
                "platform": platform,
                "build_platform": machine(),
                "build_args": arguments,
            }
            for each in context_inputs(text, **selection):
                taken.setdefault((each.line, each.kind), []).append(each.pattern)
            images |= {each.reference.repository for each in external_images(text, **selection)}
        return Reading(
            context=source.context,
            support=self._support(source),
            inputs=tuple(self._input(*key, found, source, ignore) for key, found in taken.items()),
            ignore=ignore,
            images=frozenset(images),
        )

    def _input(
        self, line: int, keyword: str, found: list[str], source: Source, ignore: DockerIgnore
    ) -> Input:
        patterns = tuple(dict.fromkeys(found))
        files = (
            path
            for path in self._files
            if (inner := within(source.context, path)) is not None
            and takes(ignore, patterns, inner)
        )
        return Input(line, keyword, patterns, tuple(files))

    def _support(self, source: Source) -> tuple[str, ...]:
        beside = f"{source.dockerfile}.dockerignore"
        of_context = posixpath.normpath(posixpath.join(source.context, ".dockerignore"))
        return (source.dockerfile, beside, of_context)


def _problem(rule: str, message: str, what: str) -> Reading:
    known = {
        "file": "name the Dockerfile that is meant, from the repository's root",
        "stage": "name a stage that the Dockerfile has",
        "context": "name a folder that is there",
    }
    return Reading(problem=Problem(rule, message, known.get(what, what)))
