from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("yaml", reason="the app reads YAML; its image has PyYAML")


@pytest.fixture
def config() -> Any:
    return importlib.import_module("bailing.config")


def test_the_file_in_config_says_what_the_defaults_are(config: Any) -> None:
    assert config.load({}) == config.Config() == config.parse("")
    assert (config.Config().server.host, config.Config().server.port) == ("0.0.0.0", 5000)


def test_the_environment_names_another_file(config: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("server: {port: 8080}\nplugins: {disabled: [echo]}\n", encoding="utf-8")
    loaded = config.load({config.PATH_VARIABLE: str(path)})
    assert loaded.server.port == 8080
    assert loaded.plugins.disabled == ("echo",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: {prot: 1}", "server.prot: unknown; there is port"),
        ("zzz: 1", "zzz: unknown; there is server, plugins"),
        ("a: [", "not valid YAML"),
        ("[1]", "the file: must be a mapping"),
        ("server: false", "server: must be a mapping"),
        ("server: {port: '1'}", "server.port: must be a whole number"),
        ("server: {port: true}", "server.port: must be a whole number"),
        ("server: {port: 65536}", "server.port: must be from 1 to 65535"),
        ("server: {log_level: loud}", "server.log_level: must be debug"),
        ("plugins: {disabled: echo}", "plugins.disabled: must be a list of strings"),
        ("plugins: {disabled: [1]}", "plugins.disabled: must be a list of strings"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(
    config: Any, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(config.ConfigError) as caught:
        config.load({config.PATH_VARIABLE: str(path)})
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_missing_file_is_named(config: Any, tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=r"absent\.yaml"):
        config.load({config.PATH_VARIABLE: str(tmp_path / "absent.yaml")})
