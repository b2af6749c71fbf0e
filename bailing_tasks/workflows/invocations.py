"""What the commands of a script build and push. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bailing_tasks.settings import Settings, Target
from bailing_tasks.workflows import commands, fields
from bailing_tasks.workflows.baking import baked
from bailing_tasks.workflows.builds import Build, named_alike
from bailing_tasks.workflows.commands import DockerCommand, OwnTask
from bailing_tasks.workflows.contexts import BakeCall, Surroundings
from bailing_tasks.workflows.expressions import UNKNOWN, either

PLATFORMS = "BAILING_TASKS_PLATFORMS"
"""The variable that chooses the platforms of our own tasks."""


@dataclass(frozen=True)
class Call:
    """A command, where it stands.

    Attributes:
        argv: Its words.
        base: The build that it would be.
        folder: Its working folder, from the repository's root.
        variables: The shell's variables.
        around: The surroundings.
        pulled: Whether the event is a pull request, from which our own tasks push nothing.
    """

    argv: Sequence[str]
    base: Build
    folder: str
    variables: Mapping[str, str]
    around: Surroundings
    pulled: bool


def after(found: Sequence[Build], call: Call) -> list[Build]:
    """Return the builds of a job after one more command."""
    if own := commands.own_tasks(call.argv):
        return [*found, *(build for task in own for build in _own(task, call))]
    command = commands.docker_command(call.argv)
    if command is None:
        return list(found)
    if command.verb == commands.BUILD:
        return [*found, _build(command, call)]
    if command.verb == commands.BAKE:
        return [*found, *_bake(command, call)]
    if command.verb == commands.TAG:
        return [_tagged(each, command.arguments) for each in found]
    names = list(command.arguments)
    if command.verb == commands.CREATE:
        names = command.all("--tag")
    elif command.flag("--all-tags"):
        names = [tag for each in found for tag in each.tags]
    return [*found, *(replace(call.base, tags=(name,), pushes=True) for name in names)]


def _tagged(build: Build, names: Sequence[str]) -> Build:
    # A name that comes after a push is not pushed by it.
    named = build.pushes is not True and len(names) == 2
    if named and any(named_alike(names[0], tag) for tag in build.tags):
        return replace(build, tags=(*build.tags, names[1]))
    return build


def _build(command: DockerCommand, call: Call) -> Build:
    context = fields.inside(call.folder, (command.arguments or (UNKNOWN,))[-1])
    # Words that are not known may name a file, a stage or platforms.
    missing = UNKNOWN if command.vague else ""
    file = command.last("--file") or missing
    named = fields.platforms(command.all("--platform"))
    tags = fields.pushed_names(command.all("--output"), command.all("--tag"))
    return replace(
        call.base,
        dockerfile=fields.inside(call.folder, file)
        if file
        else fields.inside(context, fields.DEFAULT_FILE),
        context=context,
        stage=command.last("--target") or missing,
        build_args=fields.pairs(command.all("--build-arg"), call.variables),
        contexts=fields.pairs(command.all("--build-context"), {}),
        platforms=named or ((UNKNOWN,) if command.vague else call.base.platforms),
        tags=tags,
        tags_known=not command.vague and UNKNOWN not in "".join(tags),
        pushes=either(command.flag("--push"), fields.to_registry(command.all("--output"))),
        caches=fields.caches(command.all("--cache-to")),
    )


def _bake(command: DockerCommand, call: Call) -> list[Build]:
    if command.vague:
        return []
    asked = BakeCall(
        files=tuple(command.all("--file")),
        targets=command.arguments,
        sets=tuple(command.all("--set")),
        folder=call.folder,
        variables=call.variables,
        place=f"{call.base.path}:{call.base.line}",
    )
    return baked(asked, call.base, call.around, command.flag("--push"))


def _own(task: OwnTask, call: Call) -> list[Build]:
    """Return what one of this project's tasks builds: by the settings, pushed by its own rules."""
    settings, prefix = call.around.settings, call.around.prefix
    given = fields.platforms(task.platforms or [call.variables.get(PLATFORMS, "")])
    if not given or "all" in task.platforms:
        given = tuple(map(str, settings.platforms))
    return [
        replace(
            call.base,
            own=target.name,
            dockerfile=fields.inside(prefix, target.dockerfile),
            context=fields.inside(prefix, target.context),
            stage=target.stage,
            build_args=_arguments(settings, target),
            platforms=given,
            tags=(f"{target.repository or target.image}:{UNKNOWN}",),
            tags_known=False,
            pushes=task.pushes and not call.pulled,
        )
        for target in settings.targets
        if target.name in task.targets and not target.from_image
    ]


def _arguments(settings: Settings, target: Target) -> dict[str, str]:
    """Return the build arguments that our own tasks give; which builder it is, a run decides."""
    found = {settings.python_arg: settings.python[0], **target.build_args}
    if target.builder_arg:
        found[target.builder_arg] = f"localhost/{settings.builder.image}:latest"
    return found
