"""Configuration: one YAML file, read into frozen objects, refused with a reason if wrong."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

PATH_VARIABLE = "BAILING_CONFIG"
DEFAULT_PATH = Path(__file__).parents[1] / "config" / "bailing.yaml"
TYPE_NAMES = {int: "a whole number", str: "a string", tuple: "a list of strings"}


class ConfigError(Exception):
    """A configuration that cannot be used; the message says where and why."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where the server listens, and how much it logs."""

    host: str = "0.0.0.0"
    port: int = 5000
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ConfigError(f"server.port: must be from 1 to 65535, not {self.port}")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ConfigError("server.log_level: must be debug, info, warning or error")


@dataclass(frozen=True, kw_only=True)
class Plugins:
    """Which of the plugins that are found stay off."""

    disabled: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration; every section has defaults."""

    server: Server = field(default_factory=Server)
    plugins: Plugins = field(default_factory=Plugins)


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration from the file that the environment names, else the default one."""
    path = Path(environ.get(PATH_VARIABLE) or DEFAULT_PATH)
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str) -> Config:
    """Return the configuration that a YAML text holds; an empty text is all defaults."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}") from error
    config: Config = _section(Config(), data, "")
    return config


def _section(default: Any, data: Any, prefix: str) -> Any:
    """Return a section with the values of a mapping; keys and types are the default's."""
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError(f"{prefix or 'the file'}: must be a mapping, not {data!r}")
    values = {item.name: getattr(default, item.name) for item in fields(default)}
    for key, value in data.items():
        where = f"{prefix}.{key}".lstrip(".")
        if key not in values:
            near = difflib.get_close_matches(str(key), values, n=1) or values
            raise ConfigError(f"{where}: unknown; there is {', '.join(near)}")
        kind = type(values[key])
        if kind not in TYPE_NAMES:
            values[key] = _section(values[key], value, where)
        elif kind is tuple and isinstance(value, list) and all(type(i) is str for i in value):
            values[key] = tuple(value)
        elif kind is not tuple and type(value) is kind:
            values[key] = value
        else:
            raise ConfigError(f"{where}: must be {TYPE_NAMES[kind]}, not {value!r}")
    return type(default)(**values)
