"""The fingerprints of all that a workspace builds, without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bailing_tasks import locking, needs, workspace
from bailing_tasks.build_plan import read_inputs
from bailing_tasks.fingerprint import fingerprint
from bailing_tasks.names import fingerprint_name
from bailing_tasks.order import in_order
from bailing_tasks.recipes import OnBuildLookup, on_bases, unknown
from bailing_tasks.refusals import checked
from bailing_tasks.settings import Settings
from bailing_tasks.state import State
from bailing_tasks.variants import Key


def read(root: Path) -> Settings:
    """Return the settings of a workspace, for each platform and Python that they name."""
    return workspace.settings(
        root,
        environment={},
        overrides={"platforms": ["all"], "python": ["all"]},
        describe=str,
        overwrite=False,
    )


def fingerprints(
    settings: Settings, onbuild: OnBuildLookup = unknown
) -> Mapping[str, tuple[str, ...]]:
    """Return for each target the fingerprints of its variants, and of all that they need."""
    host, state = needs.machine(), State(settings.root)
    pins = locking.bind({}, locking.read(settings.root) or {})
    recipes = [
        recipe
        for target in needs.targets(settings, host)
        for recipe in needs.recipes(settings, target, host, onbuild=onbuild)
    ]
    names: dict[Key, str] = {}
    found: dict[Key, tuple[str, ...]] = {}
    ordered = in_order(recipes, lambda need: needs.read(settings, need, host, onbuild=onbuild))
    for recipe in checked(ordered):
        key = recipe.variant.key
        digest = fingerprint(read_inputs(settings, on_bases(settings, recipe, names), pins, state))
        names[key] = fingerprint_name(recipe.variant.target, digest)
        found[key] = (digest, *(each for need in recipe.needs for each in found[need.key]))
    by_name: dict[str, list[str]] = {}
    for (name, *_), digests in sorted(found.items()):
        by_name.setdefault(name, []).extend(digests)
    return {name: tuple(digests) for name, digests in by_name.items()}
