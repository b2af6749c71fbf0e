"""What ONBUILD of external images adds to builds on them: instructions in their configurations."""

from __future__ import annotations

import contextlib
import functools
import json
import threading

from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import UsageError
from bailing_tasks.kept import held_name
from bailing_tasks.state import Pin, State

FILE = "onbuild.json"
"""By digest and platform of an image, its instructions: they never change."""


class KnownOnBuild:
    """The ONBUILD instructions of pinned images, for one run, whose threads may share it.

    They are read where an engine has the image, and kept for later runs, which may have no engine.

    Args:
        state: Where they are kept.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._one_at_a_time = threading.Lock()
        self._absent: set[str] = set()

    @functools.cached_property
    def _known(self) -> dict[str, tuple[str, ...]]:
        return _read(self._state)

    def look_again(self) -> None:
        """Ask engines again for what they did not have: it may have been pulled."""
        self._absent.clear()

    def of(self, pin: Pin | None, engine: Engine | None) -> tuple[str, ...] | None:
        """Return the instructions of an image; None where they are not known.

        Args:
            pin: What it is pinned to; None where it is not.
            engine: Who may have it; None where no engine is asked.

        Raises:
            EngineError: The engine failed.
        """
        if pin is None:
            return None
        key = f"{pin.digest} {pin.platform}"  # a digest may be that of an index
        with self._one_at_a_time:
            if key not in self._known and engine and key not in self._absent:
                self._look(key, pin, engine)
            return self._known.get(key)

    def _look(self, key: str, pin: Pin, engine: Engine) -> None:
        name = held_name(engine, pin)
        found = engine.image(name) if name else None
        if found is None:
            self._absent.add(key)
            return
        self._known[key] = found.onbuild
        if self._state.folder.exists():  # it is made by a run that changes something
            with contextlib.suppress(UsageError):  # the engine can be asked again
                text = json.dumps(self._known, indent=2, sort_keys=True)
                self._state.write(FILE, f"{text}\n", durable=False)


def _read(state: State) -> dict[str, tuple[str, ...]]:
    """Return what earlier runs found out; nothing where that cannot be understood."""
    try:
        document = json.loads((state.folder / FILE).read_bytes())
        return {str(key): tuple(map(str, texts)) for key, texts in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
