"""What a run is for: a target, a platform and a Python version. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bailing_tasks.platforms import Platform
from bailing_tasks.settings import Settings, Target


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One target for one platform and one Python version."""

    target: Target
    platform: Platform
    python: str

    def __str__(self) -> str:
        return f"{self.target.name} {self.platform} (Python {self.python})"

    @property
    def built_for(self) -> tuple[Platform, str]:
        """Platform and Python: what the app and the builder that it is built on have in common."""
        return (self.platform, self.python)

    def of(self, target: Target) -> Variant:
        """Return the same platform and Python of another target."""
        return replace(self, target=target)


def variants(settings: Settings, target: Target, host: Platform) -> tuple[Variant, ...]:
    """Return a target for each platform and Python that a run is for.

    Args:
        settings: The workspace's settings, with what the command line chose.
        target: What is built.
        host: The platform of the engine.
    """
    return tuple(
        Variant(target=target, platform=platform, python=python)
        for python in settings.chosen_pythons()
        for platform in settings.chosen_platforms(host)
    )
