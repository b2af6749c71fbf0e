"""The reference app, built and verified for real; and what its failures say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks import needs, process, sandbox
from tests.engine import reference
from tests.engine.support import HOST, Engine, Workspace, made, started, unique

SLIM = "docker.io/library/debian:bookworm-slim"


def test_it_is_built_and_verified(containerd: Engine, tmp_path: Path) -> None:
    """Where it is emulated, a build takes minutes: tests/soak has each platform and Python."""
    reference.build_and_verify(containerd, tmp_path, str(needs.machine()), "3.11")


def test_a_stand_in_for_another_architecture_runs(containerd: Engine) -> None:
    sandbox.up(references=[SLIM], platforms=["linux/arm64"])
    image = f"{containerd.registry}/{SLIM}"
    containerd.must("pull", "-q", "--platform", "linux/arm64", image)
    argv = ["run", "--rm", "--platform", "linux/arm64", image, "sh", "-c"]
    assert containerd.must(*argv, "dpkg --print-architecture; uname -m").split() == [
        "arm64",
        "aarch64",
    ]


@pytest.fixture
def native(containerd: Engine, tmp_path: Path) -> Workspace:
    """The reference app for this machine's platform."""
    reference.stand_ins(str(needs.machine()), "3.11")
    return reference.with_reference_app(containerd, tmp_path)


def test_pyaudio_that_does_not_compile_is_answered_with_what_to_check(
    native: Workspace, tmp_path: Path
) -> None:
    native.environment["BAILING_TASKS_BUILDER_IMAGE"] = "reference-broken"
    file = native.root / "docker" / "dockerfile.dev"
    text = file.read_text().replace("        portaudio19-dev \\\n", "")
    # Nothing that was compiled before may be taken: no layer, and no wheel of the cache mount.
    once = unique(tmp_path, "uv")
    text = text.replace("id=bailing-uv-", f"id={once}-")
    file.write_text(text.replace("ENV UV_COMPILE_BYTECODE", f"ENV ONCE={once} UV_COMPILE_BYTECODE"))
    result = native.invoke("prefetch", "build-builder")
    assert result.returncode == 6
    assert "a C extension does not compile: PyAudio" in result.stderr
    assert "CHECK: compilers and audio headers are installed" in result.stderr
    assert "portaudio19-dev missing" in result.stderr
    assert "ok: the builder is built with its own stage (`--target builder`)" in result.stderr


