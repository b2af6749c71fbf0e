"""The settings there are: for each its key, type, default and help.

The environment variable of a setting follows from its key: `app.image` is
`BAILING_TASKS_APP_IMAGE`. Lists are separated by commas there, tables are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.mirrors import mirror_address, without_user
from bailing_tasks.platforms import Platform
from bailing_tasks.references import DEFAULT_HOST, Reference
from bailing_tasks.triggers import check as check_patterns

ENVIRONMENT_PREFIX = "BAILING_TASKS_"
OTHER_VARIABLES = frozenset({"BAILING_TASKS_SANDBOX_HOME"})
"""Variables with this prefix that are no settings of a workspace."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("a string")
    return value


def _repository(value: Any) -> str:
    text = _text(value).lower()
    if text and (Reference.parse(text).digest or ":" in text.rpartition("/")[2]):
        raise TypeError("an image name without tag or digest")
    return text


def _image(value: Any) -> str:
    text = _repository(value)
    if not text or Reference.parse(text).host != DEFAULT_HOST or text.startswith(DEFAULT_HOST):
        raise TypeError("a name without registry, tag or digest, such as bailing")
    return text


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("a list of strings")
    if not all(isinstance(item, str) for item in value):
        raise TypeError("a list of strings")
    return tuple(value)


def _patterns(value: Any) -> tuple[str, ...]:
    patterns = _texts(value)
    check_patterns(patterns)
    return patterns


