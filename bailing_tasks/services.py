"""The services of a workspace: found by pattern, refined or added by tables of the settings.

A service is one image. Its name is that of its Dockerfile's folder, or what its Dockerfile is
called beside `Dockerfile` (`Dockerfile.backend`, `backend.Dockerfile`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from bailing_tasks import globs, hosting
from bailing_tasks.errors import SettingsError, perhaps_meant
from bailing_tasks.option import as_image
from bailing_tasks.references import MAX_NAME_LENGTH
from bailing_tasks.service_options import SERVICE_OPTIONS
from bailing_tasks.settings import FROM_FILE, Target

TABLE = "[tool.bailing-tasks.service.{}]"
RESERVED = ("builder", "app")
REPOSITORY = "{repository}"
_DOCKERFILE = re.compile(r"(?:dockerfile|containerfile)(?:\.(?P<after>.+))?", re.IGNORECASE)
_BEFORE = re.compile(r"(?P<before>.+)\.(?:dockerfile|containerfile)", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_NOT_IN_TAG = re.compile(r"[^\w.-]+", re.ASCII)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_BY_KEY = {option.key: option for option in SERVICE_OPTIONS}


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """What the names of all services are made by.

    Attributes:
        image: Pattern of the local names.
        repository: Pattern of the repositories.
        base: What replaces `{repository}`; empty where that is not known.
        context: The build context of all; empty for the folder of each one's Dockerfile.
        project: What `{project}` stands for.
        version: Returns what `{version}` stands for.
    """

    image: str
    repository: str
    base: str
    context: str
    project: str
    version: Callable[[], str]

    def fill(self, pattern: str, service: str) -> str:
        """Return a pattern's text for a service.

        Raises:
            SettingsError: It names the repository, which is not known.
        """
        if REPOSITORY in pattern and not self.base:
            raise SettingsError(
                f"{pattern!r} of the service {service} names {REPOSITORY}, which is not known",
                cause=hosting.NO_DEFAULT,
                remedy="set `repository` in [tool.bailing-tasks]",
            )
        text = pattern.replace("{service}", service).replace("{project}", self.project)
        text = text.replace(REPOSITORY, self.base)
        return text.replace("{version}", self.version()) if "{version}" in text else text


def as_tag(version: str) -> str:
    """Return a version as a tag may be, with room for platform and Python after it.

    `latest` where there is none.
    """
    return _NOT_IN_TAG.sub("-", version).lstrip(".-")[:MAX_NAME_LENGTH] or "latest"


def find(root: Path, patterns: Sequence[str], rendered: Collection[str]) -> tuple[str, ...]:
    """Return the Dockerfiles that patterns find, by path from the workspace's root.

    What belongs to a Dockerfile and is none, as `Dockerfile.dockerignore`, is not among them.

    Args:
        root: The workspace's folder.
        patterns: Globs, in which `**` is any number of folders; one with a leading `!` excludes.
        rendered: Files that need not be there: templates make them.

    Raises:
        SettingsError: A pattern finds nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        text = pattern.removeprefix("!")
        paths = set(globs.files(root, text, "services"))
        paths.update(path for path in rendered if globs.matches(text, path, "services"))
        if pattern.startswith("!"):
            found -= paths
            continue
        if not paths:
            raise globs.nothing(root, pattern, "services")
        found |= paths
    return tuple(path for path in sorted(found) if not path.endswith(".dockerignore"))


def name_of(dockerfile: str) -> str:
    """Return the name of a service by its Dockerfile's path; empty where none can be made."""
    path = PurePosixPath(dockerfile)
    if match := _DOCKERFILE.fullmatch(path.name):
        name = match["after"] or path.parent.name
    elif match := _BEFORE.fullmatch(path.name):
        name = match["before"]
    else:
        name = path.parent.name
    return name.lower() if _NAME.fullmatch(name.lower()) else ""


