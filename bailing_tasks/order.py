"""The order in which images are built: each after those that it needs. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from bailing_tasks.errors import SettingsError
from bailing_tasks.recipes import Recipe
from bailing_tasks.refusals import Refusal
from bailing_tasks.variants import Key, Variant


def in_order(
    readings: Iterable[Recipe | Refusal], read: Callable[[Variant], Recipe | Refusal]
) -> tuple[Recipe | Refusal, ...]:
    """Return recipes and those of all that they need, each after what it needs.

    Targets that need each other in a cycle are refused.

    Args:
        readings: What is wanted.
        read: Reads the recipe of what one of them needs.
    """
    found = {each.variant.key: each for each in readings}
    waiting = list(found.values())
    while waiting:
        for need in _needs(waiting.pop(0)):
            if need.key not in found:
                found[need.key] = read(need)
                waiting.append(found[need.key])
    while True:
        needs = {key: [need.key for need in _needs(each)] for key, each in found.items()}
        try:
            return tuple(found[key] for key in TopologicalSorter(needs).static_order())
        except CycleError as error:
            circle = _circle(error.args[1], found)
            for key in error.args[1]:
                found[key] = Refusal(variant=found[key].variant, error=circle)


def _needs(reading: Recipe | Refusal) -> Sequence[Variant]:
    return reading.needs if isinstance(reading, Recipe) else ()


def _circle(keys: Sequence[Key], readings: Mapping[Key, Recipe | Refusal]) -> SettingsError:
    """Return the error for recipes of which each is needed by the next one."""
    pairs = list(itertools.pairwise(reversed(keys)))
    names = [later[0] for later, _ in pairs]
    return SettingsError(
        f"services are built on each other in a circle: {' -> '.join([*names, names[0]])}",
        cause="; ".join(_why(readings[later], earlier) for later, earlier in pairs),
        remedy="take one of these out, or build what they share as a service of its own",
    )


def _why(reading: Recipe | Refusal, need: Key) -> str:
    """Say where a recipe names what it needs."""
    target = reading.variant.target
    lines = [
        target.place(mention.line)
        for each in (reading.own if isinstance(reading, Recipe) else ())
        if each.base.key == need
        for mention in each.image.mentions
    ]
    return f"{target.name} needs {need[0]} ({', '.join(lines) or 'by its setting `needs`'})"
