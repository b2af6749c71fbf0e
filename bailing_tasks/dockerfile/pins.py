"""A copy of a Dockerfile in which external images go by names of our own."""

from __future__ import annotations

from collections.abc import Mapping

from bailing_tasks.dockerfile.analysis import DEFAULT_PLATFORM, analyse, image_sites
from bailing_tasks.dockerfile.states import OnBuild, Site
from bailing_tasks.dockerfile.text import to_raw
from bailing_tasks.errors import UsageError
from bailing_tasks.platforms import Platform

_NO_ARGS: Mapping[str, str] = {}
_NO_ONBUILD: OnBuild = {}


def pin_images(
    text: str | bytes,
    names: Mapping[tuple[str, str], str],
    *,
    target: str | None = None,
    platform: str | Platform = DEFAULT_PLATFORM,
    build_platform: str | Platform = DEFAULT_PLATFORM,
    build_args: Mapping[str, str] = _NO_ARGS,
    all_stages: bool = False,
    onbuild: OnBuild = _NO_ONBUILD,
) -> str | bytes:
    """Put other names in the place of external images; every other byte stays.

    An image that an ONBUILD of another image names keeps its name: it is not in the file.

    Args:
        text: The Dockerfile.
        names: The new name by canonical reference and platform; an image not in it stays.
        target: These and the rest as in ``external_images``.
        platform: What is built for.
        build_platform: What is built on.
        build_args: Values for its ARGs.
        all_stages: Replace in stages as well that the target does not reach.
        onbuild: What base images add.

    Returns:
        Text where text was given, bytes where bytes were.

    Raises:
        DockerfileError: BuildKit refuses the file.
        UsageError: One of the names is a stage's.
    """
    analysis = analyse(text, target, platform, build_platform, build_args, all_stages, onbuild)
    taken = {name for name in names.values() if name.lower() in analysis.graph.by_name}
    if taken:
        raise UsageError(
            f"a stage of the Dockerfile is called {min(taken)} already",
            cause="an image that went by that name would be taken for the stage",
            remedy="choose another name for the image",
        )
    edits: dict[tuple[int, int], str] = {}
    for reference, image_platform, site in image_sites(analysis):
        name = names.get((str(reference), str(image_platform)))
        if name is not None and site.ranges:
            edits.update(_edits(site, name))
    raw = _apply(to_raw(text), edits)
    encoded = raw.encode("latin-1")
    return encoded if isinstance(text, bytes) else encoded.decode("utf-8", "surrogatepass")


def _edits(site: Site, name: str) -> dict[tuple[int, int], str]:
    """Put the new name where the old one's last part stood, and drop its other parts.

    A name may be broken over lines by continuations. Its last line may hold nothing else, and
    must not become empty: BuildKit would skip it, and read on.
    """
    *before, last = site.ranges
    return {**dict.fromkeys(before, ""), last: name}


def _apply(raw: str, edits: Mapping[tuple[int, int], str]) -> str:
    out, position = [], 0
    for (start, end), replacement in sorted(edits.items()):
        out += [raw[position:start], replacement]
        position = end
    return "".join(out) + raw[position:]
