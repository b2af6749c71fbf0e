"""What a setting is: its key, its type, and how it is read from a file or the environment.

Each `as_` function returns a value in its type, or raises TypeError with that type's name. The
environment variable of a setting follows from its key: `app.image` is
`BAILING_TASKS_APP_IMAGE`. Lists are separated by commas there, tables are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.mirrors import is_host, mirror_address, without_user
from bailing_tasks.platforms import Platform
from bailing_tasks.references import DEFAULT_HOST, Reference, image_name
from bailing_tasks.triggers import check as check_patterns

ENVIRONMENT_PREFIX = "BAILING_TASKS_"
SCANNER = "docker.io/docker/buildkit-syft-scanner:stable-1"
"""What buildx takes where no scanner is named."""
OTHER_VARIABLES = frozenset({"BAILING_TASKS_SANDBOX_HOME"})
"""Variables with this prefix that are no settings of a workspace."""


def as_text(value: Any) -> str:
    """Return a string."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("a string")
    return value


def as_repository(value: Any) -> str:
    """Return the name of an image repository, lower-cased; it may be empty."""
    text = as_text(value).lower()
    if text and (Reference.parse(text).digest or ":" in text.rpartition("/")[2]):
        raise TypeError("an image name without tag or digest")
    return text


def as_project(value: Any) -> str:
    """Return a project's name as images are named after it; empty for none."""
    text = as_text(value)
    if text and not image_name(text):
        raise TypeError("a name with letters or digits that an image can be named after")
    return image_name(text)


def as_image(value: Any) -> str:
    """Return an image's name without a registry; empty for None, where no name is given."""
    if value is None:
        return ""
    text = as_repository(value)
    if not text or Reference.parse(text).host != DEFAULT_HOST or text.startswith(DEFAULT_HOST):
        raise TypeError("a name without registry, tag or digest, such as bailing")
    return text


def as_texts(value: Any) -> tuple[str, ...]:
    """Return strings."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("a list of strings")
    if not all(isinstance(item, str) for item in value):
        raise TypeError("a list of strings")
    return tuple(value)


def as_images(value: Any) -> tuple[str, ...]:
    """Return image names."""
    names = as_texts(value)
    for name in names:
        Reference.parse(name)
    return names


def as_patterns(value: Any) -> tuple[str, ...]:
    """Return GitHub's filter patterns."""
    patterns = as_texts(value)
    check_patterns(patterns)
    return patterns


def as_table(value: Any) -> dict[str, str]:
    """Return strings by name."""
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise TypeError("a table of strings")
    return dict(value)


def as_mirrors(value: Any) -> dict[str, tuple[str, ...]]:
    """Return addresses by registry host."""
    if not isinstance(value, Mapping):
        raise TypeError("a table of lists of strings")
    found = {key: as_texts(item) for key, item in value.items()}
    for addresses in found.values():
        for address in addresses:
            mirror_address(address)
    return found


def as_builders(value: Any) -> dict[Platform, str]:
    """Return names of builders by platform."""
    if not isinstance(value, Mapping):
        raise TypeError("a table of names by platform")
    found: dict[Platform, str] = {}
    for key, name in value.items():
        platform = Platform.parse(as_text(key))
        if platform in found:
            raise UsageError(f"{platform} has two builders")
        if not as_text(name):
            raise TypeError("the name of a buildx builder or a Docker context for each platform")
        found[platform] = name
    return found


def as_hosts(value: Any) -> tuple[str, ...]:
    """Return hosts of registries, with their ports."""
    hosts = as_texts(value)
    if not all(is_host(host) for host in hosts):
        raise TypeError('a list of hosts as images are named, such as "registry.intranet:5000"')
    return hosts


def as_commands(value: Any) -> tuple[tuple[str, ...], ...]:
    """Return commands, each with its arguments."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("a list of commands, each a list of strings")
    commands = tuple(as_texts(item) for item in value)
    if not all(commands):
        raise TypeError("a list of commands, each a list that begins with a program")
    return commands


def as_flag(value: Any) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise TypeError("true or false")


def as_scanner(value: Any) -> str:
    """Return the image that makes an SBOM; empty for none."""
    if isinstance(value, bool) or value in ("true", "false", ""):
        return SCANNER if value in (True, "true") else ""
    return str(Reference.parse(as_text(value)))


def as_number(value: Any, least: int = 0) -> int:
    """Return a whole number."""
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= 65535:
        raise TypeError(f"a whole number from {least} to 65535")
    return number


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return what takes one of some words."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise TypeError(" or ".join(choices))
        return str(value)

    return parse


def as_positive(value: Any) -> int:
    """Return a whole number above 0."""
    return as_number(value, 1)


def as_platforms(value: Any) -> tuple[Platform, ...]:
    """Return platforms, each once."""
    platforms = tuple(dict.fromkeys(Platform.parse(item) for item in as_texts(value)))
    if not platforms:
        raise TypeError("at least one platform, such as linux/amd64")
    return platforms


def as_pythons(value: Any) -> tuple[str, ...]:
    """Return Python versions, each once."""
    versions = tuple(dict.fromkeys(as_texts(value)))
    parts = [version.split(".") for version in versions]
    if not versions or not all(len(p) == 2 and all(x.isdecimal() for x in p) for p in parts):
        raise TypeError('a list of Python versions such as "3.11"')
    return versions


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


_FROM_TEXT: Mapping[Callable[[Any], Any], Callable[[str], Any]] = {
    **dict.fromkeys((as_texts, as_hosts, as_images, as_patterns, as_platforms, as_pythons), _items),
    **dict.fromkeys((as_table, as_mirrors, as_builders, as_commands), json.loads),
}
"""How an environment variable is read before its type is checked; a plain string otherwise."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting.

    Attributes:
        key: Its dotted key below `[tool.bailing-tasks]`.
        parse: Turns what was given into its type, or raises TypeError naming that type.
        default: Its value where nothing was given.
        help: What it is for.
    """

    key: str
    parse: Callable[[Any], Any]
    default: Any
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.key.upper().replace("-", "_").replace(".", "_")

    def read(self, raw: Any, place: str) -> Any:
        """Return a value in the option's type.

        Raises:
            SettingsError: It is of another type; `place` says where it stands.
        """
        try:
            return self.parse(raw)
        except TypeError as error:
            raise SettingsError(
                f"{place}: expected {error}, got {without_user(repr(raw))}",
                remedy=f"{self.key}: {self.help}",
            ) from error
        except UsageError as error:
            raise SettingsError(
                f"{place}: {error.message}", cause=error.cause, remedy=error.remedy
            ) from error

    def read_text(self, text: str, place: str) -> Any:
        """Return the value that an environment variable's text stands for; see `read`."""
        try:
            raw = _FROM_TEXT.get(self.parse, str)(text)
        except ValueError as error:
            shown = without_user(repr(text))
            raise SettingsError(f"{place} is not valid JSON: {shown}", cause=str(error)) from error
        return self.read(raw, place)
