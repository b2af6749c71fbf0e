"""Which images of an engine this workspace built and needs no more, and how they go.

An image is considered if its label names one of the targets, and if the state records that this
workspace brought it there, or it has a staging name of this workspace. An image that another
workspace holds stays (`bailing_tasks.holding`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from bailing_tasks.engine.base import Engine, Held
from bailing_tasks.errors import EngineError
from bailing_tasks.names import LABEL, current_prefix, fingerprint_name, staging_prefix
from bailing_tasks.references import Reference
from bailing_tasks.settings import Target

SUPERSEDED = "another build has its name now"
LEFT_OVER = "an interrupted build left it"
WANTED = "--all takes what is up to date as well"


@dataclass(frozen=True, kw_only=True)
class Removal:
    """An image that names are taken from; without any other it goes.

    Attributes:
        image: Its id.
        target: The target that it was built of.
        platform: Its platform.
        names: The names that are taken, in order; its id where it has none.
        stays_as: The names that others gave it, under which it stays.
        size: Its bytes, as the engine counts them; what other images share of them stays.
        why: Why it is needed no more.
        releases: Whether the name by which this workspace holds the image is among them.
    """

    image: str
    target: str
    platform: str
    names: tuple[str, ...]
    stays_as: tuple[str, ...]
    size: int
    why: str
    releases: bool = False


def repositories(targets: Iterable[Target]) -> frozenset[str]:
    """Return the repositories of the names that images of targets have in an engine."""
    images = [target.image for target in targets]
    return frozenset((*images, *(f"localhost/{image}" for image in images)))


def removals(
    images: Iterable[Held],
    targets: Iterable[Target],
    built: Collection[str],
    *,
    workspace: str,
    everything: bool,
) -> tuple[Removal, ...]:
    """Return what is to go.

    What this or another workspace holds stays, and what people have a name for. Clones that build
    at once make several images from the same inputs: where another clone holds one of them, the
    names that they share stay.

    Args:
        images: The images of an engine.
        targets: What the workspace builds.
        built: The ids of the images that this workspace brought into the engine.
        workspace: The workspace's id.
        everything: Whether images go that this workspace holds or people have a name for, too.
    """
    every = tuple(images)
    owners = {target.repository or target.image: target for target in targets}
    needed = {
        image.labels.get(LABEL, "")
        for image in every
        if _of_others(image.names, owners.values(), workspace)
    }
    found = (
        _removal(image, owners, built, needed, workspace, everything=everything) for image in every
    )
    return tuple(sorted(filter(None, found), key=lambda each: (each.target, each.names)))


def _removal(
    image: Held,
    owners: dict[str, Target],
    built: Collection[str],
    needed: Collection[str],
    workspace: str,
    *,
    everything: bool,
) -> Removal | None:
    """Return what is to go of an image; `needed` are the labels of what other workspaces hold."""
    owner, _, fingerprint = image.labels.get(LABEL, "").rpartition(":")
    owner, _, platform = owner.rpartition(":")
    target = owners.get(owner)
    if target is None:
        return None
    kept = fingerprint_name(target, fingerprint)
    staged = _beginning(image.names, staging_prefix(target, workspace))
    if image.id not in built and not staged:
        return None
    local = _of_repository(image.names, target.image)
    own = _beginning(image.names, current_prefix(target) + workspace)
    others = set(image.names) - {kept, *staged, *local, *own}
    lasting: tuple[str, ...] = ()
    if image.id in built and everything:
        lasting = (*own, *local, kept)
    elif image.id in built and not (own or local or others):
        lasting = (kept,)
    if image.labels[LABEL] in needed:  # the other names are that workspace's as well
        lasting = tuple(name for name in lasting if name in own)
    # The lasting name is the last one: where it cannot be taken, the image is as it was.
    taken = tuple(name for name in (*staged, *lasting) if name in image.names)
    if image.names and not taken:
        return None
    return Removal(
        image=image.id,
        target=target.name,
        platform=platform,
        names=taken or (image.id,),
        stays_as=tuple(name for name in image.names if name not in taken),
        size=image.size,
        why=WANTED if lasting and (own or local or others) else LEFT_OVER if staged else SUPERSEDED,
        releases=not set(own).isdisjoint(taken),
    )


def _of_others(names: Iterable[str], targets: Iterable[Target], workspace: str) -> bool:
    """Whether a workspace other than this one holds an image that has some names."""
    prefixes = tuple(current_prefix(target) for target in targets)
    own = tuple(f"{prefix}{workspace}-" for prefix in prefixes)
    return any(name.startswith(prefixes) and not name.startswith(own) for name in names)


def _beginning(names: Iterable[str], prefix: str) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith(prefix))


def _of_repository(names: Iterable[str], image: str) -> tuple[str, ...]:
    """Return the tags of a repository."""
    repository = Reference.parse(image).repository
    return tuple(
        name for name in names if "@" not in name and Reference.parse(name).repository == repository
    )


def remove(engine: Engine, removal: Removal) -> str:
    """Take an image's names; return why the engine keeps it, empty where it does not.

    An image that the engine does not let go, since a container uses it, has all its names again.

    Raises:
        EngineError: The engine has stopped.
    """
    taken: list[str] = []
    for name in removal.names:
        try:
            engine.untag(name)
        except EngineError as error:
            for each in taken:
                engine.tag(name, each)
            return error.cause
        taken.append(name)
    return ""


def commands(engine: Engine, removal: Removal) -> Iterator[str]:
    """Yield what stands in a dry run for a removal."""
    for name in removal.names:
        yield engine.shown("rmi", name)
