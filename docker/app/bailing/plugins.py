"""Plugins: modules of the package `plugins`, each with a `plugin` that may answer what was said."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin module declares.

    Attributes:
        description: What it does, for people.
        answer: Takes what was said; returns what to say, or None to leave it to the next plugin.
    """

    description: str
    answer: Callable[[str], str | None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A plugin module that was found.

    Attributes:
        name: The module's name.
        state: enabled, disabled or broken.
        description: The plugin's own; of a broken one, why it cannot be used.
        plugin: The plugin, if it is enabled.
    """

    name: str
    state: str
    description: str = ""
    plugin: Plugin | None = None


def discover(disabled: Collection[str] = (), package: str = "plugins") -> tuple[Found, ...]:
    """Return every plugin of a package by name; a broken one is reported, not fatal."""
    folders = importlib.import_module(package).__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folders))
    return tuple(
        Found(name=name, state="disabled") if name in disabled else _load(package, name)
        for name in names
    )


def answer(found: Iterable[Found], text: str) -> tuple[str, str] | None:
    """Return the name of the first plugin that answers, and its answer; None if none does."""
    for item in found:
        if item.plugin and (reply := item.plugin.answer(text)) is not None:
            return item.name, reply
    return None


def _load(package: str, name: str) -> Found:
    """Import a plugin module; whatever goes wrong in it is its own."""
    try:
        plugin = importlib.import_module(f"{package}.{name}").plugin
        if not isinstance(plugin, Plugin):
            raise TypeError(f"`plugin` is not a Plugin but {plugin!r}")
    except Exception as error:
        return Found(name=name, state="broken", description=f"{type(error).__name__}: {error}")
    return Found(name=name, state="enabled", description=plugin.description, plugin=plugin)
