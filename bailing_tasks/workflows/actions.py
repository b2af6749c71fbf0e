"""What Docker's own actions build, push and hand on, by their `with`. Pure.

The inputs are those of docker/build-push-action, docker/bake-action and docker/metadata-action.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bailing_tasks import metadata
from bailing_tasks.errors import UsageError
from bailing_tasks.events import Event
from bailing_tasks.workflows import fields
from bailing_tasks.workflows.baking import baked
from bailing_tasks.workflows.builds import Build
from bailing_tasks.workflows.contexts import BakeCall, Surroundings
from bailing_tasks.workflows.expressions import UNKNOWN, Open, Truth, either, interpolate
from bailing_tasks.workflows.nodes import Node

INLINE = "{"
"""What a bake file starts with that is handed on as its content."""


@dataclass(frozen=True)
class Use:
    """A step that uses an action.

    Attributes:
        step: The step.
        base: The build that it would be.
        contexts: What its expressions can refer to.
        event: The event.
        around: The surroundings.
    """

    step: Node
    base: Build
    contexts: Mapping[str, Any]
    event: Event
    around: Surroundings

    def text(self, name: str) -> str:
        """Return an input."""
        return interpolate(self.step.get("with").get(name).value, self.contexts).strip()

    def rows(self, name: str) -> list[str]:
        """Return the lines of an input that are not empty."""
        return [line.strip() for line in self.text(name).split("\n") if line.strip()]

    def values(self, name: str) -> list[str]:
        """Return the values of an input that takes them by line or by comma."""
        return [part.strip() for row in self.rows(name) for part in row.split(",") if part.strip()]

    def flag(self, name: str) -> Truth:
        """Return whether an input is true."""
        text = self.text(name)
        return None if UNKNOWN in text else text.lower() == "true"

    def lines(self, names: Mapping[str, str]) -> dict[str, int]:
        """Return where inputs stand, by what they are called here."""
        given = self.step.get("with").items
        return {ours: given[theirs].line for ours, theirs in names.items() if theirs in given}


def use(step: Use) -> tuple[list[Build], Mapping[str, Any]]:
    """Return what a step's action builds, and its outputs as far as they are known.

    Raises:
        EngineError: A bake file cannot be read.
    """
    action = step.step.get("uses").value.partition("@")[0].lower()
    if action == "docker/build-push-action":
        return [_build(step)], {}
    if action == "docker/bake-action":
        return _bake(step), {}
    if action == "docker/metadata-action":
        return _metadata(step)
    return [], Open()


_LINES = {
    "dockerfile": "file",
    "stage": "target",
    "context": "context",
    "platforms": "platforms",
    "push": "push",
    "tags": "tags",
    "cache": "cache-to",
    "build-args": "build-args",
}


def _build(step: Use) -> Build:
    file = step.text("file")
    context = fields.inside("", step.text("context") or fields.DEFAULT_CONTEXT)
    tags = fields.pushed_names(step.rows("outputs"), step.values("tags"))
    return replace(
        step.base,
        lines=step.lines(_LINES),
        dockerfile=fields.inside("", file) if file else fields.inside(context, fields.DEFAULT_FILE),
        context=context,
        stage=step.text("target"),
        build_args=fields.pairs(step.rows("build-args"), {}),
        contexts=fields.pairs(step.rows("build-contexts"), {}),
        platforms=fields.platforms(step.values("platforms")) or step.base.platforms,
        tags=tags,
        tags_known=UNKNOWN not in "".join(tags),
        pushes=either(step.flag("push"), fields.to_registry(step.rows("outputs"))),
        caches=fields.caches(step.rows("cache-to")),
    )


def _bake(step: Use) -> list[Build]:
    call = BakeCall(
        files=tuple(_files(step)),
        targets=tuple(step.values("targets")),
        sets=tuple(row for row in step.rows("set") if UNKNOWN not in row),
        folder=fields.inside("", step.text("workdir") or "."),
        variables=step.contexts["env"],
        place=f"{step.base.path}:{step.base.line}",
    )
    outputs = (row.partition("=")[2] for row in step.rows("set") if ".output=" in row)
    pushes = either(step.flag("push"), fields.to_registry(outputs))
    base = replace(
        step.base,
        lines=step.lines({"push": "push"}),
        tags_known=UNKNOWN not in step.text("files"),
    )
    return baked(call, base, step.around, pushes)


def _files(step: Use) -> list[str]:
    """Return the bake files; what metadata-action writes comes as its content, on one line."""
    found = []
    for row in step.rows("files"):
        parts = [row] if row.startswith(INLINE) else [part.strip() for part in row.split(",")]
        found += [part.removeprefix("cwd://") for part in parts if part and UNKNOWN not in part]
    return found


def _metadata(step: Use) -> tuple[list[Build], Mapping[str, Any]]:
    """Return the outputs of docker/metadata-action; a build that says so where it would refuse."""
    rows, flavor = step.rows("tags"), step.rows("flavor")
    known = [row for row in rows if UNKNOWN not in row]
    certain = known == rows and UNKNOWN not in "".join(flavor)
    if not certain:
        # What is not known could decide about `latest`, and be the only tag.
        flavor = ["latest=false"]
    tags: Sequence[str] = ()
    if known or not rows:
        default = step.around.settings.default_branch
        try:
            tags = metadata.evaluate(known, flavor, step.event, default_branch=default)
        except UsageError as error:
            lines = step.lines({"tags": "tags"})
            return [replace(step.base, lines=lines, refused=error)], Open()
    images = [name for name in map(_image, step.rows("images")) if name]
    names = [f"{image}:{tag}" for image in images for tag in tags] if images else list(tags)
    file = json.dumps({"target": {"docker-metadata-action": {"tags": names}}})
    outputs = dict.fromkeys(_OTHER_OUTPUTS, "")
    if not certain:
        names.append(UNKNOWN)
        return [], Open(outputs, tags="\n".join(names))
    outputs |= dict.fromkeys(("bake-file", "bake-file-tags"), file)
    return [], Open(outputs, tags="\n".join(names), version=next(iter(tags), ""))


_OTHER_OUTPUTS = ("labels", "annotations", "bake-file-labels", "bake-file-annotations")
"""What says nothing about names."""


def _image(row: str) -> str:
    """Return the image that a row of `images` names; `""` where it is not enabled."""
    first, _, rest = row.partition(",")
    options = fields.pairs(row.split(",") if "=" in first else rest.split(","), {})
    return "" if options.get("enable") == "false" else options.get("name", first)
