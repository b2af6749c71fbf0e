"""Which images have passed their checks: an image that did is not checked again before a push."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import UTC, datetime

from bailing_tasks.errors import UsageError
from bailing_tasks.settings import VerifySettings
from bailing_tasks.state import State

FILE = "verified.json"
KEPT = 200
"""How many are remembered."""


def remember(state: State, identity: str, settings: VerifySettings) -> None:
    """Write down that an image has passed."""
    known = _read(state)
    known.pop(_key(identity, settings), None)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    known[_key(identity, settings)] = at
    latest = dict(list(known.items())[-KEPT:])
    with contextlib.suppress(UsageError):  # it only saves time
        state.write(FILE, json.dumps(latest, indent=2) + "\n")


def passed_at(state: State, identity: str, settings: VerifySettings) -> str:
    """Return when an image passed these checks, by ISO 8601; empty where that is not known."""
    return _read(state).get(_key(identity, settings), "")


def _key(identity: str, settings: VerifySettings) -> str:
    checks = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
    return f"{identity} {checks}"


def _read(state: State) -> dict[str, str]:
    """Return what is remembered; nothing where that cannot be understood."""
    try:
        return {
            str(key): str(at) for key, at in json.loads((state.folder / FILE).read_bytes()).items()
        }
    except (OSError, ValueError, AttributeError):
        return {}
