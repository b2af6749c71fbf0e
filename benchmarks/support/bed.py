"""A sandbox for benchmarks alone: its stores can be emptied without taking anything of a person."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import process, sandbox
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox import mounts, packages

COMPOSE = (("docker-compose", packages.ENGINE_SUITE),)


@dataclass(frozen=True)
class Engine:
    """A private engine.

    Attributes:
        store: Its image store.
        environment: With which a process uses it.
    """

    store: str
    environment: Mapping[str, str]

    def must(self, argv: Sequence[str], cwd: Path | None = None) -> process.Completed:
        """Run a command with this engine; it has to succeed."""
        program = process.find(argv[0], path=self.environment["PATH"]) or argv[0]
        result = process.run([program, *argv[1:]], env=self.environment, cwd=cwd)
        if not result.ok:
            raise SystemExit(f"{process.quote(argv)}\n{result.stdout}{result.stderr}")
        return result

    def clear(self, *patterns: str) -> None:
        """Remove images by patterns of their names, and all layers that nothing uses."""
        self.remove(*patterns)
        self.must(["docker", "builder", "prune", "--all", "--force"])
        os.sync()

    def remove(self, *patterns: str) -> None:
        """Remove images by patterns of their names."""
        filters = [part for pattern in patterns for part in ("--filter", f"reference={pattern}")]
        found = self.must(["docker", "images", "--quiet", "--no-trunc", *filters]).stdout.split()
        if found:
            self.must(["docker", "rmi", "--force", *dict.fromkeys(found)])


@contextlib.contextmanager
def up(stores: Sequence[str]) -> Iterator[tuple[str, list[Engine]]]:
    """Start the benchmarks' sandbox with empty engines; its registry keeps what was made.

    An interrupted pull leaves layers that no image has, and the engine hides them for a day.

    Yields:
        The registry's address, and an engine for each store.
    """
    root = homes.locate().root
    os.environ[homes.VARIABLE] = str(root.with_name(f"{root.name}-bench"))
    sandbox.down()
    try:
        engines = []
        for store in stores:
            mounts.clear(homes.locate().engine(store))
            status = sandbox.up(references=(), platforms=(), store=store, report=print)
            engines.append(engine(status, store))
        yield status.registry.address, engines
    finally:
        sandbox.down()


def engine(status: sandbox.SandboxStatus, store: str) -> Engine:
    """Return an engine of the sandbox as it is now."""
    variables = {**os.environ, **sandbox.environment(status, store)}
    # Without the last one the tasks would not be measured as they are when they are installed.
    for name in ("GITHUB_ACTIONS", "BUILDX_BUILDER", "PYTHONDONTWRITEBYTECODE"):
        variables.pop(name, None)
    return Engine(store, variables)


def compose() -> str:
    """Return the path of docker compose, which is unpacked where it is not there."""
    home = homes.locate()
    folder = home.root / "peers"
    packages.unpack(home, print, COMPOSE, folder)
    return str(folder / "usr/libexec/docker/cli-plugins/docker-compose")