def _table(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise TypeError("a table of strings")
    return dict(value)


def _mirrors(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise TypeError("a table of lists of strings")
    found = {key: _texts(item) for key, item in value.items()}
    for addresses in found.values():
        for address in addresses:
            mirror_address(address)
    return found


def _commands(value: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("a list of commands, each a list of strings")
    return tuple(_texts(item) for item in value)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise TypeError("true or false")


def _number(value: Any, least: int = 0) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= 65535:
        raise TypeError(f"a whole number from {least} to 65535")
    return number


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise TypeError(" or ".join(choices))
        return str(value)

    return parse


def _positive(value: Any) -> int:
    return _number(value, 1)


def _platforms(value: Any) -> tuple[Platform, ...]:
    platforms = tuple(dict.fromkeys(Platform.parse(item) for item in _texts(value)))
    if not platforms:
        raise TypeError("at least one platform, such as linux/amd64")
    return platforms


def _pythons(value: Any) -> tuple[str, ...]:
    versions = tuple(dict.fromkeys(_texts(value)))
    parts = [version.split(".") for version in versions]
    if not versions or not all(len(p) == 2 and all(x.isdecimal() for x in p) for p in parts):
        raise TypeError('a list of Python versions such as "3.11"')
    return versions


_FROM_TEXT: Mapping[Callable[[Any], Any], Callable[[str], Any]] = {
    _texts: lambda text: [item.strip() for item in text.split(",") if item.strip()],
    _patterns: lambda text: [item.strip() for item in text.split(",") if item.strip()],
    _platforms: lambda text: [item.strip() for item in text.split(",") if item.strip()],
    _pythons: lambda text: [item.strip() for item in text.split(",") if item.strip()],
    _table: json.loads,
    _mirrors: json.loads,
    _commands: json.loads,
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


def _target_options(
    name: str, image: str, stage: str, triggers: tuple[str, ...], tags: tuple[str, ...]
) -> list[Option]:
    return [
        Option(key=f"{name}.dockerfile", parse=_text, default="", help="its Dockerfile"),
        Option(
            key=f"{name}.stage",
            parse=_text,
            default=stage,
            help="the stage to build; empty for the last",
        ),
        Option(key=f"{name}.context", parse=_text, default=".", help="the build context"),
        Option(key=f"{name}.image", parse=_image, default=image, help="its local name"),
        Option(
            key=f"{name}.repository",
            parse=_repository,
            default="",
            help="where it is published; from `repository` by default",
        ),
        Option(key=f"{name}.build-args", parse=_table, default={}, help="build arguments"),
        Option(
            key=f"{name}.secrets",
            parse=_table,
            default={},
            help="build secrets by id: a file, or env:NAME",
        ),
        Option(
            key=f"{name}.triggers",
            parse=_patterns,
            default=triggers,
            help="the files whose change builds it",
        ),
        Option(
            key=f"{name}.tags",
            parse=_texts,
            default=tags,
            help="the tags it is published under, such as {version} or sha-{sha}",
        ),
    ]


WORKFLOWS = ".github/workflows/docker-build-{}.yml"

OPTIONS: tuple[Option, ...] = (
    Option(
        key="repository",
        parse=_repository,
        default="",
        help="image repository; ghcr.io/<owner>/<name> of the Git remote by default",
    ),
    Option(
        key="platforms",
        parse=_platforms,
        default=["linux/amd64", "linux/arm64"],
        help="platforms that are built and released",
    ),
    Option(
        key="python",
        parse=_pythons,
        default=["3.11"],
        help="Python versions; the first has the plain names",
    ),
    Option(
        key="python-arg",
        parse=_text,
        default="PYTHON_VERSION",
        help="the build argument that carries the Python version",
    ),
    Option(
        key="default-branch", parse=_text, default="main", help="the branch that latest follows"
    ),
    Option(
        key="latest",
        parse=_one_of("branch", "version"),
        default="branch",
        help="what moves latest: the default branch and stable versions, or the highest version",
    ),
    Option(
        key="versions",
        parse=_one_of("semver", "pep440"),
        default="semver",
        help="how Git tags name versions: semver or pep440",
    ),
    Option(
        key="mirrors",
        parse=_mirrors,
        default={},
        help="for a registry host, addresses to try before it",
    ),
    Option(
        key="buildx-builder",
        parse=_text,
        default="",
        help="the buildx builder that builds; BUILDX_BUILDER, else Docker's context, by default",
    ),
    Option(
        key="prefetch.trust-mirrors",
        parse=_flag,
        default=False,
        help="take what a mirror has, even if the source has another image under that tag",
    ),
    Option(key="prefetch.jobs", parse=_positive, default=8, help="how many pulls at once"),
    Option(
        key="prefetch.jobs-per-host",
        parse=_positive,
        default=8,
        help="how many of them from one registry",
    ),
    Option(
        key="prefetch.timeout",
        parse=_number,
        default=3600,
        help="seconds that a prefetch may take; 0: as long as it takes",
    ),
    *_target_options(
        "builder",
        "bailing-builder",
        "builder",
        ("docker/dockerfile.dev", "pyproject.toml", "uv.lock", WORKFLOWS.format("builder")),
        ("latest", "builder-{version}", "{branch}-builder"),
    ),
    *_target_options(
        "app",
        "bailing",
        "",
        (
            "Dockerfile",
            "main.py",
            "bailing/**",
            "config/**",
            "plugins/**",
            "server/**",
            WORKFLOWS.format("app"),
        ),
        ("latest", "{version}", "{branch}"),
    ),
    Option(
        key="app.builder-arg",
        parse=_text,
        default="BUILDER_IMAGE",
        help="the build argument that names the builder image",
    ),
    Option(
        key="verify.absent-commands",
        parse=_texts,
        default=["gcc", "g++"],
        help="programs that may not be in the app image",
    ),
    Option(
        key="verify.user", parse=_text, default="appuser", help="the user the app image runs as"
    ),
    Option(
        key="verify.python",
        parse=_text,
        default="/opt/venv/bin/python",
        help="the interpreter in the app image",
    ),
    Option(
        key="verify.imports",
        parse=_texts,
        default=["pyaudio"],
        help="modules that interpreter must import",
    ),
    Option(
        key="verify.port", parse=_number, default=5000, help="port of the health page; 0: no check"
    ),
    Option(
        key="verify.health-path", parse=_text, default="/health", help="path of the health page"
    ),
    Option(
        key="verify.timeout",
        parse=_number,
        default=120,
        help="seconds the container may take to answer",
    ),
    Option(
        key="verify.smaller-than-builder",
        parse=_flag,
        default=True,
        help="whether the app image must be smaller than the builder",
    ),
    Option(
        key="verify.commands",
        parse=_commands,
        default=[],
        help="further commands that must succeed in the container",
    ),
    Option(
        key="ci.branches",
        parse=_patterns,
        default=["**"],
        help="branches whose pushes are built in CI",
    ),
    Option(key="ci.tags", parse=_patterns, default=["v*"], help="Git tags that are built in CI"),
    Option(
        key="ci.pull-requests",
        parse=_patterns,
        default=["**"],
        help="branches that pull requests are to, which are built in CI",
    ),
    Option(key="ci.runner", parse=_text, default="ubuntu-latest", help="the machine of a CI job"),
    Option(
        key="ci.install",
        parse=_text,
        default="pip install bailing-tasks",
        help="the command that installs these tasks in CI",
    ),
    Option(
        key="ci.cache",
        parse=_text,
        default="type=registry,ref={repository}:cache-{platform}",
        help="BuildKit's cache between runs in CI; empty for none",
    ),
)
"""Every setting there is, in the order people are shown them."""
