"""A small voice application: a repository with a builder and an app that are published."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.image_index import is_image
from tests.engine import tiny
from tests.engine.support import HOST, TRUE, Workspace, unique
from tests.unit.repository import Repository

SETTINGS = """
[tool.bailing-tasks]
platforms = ["linux/amd64", "linux/arm64"]
[tool.bailing-tasks.app]
triggers = ["Dockerfile", "code/**"]
[tool.bailing-tasks.verify]
user = ""
imports = []
port = 0
smaller-than-builder = false
"""
BUILDER = "FROM {base} AS builder\nCOPY compilers /usr/lib/\nCOPY uv.lock /opt/venv/lock\n"
APP = """\
ARG BUILDER_IMAGE
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}
COPY --from=builder /opt/venv /v
COPY code /code
CMD ["/true"]
"""


def voice_application(
    plain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, arm64: bytes = TRUE
) -> Workspace:
    """Make of a workspace a Git repository with builder and app, and a remote for it.

    Args:
        plain: The workspace.
        tmp_path: Where the repositories are.
        monkeypatch: Keeps the settings of Git's user away.
        arm64: The program of the image for arm64: by default one that needs no emulation.
    """
    name = unique(tmp_path, "ci")
    base = f"{HOST}/{name}:1"
    files = {"linux/amd64": {"true": TRUE}, "linux/arm64": {"true": arm64}}
    tiny.push_index(plain.engine.registry, base, files)
    repository = Repository.new(tmp_path / "git", monkeypatch)
    repository.git("init", "-q", "--bare", str(tmp_path / "remote"))
    repository.git("config", "remote.origin.url", str(tmp_path / "remote"))
    plain.root = repository.root
    plain.write("tasks.py", "from bailing_tasks import namespace\n")
    plain.write("docker/dockerfile.dev", BUILDER.format(base=base))
    plain.write("Dockerfile", APP.format(base=base))
    plain.write("pyproject.toml", SETTINGS)
    plain.write("uv.lock", "one")
    plain.write("compilers", os.urandom(20_000).hex())
    plain.write("code/main.py", "one")
    plain.environment |= {
        "BAILING_TASKS_REPOSITORY": f"{plain.engine.registry}/team/{name}",
        "BAILING_TASKS_BUILDER_IMAGE": f"{name}-builder",
        "BAILING_TASKS_APP_IMAGE": name,
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    commit(plain, "first")
    return plain


def commit(workspace: Workspace, message: str, **files: str) -> str:
    for path, text in files.items():
        workspace.write(path.replace("__", "/"), text)
    repository = Repository(workspace.root)
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", message)
    head = repository.git("rev-parse", "HEAD")
    repository.git("push", "-q", "-f", "origin", "HEAD:refs/heads/main")
    return head


def published(workspace: Workspace, tag: str, suffix: str = "") -> dict[str, Any] | None:
    """Return the index that a tag of the app, or of `-builder`, stands for; None for no tag."""
    host, _, path = workspace.environment["BAILING_TASKS_REPOSITORY"].partition("/")
    request = urllib.request.Request(
        f"http://{host}/v2/{path}{suffix}/manifests/{tag}",
        headers={"Accept": "application/vnd.oci.image.index.v1+json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError:
        return None


def tags(workspace: Workspace, suffix: str = "") -> set[str]:
    """Return the tags that the registry has for the app, or for `-builder`."""
    host, _, path = workspace.environment["BAILING_TASKS_REPOSITORY"].partition("/")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}/v2/{path}{suffix}/tags/list", timeout=10) as answer:
            return set(json.loads(answer.read())["tags"] or ())
    except urllib.error.HTTPError:
        return set()


def revision(workspace: Workspace, tag: str, suffix: str = "") -> str:
    index = published(workspace, tag, suffix)
    assert index
    images = filter(is_image, index["manifests"])
    platforms = {entry["platform"]["architecture"] for entry in images}
    assert platforms == {"amd64", "arm64"}
    return str(index["annotations"]["org.opencontainers.image.revision"])
