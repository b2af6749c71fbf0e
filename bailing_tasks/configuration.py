"""Reads the settings of a workspace.

Command line beats environment beats `[tool.bailing-tasks]` in
pyproject.toml beats default. A key nobody knows is answered with the nearest one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bailing_tasks import hosting
from bailing_tasks.errors import SettingsError, perhaps_meant
from bailing_tasks.option import ENVIRONMENT_PREFIX, OTHER_VARIABLES, Option
from bailing_tasks.options import OPTIONS
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference, image_name
from bailing_tasks.services import Patterns, Services, find, read
from bailing_tasks.settings import (
    FROM_DEFAULT,
    FROM_FILE,
    CiSettings,
    PrefetchSettings,
    Settings,
    Target,
    VerifySettings,
)

TABLE = "tool.bailing-tasks"
SERVICE = "service"
"""The table of the services' tables."""
GITLAB_IMAGE = "CI_REGISTRY_IMAGE"
"""GitLab CI's variable for the place of a project's images in its container registry."""
EVERY = "all"
"""On the command line: every platform or Python that the workspace names."""

_BY_KEY = {option.key: option for option in OPTIONS}
_SECTIONS = {option.key.partition(".")[0] for option in OPTIONS if "." in option.key}


def load(
    root: Path,
    *,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    remote: str = "",
    describe: Callable[[], str] = str,
    rendered: Callable[[Sequence[str]], Collection[str]] = lambda patterns: (),
) -> Settings:
    """Read the settings of a workspace.

    Args:
        root: The workspace's folder.
        environment: Environment variables.
        overrides: What the command line gave, by key; an empty list is nothing.
        remote: The URL of the Git remote; empty for none.
        describe: Returns the version of what is checked out, empty for none; asked where needed.
        rendered: Returns the files that the templates of some patterns make.

    Raises:
        SettingsError: A key is unknown, a value has the wrong type, or the file is no TOML.
    """
    path = root / "pyproject.toml"
    project = _read(path)
    return resolve(
        root,
        document=_table(project, path),
        environment=environment,
        overrides=overrides or {},
        remote=remote,
        licenses=_of_project(project, "license"),
        project_name=_of_project(project, "name"),
        describe=describe,
        rendered=rendered,
    )


def _read(path: Path) -> Mapping[str, Any]:
    from bailing_tasks import toml

    try:
        document: Mapping[str, Any] = toml.loads(path.read_text(encoding="utf-8"))
        return document
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read as TOML", cause=str(error)) from error


def _of_project(document: Mapping[str, Any], key: str) -> str:
    """Return a string of the table `[project]`; empty where the value is not a string.

    A license that is an SPDX expression is a string (PEP 639).
    """
    table = document.get("project")
    found = table.get(key) if isinstance(table, Mapping) else ""
    return found if isinstance(found, str) else ""


