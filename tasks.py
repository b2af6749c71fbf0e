"""The tasks of this repository: those that it gives to others."""

from bailing_tasks import namespace

__all__ = ["namespace"]