def test_a_workspaces_uv_lock_serves_as_well(native: Workspace, tmp_path: Path) -> None:
    native.environment["BAILING_TASKS_BUILDER_IMAGE"] = "reference-uv-lock"
    # The optional certificate bundle goes along; it may be in no layer.
    native.environment["BAILING_TASKS_BUILDER_SECRETS"] = '{"ca-bundle": "bundle.pem"}'
    bundle = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    native.write("bundle.pem", f"{bundle}\n# {unique(tmp_path, 'words')}\n")
    app = native.root / "docker" / "app"
    for lock in app.glob("requirements*"):
        lock.unlink()
    app.joinpath("pyproject.toml").write_text(
        '[project]\nname = "voice"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["idna"]\n'
    )
    result = native.invoke("prefetch", "build-builder")
    assert result.returncode == 6
    assert "neither uv.lock nor requirements.lock" in result.stdout
    uv = Path(sandbox.status().home) / "standins" / f"uv-{needs.machine().architecture}" / "uv"
    trust = {**os.environ, "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    locked = process.run([str(uv), "lock", "--project", str(app)], env=trust)
    assert locked.ok, locked.stderr
    result = native.invoke("build-builder")
    assert result.returncode == 0, result.stdout
    asked = "import idna, os; print(idna.__file__, os.path.exists('/run/secrets/ca-bundle'))"
    argv = ["run", "--rm", "reference-uv-lock", "/opt/venv/bin/python", "-c", asked]
    shown = native.engine.must(*argv)
    assert shown.startswith("/opt/venv/lib/")
    assert shown.endswith("False")
    saved = native.engine.must("history", "--no-trunc", "reference-uv-lock")
    assert unique(tmp_path, "words") not in saved


def test_each_check_fails_by_itself(native: Workspace) -> None:
    native.environment["BAILING_TASKS_APP_IMAGE"] = "reference-broken-app"
    native.environment["BAILING_TASKS_VERIFY_TIMEOUT"] = "10"
    native.write(
        "docker/Dockerfile",
        "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE}\nUSER root\n"
        'CMD ["/opt/venv/bin/python", "-m", "http.server", "5000"]\n',
    )
    result = native.invoke("prefetch", "build-builder", "build-app", "verify", "--json")
    assert result.returncode == 7, result.stderr
    document = json.loads(result.stdout)
    assert document["error"]["exit_code"] == 7
    (found,) = (item for item in document["results"] if item["task"] == "verify")
    outcome = {check["name"]: check["ok"] for check in found["checks"]}
    assert outcome == {
        "no gcc": False,
        "no g++": False,
        "user is appuser": False,
        "runs without root": False,
        "imports pyaudio": True,
        "answers /health": False,
        "smaller than the builder": False,
    }


# A full disk


@pytest.fixture
def cramped(home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A private engine of its own whose disk has 24 MB."""
    monkeypatch.setenv("BAILING_TASKS_SANDBOX_HOME", str(tmp_path / "cramped"))
    sandbox.up(references=(), platforms=())
    data = Path(sandbox.status().home) / "engines" / "containerd" / "data"
    sandbox.down()
    data.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(data)], check=True)
    try:
        yield started("containerd")
    finally:
        sandbox.down()
        subprocess.run(["umount", "--lazy", str(data)], check=True)
        sandbox.down(purge=True)


def test_a_full_disk_while_pulling_is_named(
    containerd: Engine, cramped: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    folder.joinpath("file").write_bytes(os.urandom(40_000_000))
    folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    tag = f"{containerd.registry}/{HOST}/large:1"
    argv = ["buildx", "build", "-q", "--provenance=false", "-t", tag, str(folder)]
    containerd.must(*argv)
    containerd.must("push", "-q", tag)
    containerd.must("rmi", tag)
    workspace = made(tmp_path, cramped)
    mirrors = json.dumps({HOST: [f"http://{containerd.registry}/{HOST}"]})
    workspace.environment["BAILING_TASKS_MIRRORS"] = mirrors
    workspace.write("docker/dockerfile.dev", f"FROM {HOST}/large:1 AS builder\n")
    workspace.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    result = workspace.invoke("prefetch", "--strict")
    assert result.returncode == 5
    assert "the engine's disk is full" in result.stderr
    assert "free disk space" in result.stderr
    assert not (workspace.root / ".bailing-tasks" / "pins.json").exists()
    images = cramped.must("images", "-q")
    assert images == ""


def test_the_wheel_works_in_a_repository_elsewhere(containerd: Engine, tmp_path: Path) -> None:
    wheel = tmp_path / "wheel"
    root = str(Path(__file__).parents[2])
    assert process.run(["python3", "-m", "venv", str(tmp_path / "venv")]).ok
    pip = str(tmp_path / "venv" / "bin" / "pip")
    built = process.run([pip, "wheel", "--no-deps", "-w", str(wheel), root])
    assert built.ok, built.stderr
    (file,) = wheel.iterdir()
    installed = process.run([pip, "install", "-q", str(file)])
    assert installed.ok, installed.stderr
    workspace = made(tmp_path, containerd)
    workspace.write("docker/dockerfile.dev", "FROM scratch AS builder\nCOPY tasks.py /\n")
    workspace.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    invoke = str(tmp_path / "venv" / "bin" / "invoke")
    environment = dict(containerd.environment) | {
        "BAILING_TASKS_APP_IMAGE": "elsewhere",
        "BAILING_TASKS_BUILDER_IMAGE": "elsewhere-builder",
    }
    listed = process.run([invoke, "--list"], cwd=workspace.root, env=environment)
    for name in (
        "prefetch",
        "build-builder",
        "build-app",
        "verify",
        "images",
        "settings",
        "sandbox-up",
        "sandbox-down",
        "sandbox-status",
    ):
        assert name in listed.stdout
    ran = process.run(
        [invoke, "prefetch", "build-builder", "build-app"], cwd=workspace.root, env=environment
    )
    assert ran.ok, ran.stderr
    assert containerd.has("elsewhere:latest")
