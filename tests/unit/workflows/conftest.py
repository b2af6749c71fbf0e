"""Repositories with and without workflows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks import process
from tests.unit.workflows.checkout import APP, BUILDER, CONTENT, DOCKERFILES, Checkout


@pytest.fixture
def bare(tmp_path: Path) -> Checkout:
    """A repository with Dockerfiles and code, and no workflow."""
    checkout = Checkout(tmp_path)
    process.run(["git", "init", "--quiet", str(tmp_path)])
    for path, text in DOCKERFILES.items():
        checkout.write(path, text)
    for path in CONTENT:
        checkout.write(path, "\n")
    return checkout


@pytest.fixture
def checkout(bare: Checkout) -> Checkout:
    """The same with two workflows that use Docker's actions."""
    bare.workflow(BUILDER, "builder.yml")
    bare.workflow(APP, "app.yml")
    return bare