def _table(document: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    tool = document.get("tool", {})
    table = tool.get("bailing-tasks", {}) if isinstance(tool, Mapping) else {}
    if not isinstance(table, Mapping):
        raise SettingsError(f"[{TABLE}] in {path} is no table")
    return table


def resolve(
    root: Path,
    *,
    document: Mapping[str, Any],
    environment: Mapping[str, str],
    overrides: Mapping[str, Any],
    remote: str = "",
    licenses: str = "",
    project_name: str = "",
    describe: Callable[[], str] = str,
    rendered: Callable[[Sequence[str]], Collection[str]] = lambda patterns: (),
) -> Settings:
    """Make typed settings of what was given in all places; see `load`.

    `licenses` and `project_name` are license and name of the project in `[project]`.
    """
    given = _flatten({key: value for key, value in document.items() if key != SERVICE})
    tables = document.get(SERVICE, {})
    if not isinstance(tables, Mapping):
        raise SettingsError(f"[{TABLE}] {SERVICE}: expected a table for each service")
    _refuse_unknown_variables(environment)
    values, origins = _values(given, environment, overrides)
    _derive(values, origins, remote, licenses, environment)
    _default_repositories(values, origins)
    _default_name(
        values,
        origins,
        {
            "[project] name": project_name,
            "repository": values["repository"].rpartition("/")[2],
            "git remote": hosting.repository_name(remote),
            "folder": root.resolve().name,
        },
    )
    _default_images(values, origins)
    _default_dockerfiles(root, values, origins)
    found = _services(root, values, tables, describe, rendered)
    names = {each.name for each in fields(Settings)}
    plain = {key.replace("-", "_"): value for key, value in values.items()}
    settings = Settings(
        **{name: value for name, value in plain.items() if name in names - {"services"}},
        root=root,
        plain_python=_value(_BY_KEY["python"], given, environment, {})[0][0],
        prefetch=PrefetchSettings(**_section("prefetch", values)),
        builder=_target("builder", values),
        app=_target("app", values),
        services=found.targets,
        rendered={},
        verify=VerifySettings(**_section("verify", values)),
        ci=CiSettings(**_section("ci", values)),
        origins={**origins, **found.origins},
        given={**values, **found.values},
    )
    _check_images(settings.targets)
    return settings


def _check_images(targets: Iterable[Target]) -> None:
    """Make sure that no two targets share an image name: their tags might meet.

    Raises:
        SettingsError: Two do.
    """
    owners: dict[str, str] = {}
    for target in targets:
        owner = owners.setdefault(Reference.parse(target.image).repository, target.name)
        if owner != target.name:
            raise SettingsError(
                f"{owner} and {target.name} are both called {target.image!r}",
                remedy="give one of them another `image`; `service-image` needs {service}",
            )


def _values(
    given: Mapping[str, Any], environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the value of each option, and where it came from."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for option in OPTIONS:
        if overrides.get(option.key) == [EVERY]:
            values[option.key] = _value(option, given, environment, {})[0]
            origins[option.key] = "command line"
        else:
            values[option.key], origins[option.key] = _value(option, given, environment, overrides)
    return values, origins


def _derive(
    values: dict[str, Any],
    origins: dict[str, str],
    remote: str,
    licenses: str,
    environment: Mapping[str, str],
) -> None:
    """Fill in what is not set, from what is known of the Git remote, GitLab CI and the project."""
    source = hosting.web_address(remote) or ""
    hosted = source.partition("://")[2]
    by_gitlab = environment.get(GITLAB_IMAGE, "") if environment.get("GITLAB_CI") else ""
    place = f"environment {GITLAB_IMAGE}"
    for key, value, origin in (
        ("repository", _BY_KEY["repository"].read(by_gitlab, place), place),
        ("repository", hosting.image_repository(remote), f"git remote {hosted}"),
        ("source", source, "git remote"),
        ("licenses", licenses, "[project] license"),
    ):
        if value and not values[key]:
            values[key], origins[key] = value, origin


def _services(
    root: Path,
    values: Mapping[str, Any],
    tables: Mapping[str, Any],
    describe: Callable[[], str],
    rendered: Callable[[Sequence[str]], Collection[str]],
) -> Services:
    """Return the services, if there are any."""
    patterns = values["services"]
    if not patterns and not tables:
        return Services()
    repository = values["repository"].lower()
    names = Patterns(
        image=values["service-image"],
        repository=values["service-repository"] or "{repository}-{service}",
        base=repository,
        context=values["service-context"],
        project=values["name"],
        version=functools.cache(lambda: values["version"] or describe() or "latest"),
    )
    files = find(root, patterns, rendered(values["templates"]) if values["templates"] else ())
    return read(files, tables, names)


def flatten(settings: Settings) -> dict[str, Any]:
    """Return each setting's value by its dotted key, as plain data; services come last."""
    return {key: _plain(settings.given[key]) for key in settings.origins}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Platform) else value


def _flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the table by dotted key; refuse what no option is called."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if key in _SECTIONS:
            if not isinstance(value, Mapping):
                raise SettingsError(f"[{TABLE}] {key}: expected a table, got {value!r}")
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    for key in flat:
        if key not in _BY_KEY:
            raise SettingsError(
                f"[{TABLE}] has no key {key!r}",
                remedy=_nearest(key),
            )
    return flat


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {option.variable for option in OPTIONS} | OTHER_VARIABLES
    for name in environment:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            raise SettingsError(
                f"there is no setting for the environment variable {name}",
                remedy=_nearest(name, known),
            )


def _nearest(key: str, known: Iterable[str] = _BY_KEY) -> str:
    return perhaps_meant(key, known, "`invoke settings` lists every key")


def _value(
    option: Option,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> tuple[Any, str]:
    if overrides.get(option.key):
        return option.read(overrides[option.key], "command line"), "command line"
    if option.variable in environment:
        value = option.read_text(environment[option.variable], option.variable)
        return value, f"environment {option.variable}"
    if option.key in given:
        return option.read(given[option.key], f"[{TABLE}] {option.key}"), FROM_FILE
    return option.parse(option.default), FROM_DEFAULT


def _default_repositories(values: dict[str, Any], origins: dict[str, str]) -> None:
    """The app's repository is `repository`, the builder's has `-builder` appended (the seeds')."""
    repository = values["repository"].lower()
    for name, suffix in (("app", ""), ("builder", "-builder")):
        key = f"{name}.repository"
        if not values[key] and repository:
            values[key] = repository + suffix
            origins[key] = origins["repository"]


def _default_name(
    values: dict[str, Any], origins: dict[str, str], known_as: Mapping[str, str]
) -> None:
    """Name the project by the first place that has a usable name for it (SEMANTICS.md)."""
    if values["name"]:
        return
    names = ((image_name(text), origin) for origin, text in known_as.items())
    usable = (each for each in names if each[0])
    values["name"], origins["name"] = next(usable, ("project", FROM_DEFAULT))


def _default_images(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Name the app's image after the project, and the builder's with `-builder` appended."""
    for name, suffix in (("app", ""), ("builder", "-builder")):
        key = f"{name}.image"
        if not values[key]:
            values[key], origins[key] = values["name"] + suffix, origins["name"]


def _default_dockerfiles(root: Path, values: dict[str, Any], origins: dict[str, str]) -> None:
    """The builder's is docker/dockerfile.dev; the app's stands at the root, else in docker/."""
    candidates = {
        "builder.dockerfile": ("docker/dockerfile.dev",),
        "app.dockerfile": ("Dockerfile", "docker/Dockerfile"),
    }
    for key, paths in candidates.items():
        if not values[key]:
            values[key] = next((path for path in paths if (root / path).is_file()), paths[0])
            origins[key] = FROM_DEFAULT


def _section(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix).replace("-", "_"): value
        for key, value in values.items()
        if key.startswith(prefix)
    }


def _target(name: str, values: Mapping[str, Any]) -> Target:
    return Target(name=name, **_section(name, values))
