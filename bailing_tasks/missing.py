"""What a Dockerfile copies or mounts and its build context does not have: BuildKit ends there.

A wildcard without a match is not an error: BuildKit copies nothing then.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bailing_tasks import context, templates
from bailing_tasks.dockerfile import context_inputs
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.errors import DockerfileError, UsageError
from bailing_tasks.recipes import Recipe
from bailing_tasks.refusals import Refusal, combined
from bailing_tasks.settings import Settings

_LITERAL = re.compile(r"(?s:[^*?\[\\]|\\.)*")
_ESCAPED = re.compile(r"(?s:\\(.))")


@dataclass(frozen=True, kw_only=True)
class MissingSource:
    """A file or folder that a Dockerfile names and the build context does not have.

    Attributes:
        path: What is missing, from the workspace's root.
        ignored: Whether it is there, and an ignore file leaves it out.
        error: What a build of it ends with.
    """

    path: str
    ignored: bool
    error: DockerfileError


def complete(
    settings: Settings, readings: Iterable[Recipe | Refusal]
) -> tuple[Recipe | Refusal, ...]:
    """Return readings, of which those are refused that copy or mount what is not there."""
    return tuple(_complete(settings, each) for each in readings)


def _complete(settings: Settings, reading: Recipe | Refusal) -> Recipe | Refusal:
    errors = missing(settings, reading) if isinstance(reading, Recipe) else ()
    return Refusal(variant=reading.variant, error=combined(errors)) if errors else reading


def missing(settings: Settings, recipe: Recipe) -> tuple[DockerfileError | UsageError, ...]:
    """Return what a build of a recipe ends with for files that are not there, if it does.

    What templates render will be there.
    """
    try:
        found = tuple(missing_sources(settings, recipe))
    except (DockerfileError, UsageError) as error:
        return (error,)
    rendered = templates.find(settings.root, settings.templates) if found else ()
    return tuple(each.error for each in found if each.ignored or not _is_in(each.path, rendered))


def _is_in(path: str, rendered: Iterable[str]) -> bool:
    return any(f"{each}/".startswith(f"{path}/") for each in rendered)


def missing_sources(settings: Settings, recipe: Recipe) -> Iterator[MissingSource]:
    """Yield what a build of a recipe would not find in its context.

    Raises:
        DockerfileError: The ignore file cannot be read.
        UsageError: It is malformed.
    """
    target = recipe.variant.target
    folder = settings.root / target.context
    ignore_file = context.ignore_file(recipe.path, folder)
    ignore = DockerIgnore.parse(context.ignore_text(recipe.path, folder))
    for each in context_inputs(recipe.text, **recipe.selection):
        if not _LITERAL.fullmatch(each.pattern):
            continue
        source = _ESCAPED.sub(r"\1", each.pattern)
        if why := context.lacks(folder, ignore, source):
            ignored = why == context.IGNORED
            kind = "RUN --mount" if each.kind == "mount" else each.kind
            yield MissingSource(
                path=posixpath.normpath(posixpath.join(target.context, source)),
                ignored=ignored,
                error=DockerfileError(
                    f"{kind} {source}: not in the build context {target.context}",
                    line=each.line,
                    path=target.dockerfile,
                    cause=f"{ignore_file.name} leaves it out" if ignored and ignore_file else "",
                    remedy=f"let it in with a last line !{source} there"
                    if ignored
                    else "add it, or correct the path, which starts at the build context",
                ),
            )
