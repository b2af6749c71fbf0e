"""The order in which images are built: each after those that it needs. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from bailing_tasks.errors import SettingsError
from bailing_tasks.recipes import Recipe
from bailing_tasks.variants import Key, Variant


def in_order(recipes: Iterable[Recipe], read: Callable[[Variant], Recipe]) -> tuple[Recipe, ...]:
    """Return recipes and those of all that they need, each after what it needs.

    Args:
        recipes: What is wanted.
        read: Reads the recipe of what one of them needs.

    Raises:
        SettingsError: Some need each other in a circle.
    """
    found: dict[Key, Recipe] = {recipe.variant.key: recipe for recipe in recipes}
    waiting = list(found.values())
    while waiting:
        for need in waiting.pop(0).needs:
            if need.key not in found:
                found[need.key] = read(need)
                waiting.append(found[need.key])
    needs = {key: [need.key for need in recipe.needs] for key, recipe in found.items()}
    try:
        return tuple(found[key] for key in TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise _circle(error.args[1], found) from error


def _circle(keys: Sequence[Key], recipes: Mapping[Key, Recipe]) -> SettingsError:
    """Return the error for recipes of which each is needed by the next one."""
    pairs = list(itertools.pairwise(reversed(keys)))
    names = [later[0] for later, _ in pairs]
    return SettingsError(
        f"services are built on each other in a circle: {' -> '.join([*names, names[0]])}",
        cause="; ".join(_why(recipes[later], earlier) for later, earlier in pairs),
        remedy="take one of these out, or build what they share as a service of its own",
    )


def _why(recipe: Recipe, need: Key) -> str:
    """Say where a recipe names what it needs."""
    target = recipe.variant.target
    lines = [
        target.place(mention.line)
        for each in recipe.own
        if each.base.key == need
        for mention in each.image.mentions
    ]
    return f"{target.name} needs {need[0]} ({', '.join(lines) or 'by its setting `needs`'})"
