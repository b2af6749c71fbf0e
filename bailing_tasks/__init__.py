"""Tasks and sessions that prefetch, build and verify a builder image and an app image.

`from bailing_tasks import namespace` is all that a repository's tasks.py needs. The name is
looked up on first use, so that the rules (`bailing_tasks.dockerfile` and others) can be imported
without paying for Invoke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.collection import Collection

    namespace: Collection

__all__ = ["namespace"]


def __getattr__(name: str) -> object:
    """Import the task collection when it is asked for (PEP 562)."""
    if name == "namespace":
        from bailing_tasks.tasks import namespace

        return namespace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
