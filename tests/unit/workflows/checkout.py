"""A repository after the settings' default layout, with workflows that have no fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailing_tasks import ci_check, process
from bailing_tasks.configuration import resolve
from bailing_tasks.settings import Settings
from bailing_tasks.workflows.builds import Finding

FILES = Path(__file__).parent / "files"
FOLDER = ".github/workflows"
BUILDER = f"{FOLDER}/docker-build-builder.yml"
APP = f"{FOLDER}/docker-build-app.yml"
SHELL = f"{FOLDER}/images.yml"
DOCKERFILES = {
    "docker/dockerfile.dev": """\
FROM debian:12 AS builder
COPY pyproject.toml uv.lock ./
RUN make
""",
    "Dockerfile": """\
ARG BUILDER_IMAGE=ghcr.io/owner/voice-builder:latest
FROM ${BUILDER_IMAGE} AS builder
FROM debian:12-slim
COPY --from=builder /opt/venv /opt/venv
COPY config/ config/
COPY bailing/ bailing/
COPY main.py ./
""",
    ".dockerignore": "**/__pycache__\n",
}
CONTENT = (
    *("pyproject.toml", "uv.lock", "main.py", "README.md", "docs/index.md"),
    *("bailing/audio.py", "bailing/plugins/clock.py", "config/bailing.yaml"),
)


@dataclass
class Checkout:
    """A repository in a temporary folder."""

    root: Path

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")

    def workflow(self, path: str, name: str, *changes: tuple[str, str]) -> None:
        """Write a workflow without a fault, with some text replaced."""
        text = (FILES / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.write(path, text)

    def line(self, path: str, text: str) -> int:
        """Return the number of the first line of a file that has a text in it."""
        lines = (self.root / path).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def settings(self, document: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings of the workspace, with what a test gives."""
        given = {"name": "bailing", "repository": "ghcr.io/owner/voice", **(document or {})}
        # How this checkout of the tasks could be installed elsewhere depends on its state.
        given["ci"] = {"install": "pip install ./tools", **given.get("ci", {})}
        return resolve(self.root, document=given, environment={}, overrides={})

    def check(self, document: Mapping[str, Any] | None = None) -> ci_check.Checked:
        """Check the workflows of what is there now."""
        process.run(["git", "-C", str(self.root), "add", "--all"])
        return ci_check.check(self.settings(document))

    def findings(self, document: Mapping[str, Any] | None = None) -> tuple[Finding, ...]:
        """Return what is found."""
        return self.check(document).findings

    def places(self) -> list[tuple[str, str, int]]:
        """Return rule, file and line of what is found."""
        return [(each.rule, each.file, each.line) for each in self.findings()]
