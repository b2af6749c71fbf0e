"""What a run is for: a target, a platform and a Python version. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bailing_tasks.platforms import Platform
from bailing_tasks.settings import Settings, Target

Key = tuple[str, str, str]
"""A target's name, a platform and a Python version."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One target for one platform and one Python version.

    The Python is empty for a target that is the same for all of them: a service.
    """

    target: Target
    platform: Platform
    python: str

    def __str__(self) -> str:
        python = f" (Python {self.python})" if self.python else ""
        return f"{self.target.name} {self.platform}{python}"

    @property
    def key(self) -> Key:
        """Target, platform and Python as text: what a step of a run is found by."""
        return (self.target.name, str(self.platform), self.python)

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
        for python in (settings.chosen_pythons() if target.per_python else ("",))
        for platform in settings.chosen_platforms(host)
    )
