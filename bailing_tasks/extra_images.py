"""The images that no Dockerfile names: those of the settings, and those of Compose files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bailing_tasks import compose
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.refusals import Refused
from bailing_tasks.settings import Settings
from bailing_tasks.wanted import WantedImage, joined

NAMED_AT = "extra-images in pyproject.toml"


def extra_wanted(
    settings: Settings, host: Platform, variables: Mapping[str, str]
) -> tuple[tuple[WantedImage, ...], tuple[Refused, ...]]:
    """Return the images that no Dockerfile names, each once a platform, and what cannot be read.

    Those of a service that asks for a platform are for that one alone, whichever the run is for.

    Args:
        settings: The workspace's settings.
        host: The platform of the engine.
        variables: The variables that Compose files may name.
    """
    root, platforms = settings.root, settings.chosen_platforms(host)
    refused: list[Refused] = []
    of_services: list[compose.ComposeImage] = []
    for file in settings.compose_files:
        try:
            of_services += compose.images(file, variables, read=lambda path: _read(root, path))
        except UsageError as error:
            refused.append(Refused(error=error))
    made = {image.name for image in of_services if image.built}
    found = [
        *((NAMED_AT, name, "") for name in settings.extra_images),
        *(
            (image.place, image.name, image.platform)
            for image in of_services
            if image.name not in made
        ),
    ]
    images: list[WantedImage] = []
    for each in found:
        try:
            images += _wanted(*each, platforms)
        except UsageError as error:
            refused.append(Refused(error=error))
    external = (image for image in images if not settings.owner(image.reference))
    return joined(external), tuple(refused)


def _wanted(
    place: str, name: str, platform: str, platforms: Sequence[Platform]
) -> Iterator[WantedImage]:
    try:
        reference = Reference.parse(name)
        chosen = (Platform.parse(platform),) if platform else platforms
    except UsageError as error:
        raise UsageError(
            f"{place}: {error.message}", cause=error.cause, remedy=error.remedy
        ) from error
    for each in chosen:
        yield WantedImage(reference=reference, platform=each, named_at=(place,), targets=())


def _read(root: Path, path: str) -> str:
    try:
        return (root / path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the Compose file {path} cannot be read",
            cause=str(error),
            remedy="name another one in compose-files, or what it includes in extra-images",
        ) from error