@dataclass(frozen=True, kw_only=True)
class Services:
    """What `read` returns.

    Attributes:
        targets: The services, by name.
        values: The settings that tables give, by whole key.
        origins: Where they came from.
    """

    targets: tuple[Target, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


def read(
    found: Sequence[str], tables: Mapping[str, Mapping[str, Any]], patterns: Patterns
) -> Services:
    """Return the services of a workspace.

    Args:
        found: The Dockerfiles that were found.
        tables: For each service that the settings name, its table.
        patterns: What names are made by.

    Raises:
        SettingsError: A table makes no sense, or two services have one name or one image.
    """
    names = _names(found, tables)
    targets: dict[str, Target] = {}
    values: dict[str, Any] = {}
    for name in sorted({*names, *tables}):
        given = _given(name, tables.get(name, {}))
        values |= {f"service.{name}.{key}": value for key, value in given.items()}
        for target in _targets(name, names.get(name, ""), given, patterns):
            if target.name in targets:
                raise SettingsError(
                    f"two services are called {target.name!r}",
                    remedy=f"give one of them another name: {TABLE.format('NAME')} with its "
                    "dockerfile and stage",
                )
            targets[target.name] = target
    _check_needs(targets)
    return Services(
        targets=tuple(targets[name] for name in sorted(targets)),
        values=values,
        origins=dict.fromkeys(values, FROM_FILE),
    )


def _names(found: Sequence[str], tables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the Dockerfile of each service that was found, by its name."""
    names: dict[str, str] = {}
    for path in found:
        name = name_of(path)
        if not name or name in names or name in RESERVED:
            listed = any(table.get("dockerfile") == path for table in tables.values())
            if listed:
                continue
            cause = f"{names[name]} is called so too" if name in names else ""
            raise SettingsError(
                f"{path} needs a name for its service: {name or 'its folder'!r} cannot be it",
                cause=cause
                or "a name is lower-case letters, digits and . _ - between them, and "
                f"not {' or '.join(RESERVED)}",
                remedy=f'name it: {TABLE.format("NAME")} with dockerfile = "{path}"',
            )
        names[name] = path
    return names


def _given(name: str, table: Any) -> dict[str, Any]:
    """Return the typed values of a table."""
    place = TABLE.format(name)
    if not isinstance(table, Mapping):
        raise SettingsError(f"{place}: expected a table, got {table!r}")
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise SettingsError(
            f"{place}: no service can be called {name!r}",
            remedy="a name is lower-case letters, digits and . _ - between them, and not "
            + " or ".join(RESERVED),
        )
    for key in table:
        if key not in _BY_KEY:
            raise SettingsError(
                f"{place} has no key {key!r}",
                remedy=perhaps_meant(key, _BY_KEY, f"keys: {', '.join(_BY_KEY)}"),
            )
    return {key: _BY_KEY[key].read(value, f"{place} {key}") for key, value in table.items()}


def _targets(
    name: str, dockerfile: str, given: Mapping[str, Any], patterns: Patterns
) -> Iterator[Target]:
    """Yield the images of one service: one, or one for each of its stages."""
    values = {key: given.get(key, option.default) for key, option in _BY_KEY.items()}
    path = values["dockerfile"] or dockerfile
    place = TABLE.format(name)
    if bool(path) == bool(values["from-image"]):
        raise SettingsError(
            f"{place}: a service has a dockerfile or is another's image (from-image), and not both",
            remedy="set one of the two",
        )
    if values["stage"] and values["stages"]:
        raise SettingsError(f"{place}: it has both stage and stages", remedy="set one of the two")
    target = _target(name, path, values, patterns)
    if not values["stages"]:
        yield target
        return
    if values["image"] or values["repository"]:
        raise SettingsError(
            f"{place}: its stages cannot have one image or repository",
            remedy="leave those to the patterns, or write a table for each stage",
        )
    for stage in values["stages"]:
        several = f"{name}-{stage.lower()}"
        yield replace(_target(several, path, values, patterns), stage=stage)


def _target(name: str, dockerfile: str, values: Mapping[str, Any], patterns: Patterns) -> Target:
    folder = PurePosixPath(dockerfile).parent.as_posix() if dockerfile else "."
    context = values["context"] or patterns.context or folder
    image, tag = (
        _filled(patterns, part, name) for part in _tagged(values["image"] or patterns.image)
    )
    unknown = REPOSITORY in patterns.repository and not patterns.base
    pattern = "" if unknown else patterns.repository
    repository = values["repository"] or _filled(patterns, pattern, name).lower()
    return Target(
        name=name,
        dockerfile=dockerfile,
        stage=values["stage"],
        context=context,
        image=_image(name, image),
        tag=as_tag(tag),
        repository=_BY_KEY["repository"].read(repository.lower(), f"the repository of {name}"),
        build_args={key: patterns.fill(value, name) for key, value in values["build-args"].items()},
        secrets=values["secrets"],
        triggers=tuple(values["triggers"]),
        tags=tuple(values["tags"]),
        needs=tuple(values["needs"]),
        from_image=values["from-image"],
        per_python=False,
    )


def _filled(patterns: Patterns, pattern: str, service: str) -> str:
    """Return the text of a pattern that names an image."""
    text = patterns.fill(pattern, service)
    if left := _PLACEHOLDER.search(text):
        raise SettingsError(
            f"{pattern!r} names the image of {service}: {left[0]} stands for nothing",
            remedy="{project}, {service}, {version} and {repository} are filled in",
        )
    return text


def _tagged(pattern: str) -> tuple[str, str]:
    """Return the patterns of an image's name and of its tag; a registry may have a port."""
    image, _, tag = pattern.rpartition(":")
    return (image, tag) if image and "/" not in tag else (pattern, "")


def _image(name: str, image: str) -> str:
    try:
        return as_image(image.lower())
    except TypeError as error:
        raise SettingsError(
            f"the local name of {name} is {image!r}: expected {error}",
            remedy="change `service-image`; `service-repository` says where it is published",
        ) from error


def _check_needs(targets: Mapping[str, Target]) -> None:
    for target in targets.values():
        for need in target.needs:
            if need not in targets:
                there_are = f"there are {', '.join(sorted(targets))}"
                raise SettingsError(
                    f"{TABLE.format(target.name)} needs: there is no service {need!r}",
                    remedy=perhaps_meant(need, targets, there_are),
                )
