"""A generated repository of services that share bases, for the tasks and for `docker buildx bake`.

Every second service is built on a service of the repository; of the others every second one
compiles in a stage of its own and is slim.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON = "docker.io/library/python:3.11-slim-bookworm"
DEBIAN = "docker.io/library/debian:bookworm-slim"
BASE = "base"
NAMESPACE = "bailing-bench-services"
PATTERNS = tuple(f"{host}{NAMESPACE}*/*" for host in ("", "localhost/"))
"""What images made here are called."""

MODULES = 8
"""The Python files of a service."""
WORK = "RUN python -m compileall -q -f . /usr/lib/python3.11/email /usr/lib/python3.11/json\n"
LOUD = "RUN python -c \"for n in range(20000): print(n, 'x' * 90)\"\n"
"""About as many bytes as BuildKit passes on of one step (2 MiB)."""

_rounds = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Services:
    """A workspace of services.

    Attributes:
        folder: Where it is.
        names: The services, the one that others are built on first.
    """

    folder: Path
    names: tuple[str, ...]

    def change(self) -> None:
        """Give each service a file with something new."""
        number = next(_rounds)
        for name in self.names:
            self.folder.joinpath("src", name, "changed.py").write_text(f"ROUND = {number}\n")


def write(folder: Path, count: int, *, registry: str, work: str, attests: bool) -> Services:
    """Write a workspace of services, with the tasks' settings and a bake file.

    Args:
        folder: Where.
        count: How many.
        registry: Which registry has the base images.
        work: The RUN instruction of each.
        attests: Whether the engine can attest; if so, both do.
    """
    names = (BASE, *(f"service-{number:03}" for number in range(1, count)))
    made = Services(folder=folder, names=names)
    for number, name in enumerate(names):
        source = folder / "src" / name
        source.mkdir(parents=True)
        for module in range(MODULES):
            lines = (f"def f{n}(x: int) -> int:\n    return x + {n}\n" for n in range(60))
            text = f'"""Module {module} of {name}."""\n\n' + "\n".join(lines)
            source.joinpath(f"module_{module}.py").write_text(text)
        source.joinpath("Dockerfile").write_text(_dockerfile(number, registry, work))
    made.change()
    folder.joinpath("tasks.py").write_text("from bailing_tasks import namespace\n")
    folder.joinpath("pyproject.toml").write_text(
        "[tool.bailing-tasks]\n"
        'version = "1.0"\n'
        'services = ["src/*/Dockerfile"]\n'
        f'service-image = "{NAMESPACE}/{{service}}:{{version}}"\n'
    )
    folder.joinpath("bake.json").write_text(json.dumps(_bake(names, attests=attests)))
    return made


def _dockerfile(number: int, registry: str, work: str) -> str:
    """Return the Dockerfile of a service by its number."""
    python, debian = f"FROM {registry}/{PYTHON}", f"FROM {registry}/{DEBIAN}"
    make = f"WORKDIR /srv\nCOPY . .\n{work}"
    if number == 0:
        return f"{python}\n{make}"
    end = f'LABEL org.example.number="{number}"\nCMD ["python", "-m", "module_0"]\n'
    if number % 2:
        return f"FROM {NAMESPACE}/{BASE}:1.0\n{make}{end}"
    if number % 4:
        return f"{python}\nENV PYTHONUNBUFFERED=1\n{make}{end}"
    return f"{python} AS build\n{make}\n{debian}\nCOPY --from=build /srv /srv\n{end}"


def _bake(names: tuple[str, ...], *, attests: bool) -> dict[str, Any]:
    """Return what a user would write to build the same with bake."""
    provenance = "type=provenance,mode=min" if attests else "type=provenance,disabled=true"
    targets = {
        name: {
            "context": f"src/{name}",
            "tags": [f"{NAMESPACE}-bake/{name}:1.0"],
            "output": ["type=docker"],
            "attest": [provenance],
            "contexts": {f"{NAMESPACE}/{BASE}:1.0": f"target:{BASE}"} if number % 2 else {},
        }
        for number, name in enumerate(names)
    }
    return {"group": {"default": {"targets": list(names)}}, "target": targets}
