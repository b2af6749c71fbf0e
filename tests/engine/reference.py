"""The reference app in a workspace of its own, for a platform and a Python."""

from __future__ import annotations

from pathlib import Path

from bailing_tasks import configuration, needs, sandbox
from tests.engine.proxy import RegistryProxy
from tests.engine.support import REPOSITORY, Engine, Workspace, copy_reference_app, made, unique

SETTINGS = """
[tool.bailing-tasks.builder]
context = "docker/app"
image = "reference-builder"
[tool.bailing-tasks.app]
context = "docker/app"
image = "reference-app"
"""
CHAIN = ("prefetch", "build-builder", "build-app", "verify")
CHECKS = {
    "no gcc",
    "no g++",
    "user is appuser",
    "runs without root",
    "imports pyaudio",
    "answers /health",
    "smaller than the builder",
}


def stand_ins(platform: str, python: str) -> None:
    """See that the sandbox has the stand-ins of the app's base images."""
    chosen = {"platforms": [platform], "python": [python]}
    found = configuration.load(REPOSITORY, environment={}, overrides=chosen)
    references, platforms = needs.standin_needs(found)
    sandbox.up(references=references, platforms=platforms)


def with_reference_app(engine: Engine, folder: Path) -> Workspace:
    """Return a workspace with a copy of the app; the sandbox has its base images."""
    workspace = made(folder, engine)
    copy_reference_app(workspace.root)
    workspace.write("pyproject.toml", SETTINGS)
    fresh = sandbox.environment(sandbox.status(), engine.store)
    workspace.environment["BAILING_TASKS_MIRRORS"] = fresh["BAILING_TASKS_MIRRORS"]
    return workspace


def build_and_verify(engine: Engine, folder: Path, platform: str, python: str) -> None:
    """Build the app after its prefetch, with no registry; change its code; build it again."""
    stand_ins(platform, python)
    app = with_reference_app(engine, folder)
    options = ("--platform", platform, "--python", python, "--json")
    chain = [part for task in CHAIN for part in (task, *options)]
    with RegistryProxy(engine.registry) as registry:
        mirrors = app.environment["BAILING_TASKS_MIRRORS"]
        through = mirrors.replace(engine.registry, registry.address)
        fetched = app.document("prefetch", *options, BAILING_TASKS_MIRRORS=through)["prefetch"]
        assert fetched["failed"] == 0
    # The registry has gone; what follows asks none.
    found = app.document(*chain[1 + len(options) :], BAILING_TASKS_MIRRORS=through)
    checks = {check["name"]: check for check in found["verify"]["checks"]}
    assert set(checks) == CHECKS
    assert all(check["ok"] for check in checks.values()), checks
    assert '"status":"ok"' in checks["answers /health"]["detail"]
    (image,) = found["build-app"]["images"]
    argv = ["run", "--rm", "--platform", platform, image["image"]]
    version = engine.must(*argv, "/opt/venv/bin/python", "--version")
    assert version.startswith(f"Python {python}.")
    # The code changes: the builder stays, and only the app is built again.
    main = app.root / "docker" / "app" / "main.py"
    main.write_text(main.read_text() + f"# {unique(folder, 'changed')}\n")
    again = app.document(*chain)
    assert again["build-builder"]["images"][0]["result"] == "skipped"
    (image,) = again["build-app"]["images"]
    assert image["result"] == "built"
    assert image["cached"] == image["steps"] - 1
    assert again["verify"]["ok"]
