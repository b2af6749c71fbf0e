"""A repository on a laptop whose builder and app are released to a registry with a login."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailing_tasks import process
from tests.engine import registries, tiny
from tests.engine.proxy import RegistryProxy
from tests.engine.pushing import PLATFORMS
from tests.engine.releases import NEW, OLD, TAGS, VERSION, Puller
from tests.engine.support import TRUE, Engine, Workspace, made, unique
from tests.unit.repository import Repository

SETTINGS = """
[tool.bailing-tasks]
platforms = ["linux/amd64", "linux/arm64"]
[tool.bailing-tasks.builder]
tags = ["latest", "{version}", "{branch}"]
[tool.bailing-tasks.app]
builder-arg = ""
[tool.bailing-tasks.verify]
user = ""
imports = []
port = 0
smaller-than-builder = false
"""
DOCKERFILE = 'FROM scratch AS builder\nCOPY file true /\nCMD ["/true"]\n'
BUILD = ["build-builder", "--platform", "all", "build-app", "--platform", "all"]
GIT_PASSWORD = "git-words-5"
"""The password that stands in the address of the repository's remote."""


@dataclass
class Laptop:
    """A workspace that is ready to be released, and where it is released to.

    Attributes:
        workspace: The repository, with its images built.
        proxy: Before the registry.
        path: The app's repository; the builder's has `-builder` appended.
        template: What the registry has before a release: an older one.
    """

    workspace: Workspace
    proxy: RegistryProxy
    path: str
    template: Path

    @contextlib.contextmanager
    def registry(self, folder: Path) -> Iterator[Puller]:
        """Run the registry as it is before a release; nothing was released from here yet."""
        shutil.copytree(self.template, folder / "storage")
        shutil.rmtree(self.workspace.root / ".bailing-tasks" / "releases", ignore_errors=True)
        with registries.running(folder, login=True) as address:
            self.proxy.registry = address
            self.proxy.heal()
            self.proxy.log.clear()
            yield Puller(address, registries.LOGIN)

    def seen(self, puller: Puller) -> dict[str, str]:
        """Return what whoever pulls sees, by target and tag."""
        return {
            f"{name}:{tag}": puller.seen(self.path + suffix, tag)
            for name, suffix in (("builder", "-builder"), ("app", ""))
            for tag in TAGS
        }

    def push(self, *argv: str, **environment: str) -> process.Completed:
        """Release everything, as somebody who is not asked."""
        return self.workspace.invoke("push", "--yes", *argv, **environment)

    def begin(self) -> subprocess.Popen[bytes]:
        """Begin a release that can be killed with all that it has started."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", "push", "--yes"],
            env={**self.workspace.engine.environment, **self.workspace.environment},
            cwd=self.workspace.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@contextlib.contextmanager
def laptop(engine: Engine, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """Build what is released, with an older release in the registry."""
    name = unique(folder, "laptop")
    with RegistryProxy("") as proxy:
        workspace = made(folder, engine)
        workspace.environment |= {
            "BAILING_TASKS_REPOSITORY": f"{proxy.address}/team/{name}",
            "BAILING_TASKS_BUILDER_IMAGE": f"{name}-builder",
            "BAILING_TASKS_APP_IMAGE": name,
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        old = _committed(workspace, folder, patch)
        _log_in(workspace, folder, proxy.address)
        found = Laptop(workspace, proxy, f"team/{name}", folder / "registry" / "storage")
        with registries.running(folder / "registry") as address:
            for path in (found.path, f"{found.path}-builder"):
                files = {platform: {"file": OLD.encode()} for platform in PLATFORMS}
                said = {"org.opencontainers.image.revision": old}
                for tag in ("latest", "main", "1.0.0"):
                    tiny.push_index(address, f"{path}:{tag}", files, annotations=said)
            proxy.registry = address
            result = workspace.invoke(*BUILD)
            assert result.ok, result.stderr
        yield found


def _committed(workspace: Workspace, folder: Path, patch: pytest.MonkeyPatch) -> str:
    """Make a Git repository of it whose remote has all of it; return the commit before the last."""
    repository = Repository.new(folder / "git", patch)
    workspace.root = repository.root
    workspace.write("tasks.py", "from bailing_tasks import namespace\n")
    workspace.write("pyproject.toml", SETTINGS)
    workspace.write("docker/dockerfile.dev", DOCKERFILE)
    workspace.write("Dockerfile", DOCKERFILE)
    (workspace.root / "true").write_bytes(TRUE)
    commits = []
    for content in (OLD, NEW):
        workspace.write("file", content)
        repository.git("add", "-A")
        repository.git("commit", "-q", "-m", content)
        commits.append(repository.git("rev-parse", "HEAD"))
    repository.git("tag", f"v{VERSION}")
    repository.git("init", "-q", "--bare", str(folder / "remote"))
    repository.git("push", "-q", str(folder / "remote"), "main", "--tags")
    remote = f"https://somebody:{GIT_PASSWORD}@git.example/team/name"
    repository.git("config", "remote.origin.url", remote)
    repository.git("config", f"url.{folder / 'remote'}.insteadOf", remote)
    return commits[0]


def _log_in(workspace: Workspace, folder: Path, address: str) -> None:
    """Let a credential helper have the login, as Docker Desktop's does."""
    programs, config = folder / "programs", folder / "docker"
    programs.mkdir()
    shutil.copytree(workspace.engine.environment["DOCKER_CONFIG"], config)
    known = (config / "config.json").read_text().rstrip().removesuffix("}").rstrip()
    helpers = f'"credHelpers": {{"{address}": "laptop"}}'
    (config / "config.json").write_text(f"{known}, {helpers}}}")
    user, _, password = registries.LOGIN.partition(":")
    program = programs / "docker-credential-laptop"
    program.write_text(
        "#!/bin/sh\n"
        f'echo \'{{"ServerURL": "{address}", "Username": "{user}", "Secret": "{password}"}}\'\n'
    )
    program.chmod(0o755)
    path = f"{programs}:{workspace.engine.environment['PATH']}"
    workspace.environment |= {"DOCKER_CONFIG": str(config), "PATH": path}
