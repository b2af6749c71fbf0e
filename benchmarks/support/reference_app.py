"""The reference app, built once by the tasks and once by `docker buildx bake`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from bailing_tasks import configuration, needs, sandbox
from benchmarks.support import bed
from benchmarks.support.bed import Engine

ROOT = Path(__file__).parents[2]
CHAIN = ("prefetch", "build-builder", "build-app")
CONTEXT = "docker/app"
BUILDER = "bailing-builder:latest"


def prepare(folder: Path, store: str) -> tuple[Engine, list[str], list[str]]:
    """Build the app in a folder, both ways.

    Returns:
        An engine that has it, the tasks' command, and bake's.
    """
    shutil.copytree(ROOT / "docker", folder / "docker")
    folder.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    folder.joinpath("pyproject.toml").write_text(
        f'[tool.bailing-tasks]\nbuilder.context = "{CONTEXT}"\napp.context = "{CONTEXT}"\n'
    )
    references, _ = needs.standin_needs(configuration.load(folder, environment={}))
    platform = str(needs.machine())
    status = sandbox.up(references=references, platforms=[platform], store=store, report=print)
    engine = bed.engine(status, store)
    bases = {name: f"docker-image://{status.registry.address}/{name}" for name in references}
    folder.joinpath("bake.json").write_text(json.dumps(_bake(bases)))
    chain = [sys.executable, "-m", "invoke", *CHAIN]
    bake = ["docker", "buildx", "bake", "--file", "bake.json", "--progress=quiet"]
    for argv in (chain, bake):
        engine.must(argv, cwd=folder)
    return engine, chain, bake


def _bake(bases: dict[str, str]) -> dict[str, object]:
    """Return two targets, the second on the first, on stand-ins for the base images."""
    builder = {
        "context": CONTEXT,
        "dockerfile": "../dockerfile.dev",
        "target": "builder",
        "contexts": bases,
        "tags": ["localhost/bailing-bench/builder:1"],
    }
    app = {
        "context": CONTEXT,
        "dockerfile": "../Dockerfile",
        "args": {"BUILDER_IMAGE": BUILDER},
        "contexts": {**bases, BUILDER: "target:builder"},
        "tags": ["localhost/bailing-bench/app:1"],
    }
    targets = {"builder": builder, "app": app}
    return {"group": {"default": {"targets": list(targets)}}, "target": targets}
