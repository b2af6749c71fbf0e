"""What a release with a password has written holds nothing of it, whether it fails or not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks import process
from tests.engine import registries
from tests.engine.laptop import GIT_PASSWORD, Laptop, laptop
from tests.engine.proxy import Fault
from tests.engine.releases import BEFORE, WHOLE, sent_twice
from tests.engine.support import Engine
from tests.engine.tokens import Tokens

RECORDED = ("docker", "git")
"""The programs whose arguments are written down; buildx is docker's."""


@pytest.fixture
def released(
    containerd: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Laptop]:
    with laptop(containerd, tmp_path, monkeypatch) as found:
        yield found


def record(released: Laptop, log: Path) -> None:
    """Let every program that is started write down its arguments first."""
    path = released.workspace.environment["PATH"]
    programs = Path(path.partition(":")[0])
    for name in RECORDED:
        real = process.find(name, path=path)
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{log}"\nexec "{real}" "$@"\n')
        program.chmod(0o755)


def written(folder: Path) -> str:
    """Return all that is in the files of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)


def test_a_release_with_a_password_tells_it_to_nobody(released: Laptop, tmp_path: Path) -> None:
    proxy, log, page = released.proxy, tmp_path / "arguments", tmp_path / "summary.md"
    record(released, log)
    with released.registry(tmp_path / "released") as puller:
        proxy.tokens, proxy.upstream = Tokens(registries.LOGIN, uses=80), registries.LOGIN
        # Denied for one repository of the two: nothing is sent to the other either.
        proxy.fault(Fault.FORBIDDEN, on="blobs", method="POST", path=f"/{released.path}/")
        denied = released.push()
        assert denied.returncode == 8
        assert f"does not let this login push to {released.path}" in denied.stderr
        assert f"FAIL  {proxy.address}/{released.path}:" in denied.stdout
        assert not [path for method, path, _ in proxy.log if method == "PUT"]
        proxy.heal()
        proxy.fault(Fault.FORBIDDEN, on="manifests", method="PUT", path="/latest")
        halfway = released.push("--json")
        assert halfway.returncode == 9
        assert released.seen(puller)["app:latest"] == BEFORE["app:latest"]
        proxy.heal()
        done = released.push(GITHUB_STEP_SUMMARY=str(page))
        assert done.returncode == 0, done.stderr
        assert released.seen(puller) == WHOLE
        assert not sent_twice(proxy)
    status = released.workspace.invoke("release-status")
    runs = (denied, halfway, done, status)
    everything = "\n".join(
        (
            *(run.stdout + run.stderr for run in runs),
            written(released.workspace.root / ".bailing-tasks"),
            log.read_text(),
            page.read_text(),
        )
    )
    assert "docker" in log.read_text()
    assert page.read_text()
    secrets = [registries.PASSWORD, GIT_PASSWORD, *proxy.tokens.given]
    secrets += [
        base64.b64encode(login.encode()).decode().rstrip("=")
        for login in (registries.LOGIN, registries.PASSWORD)
    ]
    assert len(secrets) > 8
    assert [secret for secret in secrets if secret in everything] == []
