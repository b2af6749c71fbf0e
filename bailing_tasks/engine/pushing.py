"""Pushes by a Docker engine: under a name that the image has for that time alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bailing_tasks.engine.base import Engine
from bailing_tasks.engine.transport import BROKEN, RefusedError, Stream
from bailing_tasks.errors import EngineError, RegistryError

TICK_SECONDS = 60.0

NOBODY = "e30="
"""The header for no login, an empty object in Base64: an engine refuses a push without any."""

_STATUS = re.compile(r"digest: (sha256:[0-9a-f]{64})")
"""The containerd store says it in words alone, the classic store in `aux` as well."""


@contextlib.contextmanager
def named(engine: Engine, name: str, new: str) -> Iterator[None]:
    """Give an image a further name; afterwards that names what it did before.

    Raises:
        EngineError: There is no such image, or the engine refuses.
    """
    before = engine.image(new)
    engine.tag(name, new)
    try:
        yield
    finally:
        # What is left is a name too many; what the push came to is worth more.
        with contextlib.suppress(EngineError):
            if before is None:
                engine.untag(new)
            else:
                engine.tag(before.id, new)


def digest(follow: Callable[[], Stream], failed: Callable[..., RegistryError], *, name: str) -> str:
    """Return the digest of the manifest that an engine pushes, once it has.

    Args:
        follow: Has the engine push.
        failed: Makes the error for what the engine or the registry said.
        name: What is pushed, for messages.

    Raises:
        RegistryError: It could not be pushed.
        EngineError: The connection to the engine broke.
    """
    found = ""
    try:
        with contextlib.closing(follow()) as stream:
            for document in stream.documents(TICK_SECONDS):
                if document and "error" in document:
                    raise failed(str(document["error"]))
                found = _digest(document or {}) or found
    except RefusedError as error:
        raise failed(str(error)) from error
    except BROKEN as error:
        raise EngineError(
            f"{name} could not be pushed",
            cause=f"the connection to the engine broke ({error})",
            remedy="`docker info` shows whether the engine is well; then run it again",
        ) from error
    if not found:
        raise failed("the engine does not say under which digest it pushed it")
    return found


def _digest(document: Mapping[str, Any]) -> str:
    said = (document.get("aux") or {}).get("Digest", "")
    match = _STATUS.search(str(document.get("status", "")))
    return str(said or (match[1] if match else ""))
