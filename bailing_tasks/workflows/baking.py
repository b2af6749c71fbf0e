"""What the targets of a bake file build, as `docker buildx bake --print` shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bailing_tasks.workflows import fields
from bailing_tasks.workflows.builds import Build
from bailing_tasks.workflows.contexts import BakeCall, Surroundings
from bailing_tasks.workflows.expressions import UNKNOWN, Truth, either


def baked(call: BakeCall, base: Build, around: Surroundings, pushes: Truth) -> list[Build]:
    """Return the builds of a bake.

    Args:
        call: What is asked of bake.
        base: The build that each target's is made from.
        around: The surroundings, which know how to ask.
        pushes: Whether all targets are pushed.

    Raises:
        EngineError: buildx is not there, or refuses the file.
    """
    return [_target(target, call, base, pushes) for target in around.bake(call).values()]


def _target(target: Mapping[str, Any], call: BakeCall, base: Build, pushes: Truth) -> Build:
    context = fields.inside(call.folder, target.get("context", "."))
    dockerfile = fields.inside(context, target.get("dockerfile", fields.DEFAULT_FILE))
    outputs = _texts(target.get("output", ()))
    return replace(
        base,
        dockerfile=UNKNOWN if "dockerfile-inline" in target else dockerfile,
        context=context,
        stage=target.get("target", ""),
        build_args={name: str(value) for name, value in target.get("args", {}).items()},
        contexts=target.get("contexts", {}),
        platforms=fields.platforms(target.get("platforms", ())) or base.platforms,
        tags=fields.pushed_names(outputs, target.get("tags", ())),
        pushes=either(pushes, fields.to_registry(outputs)),
        caches=fields.caches(_texts(target.get("cache-to", ()))),
    )


def _texts(values: Iterable[Any]) -> list[str]:
    """Return values as buildx takes them on its command line; newer releases print mappings."""
    return [
        value if isinstance(value, str) else ",".join(f"{key}={value[key]}" for key in value)
        for value in values
    ]
