"""BuildKit's cache between runs: where a build takes it from, and where it puts it. Pure."""

from __future__ import annotations

from bailing_tasks.names import registry_tag
from bailing_tasks.settings import Settings
from bailing_tasks.variants import Variant

NOT_EXPORTED = (
    "the build cache is not kept for the next run: a Docker engine with the classic image store "
    "cannot write it\nturn on the containerd image store, or build with a BuildKit of its own "
    "(`docker buildx create --use`)"
)
"""What people are told where an engine cannot write its cache elsewhere."""


def cache_of(settings: Settings, variant: Variant) -> str:
    """Return where a variant's cache is, as buildx writes it; empty for nowhere.

    No two platforms or Pythons share one: they would push each other's layers out.
    """
    target = variant.target
    if not target.repository and "{repository}" in settings.ci.cache:
        return ""
    platform = registry_tag(str(variant.platform).replace("/", "-"), variant.python, settings)
    values = {"{repository}": target.repository, "{target}": target.name, "{platform}": platform}
    cache = settings.ci.cache
    for name, value in values.items():
        cache = cache.replace(name, value)
    return cache


def written(cache: str) -> str:
    """Return where a build puts its cache, as buildx writes it.

    All stages' layers are put there, and where it does not take them the build goes on; a cache
    that says something else about these is obeyed.

    Args:
        cache: Where the cache is, as by `cache_of`.
    """
    return f"mode=max,ignore-error=true,{cache}" if cache else ""
