"""Which engine builds: that of a buildx builder that somebody named, else Docker's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.connect import check_buildx, connect


def choose(
    environment: Mapping[str, str],
    *,
    builder: str,
    layout: Path,
    plain_http: Collection[str] = (),
) -> Engine:
    """Return the engine of a buildx builder, else of DOCKER_HOST or Docker's context.

    Args:
        environment: Environment variables.
        builder: The buildx builder that is to build; that of BUILDX_BUILDER where it is empty.
        layout: Where images are held for a BuildKit of its own.
        plain_http: Hosts of registries that are asked for it by HTTP.

    Raises:
        UsageError: Docker's configuration, or the environment, makes no sense.
        EngineError: There is no such builder or engine, it is stopped, or too old.
    """
    named = builder or environment.get("BUILDX_BUILDER", "")
    if not named:
        return connect(environment)
    from bailing_tasks.engine import buildx

    check_buildx()
    found = buildx.inspect(named)
    if found.is_docker:
        return _in_context(environment, found.context)
    from bailing_tasks.engine.buildkit import BuildKitEngine

    return BuildKitEngine(found, layout, lambda: connect(environment), plain_http)


def _in_context(environment: Mapping[str, str], context: str) -> Engine:
    """Return the engine of a Docker context; `default` stands for DOCKER_HOST where that is set."""
    if context == "default":
        return connect({**environment, "DOCKER_CONTEXT": context})
    others = {name: environment[name] for name in environment if name != "DOCKER_HOST"}
    engine = connect({**others, "DOCKER_CONTEXT": context})
    engine.docker_context = context
    return engine
