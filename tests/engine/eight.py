"""Eight small services that are built on each other: a repository with a Dockerfile for each."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from tests.engine import tiny
from tests.engine.remote import content
from tests.engine.support import HOST, TRUE, TRUE_ARM64, Workspace, unique

SETTINGS = """\
[tool.bailing-tasks]
platforms = ["linux/amd64", "linux/arm64"]
version = "v0.3.7"
services = ["src/*/Dockerfile"]
service-image = "{name}-{{service}}:{{version}}"
templates = ["src/**/*.tpl"]
[tool.bailing-tasks.service.worker]
stages = ["run", "debug"]
[tool.bailing-tasks.service.docs]
needs = ["frontend"]
[tool.bailing-tasks.service.redis]
from-image = "{cache}"
"""
FILES = {
    "src/base/Dockerfile": "FROM {debian}\nCOPY shared /shared\n",
    "src/base/shared": "one",
    "src/backend/Dockerfile": "FROM {name}-base:v0.3.7\nCOPY code /code\n",
    "src/backend/code": "one",
    "src/frontend/Dockerfile.tpl": "FROM {{{{FRONTEND_BASE}}}}\n"
    "COPY --from={name}-base:v0.3.7 /shared /shared\n",
    "src/worker/Dockerfile": "FROM {name}-base:v0.3.7 AS run\nCOPY --from={golang} /file /tool\n"
    "FROM run AS debug\nCOPY code /code\n",
    "src/worker/code": "one",
    "src/docs/Dockerfile": "FROM {debian}\nCOPY page /page\n",
    "src/docs/page": "one",
    "src/broken/Dockerfile": 'FROM {debian}\nRUN ["/says"]\n',
    "src/panel/Dockerfile": "FROM {name}-broken\n",
    ".env.example": "FRONTEND_BASE={golang}\n",
}
BROKEN, MENDED = 'RUN ["/says"]', 'RUN ["/true"]'
WORDS = "the index is full\n"
"""What the program `says` writes before it fails."""
_TEXT = WORDS.encode()
_CODE = (
    b"\xb8\x01\0\0\0\xbf\x02\0\0\0\xbe\xa0\0\x40\0"  # mov eax, 1; mov edi, 2; mov esi, the text
    + b"\xba%c\0\0\0\x0f\x05" % len(_TEXT)  # mov edx, its length; syscall
    + b"\xb8\x3c\0\0\0\xbf\x03\0\0\0\x0f\x05"  # mov eax, 60; mov edi, 3; syscall
)
_SIZE = (120 + 40 + len(_TEXT)).to_bytes(8, "little")
SAYS = TRUE[:96] + 2 * _SIZE + TRUE[112:120] + _CODE.ljust(40, b"\x90") + _TEXT
"""A program for linux/amd64 that says something and ends with 3."""
WAITS = TRUE[:120] + bytes.fromhex("b8220000000f05ebf7909090")  # mov eax, 34; syscall; again
"""A program for linux/amd64 that waits until it is killed."""


def eight_services(workspace: Workspace, folder: Path) -> str:
    """Make of a workspace a repository of eight services; return what their names begin with."""
    name = unique(folder, "ai-infra")
    registry = workspace.engine.registry
    images = {each: f"{HOST}/{name}-{each}:1" for each in ("debian", "golang", "cache")}
    for each in images.values():
        common = {"file": each.encode(), "unlike-any-other": os.urandom(8)}
        amd64 = {"true": TRUE, "says": SAYS, "waits": WAITS}
        contents = {"linux/amd64": common | amd64, "linux/arm64": common | {"true": TRUE_ARM64}}
        tiny.push_index(registry, each, contents)
    workspace.write("pyproject.toml", SETTINGS.format(name=name, **images))
    for path, text in FILES.items():
        workspace.write(path, text.format(name=name, **images))
    return name


def spied(workspace: Workspace, folder: Path) -> Path:
    """Let a workspace's docker command note how it is called; return where."""
    found = folder / "calls"
    found.touch()
    docker = folder / "bin" / "docker"
    docker.parent.mkdir()
    path = workspace.engine.environment["PATH"]
    docker.write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$*" >> {found}\nPATH={json.dumps(path)} exec docker "$@"\n'
    )
    docker.chmod(0o755)
    workspace.environment["PATH"] = f"{docker.parent}:{path}"
    return found


def files(workspace: Workspace, image: str) -> dict[str, str]:
    """Return the files at the root of an image, as text."""
    if workspace.engine.store == "buildkit":
        found = content(workspace, image)
        return {path: data.decode(errors="replace") for path, data in found.items()}
    container = workspace.engine.must("create", image, "-")
    with tempfile.TemporaryDirectory() as copy:
        workspace.engine.must("cp", f"{container}:/.", copy)
        workspace.engine.must("rm", container)
        paths = [path for path in Path(copy).iterdir() if path.is_file()]
        return {path.name: path.read_text(errors="replace") for path in paths}


def mend(workspace: Workspace) -> None:
    """Let the service that fails succeed."""
    path = workspace.root / "src/broken/Dockerfile"
    path.write_text(path.read_text().replace(BROKEN, MENDED))
