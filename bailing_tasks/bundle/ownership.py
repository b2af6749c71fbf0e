"""Which images of a bundle get which names: a target's own, and no others. Pure.

A list comes from outside. Were its names used as they are, an image could take the name of a pin,
of another target, or of another workspace.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bailing_tasks.bundle.contents import Built, Contents, External
from bailing_tasks.errors import UsageError
from bailing_tasks.names import fingerprint_name, is_internal
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings
from bailing_tasks.variants import Variant

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


def check(contents: Contents, settings: Settings) -> None:
    """Make sure that no image of a bundle gets a name that is not its own.

    Raises:
        UsageError: One would.
    """
    for external in contents.external:
        _check_external(external)
    for built in contents.built:
        variant(built, settings)


def variant(image: Built, settings: Settings) -> Variant:
    """Return what a built image is of.

    Raises:
        UsageError: The workspace has no such target, or the name is not made from a fingerprint.
    """
    target = next((each for each in settings.targets if each.name == image.target), None)
    if target is None:
        raise _refused(image.title, f"this workspace has no target {image.target!r}")
    if image.python not in settings.pythons_of(target):
        raise _refused(image.title, f"{target.name} has no variant for Python {image.python!r}")
    prefix = fingerprint_name(target, "")
    if not image.kept.startswith(prefix) or not _FINGERPRINT.fullmatch(
        image.kept.removeprefix(prefix)
    ):
        raise _refused(image.title, f"{image.kept} is not a name of {target.name}")
    return Variant(target=target, platform=Platform.parse(image.platform), python=image.python)


def _check_external(image: External) -> None:
    reference = Reference.parse(image.reference)
    if is_internal(str(replace(reference, digest=None))):
        raise _refused(image.title, "only the tasks give images such a name")


def _refused(title: str, cause: str) -> UsageError:
    return UsageError(
        f"the bundle cannot be used: {title} would get a name that is not its own; "
        "nothing was changed",
        cause=cause,
        remedy="check out what the bundle was saved from; if that is here, do not trust the bundle",
    )
