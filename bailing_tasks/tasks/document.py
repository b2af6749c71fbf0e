"""The one JSON document of a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

SCHEMA = 1
"""Counted up when the JSON document of a run changes its shape."""


class Document:
    """What a run has to say, as plain data, the results of its tasks in order.

    Attributes:
        results: What the tasks have said.
        json: Whether it is printed.
        failed: The error that ended the run.
    """

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self.json = False
        self.failed: dict[str, Any] | None = None
        self._at_top: dict[str, Any] = {}

    def report(self, name: str, result: Mapping[str, Any], *, at_top: bool = False) -> None:
        """Add a task's result to the run's document.

        Args:
            name: The task.
            result: What it has to say, as plain data.
            at_top: Whether it stands at the document's top level as well.
        """
        self.results.append({"task": name, **result})
        if at_top:
            self._at_top |= result

    def print_document(self) -> None:
        """Print the run's one JSON document, if a task asked for it."""
        from bailing_tasks.console import no_longer_read
        from bailing_tasks.state import to_json

        if self.json:
            document = {"schema": SCHEMA, **self._at_top, "results": self.results}
            if self.failed:
                document["error"] = self.failed
            try:
                print(to_json(document), flush=True)
            except OSError as error:
                no_longer_read(sys.stdout, error)
