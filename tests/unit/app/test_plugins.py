from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def plugins() -> Any:
    return importlib.import_module("bailing.plugins")


def states(found: Any) -> dict[str, str]:
    return {item.name: item.state for item in found}


def test_the_examples_are_found_and_answer_in_turn(plugins: Any) -> None:
    found = plugins.discover()
    assert states(found) == {"clock": "enabled", "echo": "enabled"}
    assert plugins.answer(found, "what time is it?")[0] == "clock"
    assert plugins.answer(found, " hello ") == ("echo", "hello")


def test_a_disabled_plugin_is_listed_and_silent(plugins: Any) -> None:
    found = plugins.discover(["echo"])
    assert states(found) == {"clock": "enabled", "echo": "disabled"}
    assert plugins.answer(found, "hello") is None


def test_a_broken_plugin_is_listed_with_its_reason(
    plugins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "others"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "empty.py").touch()
    (package / "fails.py").write_text("1 / 0\n", encoding="utf-8")
    (package / "wrong.py").write_text("plugin = 'text'\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = plugins.discover(package="others")
    assert states(found) == {"empty": "broken", "fails": "broken", "wrong": "broken"}
    assert "ZeroDivisionError" in found[1].description
    assert "not a Plugin" in found[2].description
    assert plugins.answer(found, "hello") is None
    for name in ("others", "others.empty", "others.fails", "others.wrong"):
        sys.modules.pop(name, None)
