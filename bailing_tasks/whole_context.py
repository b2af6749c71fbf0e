"""What to say where a build reads its whole context: any change there builds it again. Pure."""

from __future__ import annotations

from collections.abc import Collection

from bailing_tasks.dockerfile import context_inputs
from bailing_tasks.dockerfile.dockerignore import matches_source
from bailing_tasks.dockerfile.evaluation import WHOLE_CONTEXT
from bailing_tasks.recipes import Recipe

SELDOM_NEEDED = (
    *(".git", ".github", ".gitlab-ci.yml", ".gitignore", ".vscode", ".idea", ".env", ".venv"),
    *("venv", "node_modules", "docs", "tests", "test", "*.md", "images.lock"),
    *("**/__pycache__", "**/*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".nox"),
)
"""Lines for a `.dockerignore` that most images can do with."""


def lines(recipe: Recipe) -> tuple[int, ...]:
    """Return the lines of the Dockerfile that copy all of the context."""
    found = context_inputs(recipe.text, **recipe.selection)
    return tuple(sorted({each.line for each in found if each.pattern == WHOLE_CONTEXT}))


def notes(recipe: Recipe, files: Collection[str]) -> tuple[str, ...]:
    """Return what to say of each of these lines, with what a `.dockerignore` may leave out.

    Args:
        recipe: What is built.
        files: What it takes of its context.
    """
    target = recipe.variant.target
    left_out = [line for line in SELDOM_NEEDED if any(matches_source(line, path) for path in files)]
    proposal = f"; lines for .dockerignore to consider: {', '.join(left_out)}" if left_out else ""
    return tuple(
        f"{target.dockerfile}:{line} copies the whole context: {target.name} depends on each of "
        f"its {len(files)} files and folders{proposal}"
        for line in lines(recipe)
    )
