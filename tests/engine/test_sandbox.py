"""The sandbox itself, in a home of its own: the one people use is left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks import sandbox
from bailing_tasks.errors import EngineError, UsageError
from bailing_tasks.sandbox import bases, daemons, emulation, home, registry, render
from bailing_tasks.sandbox.platforms import architecture

REASON = sandbox.unavailable()
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(REASON is not None, reason=f"no sandbox here: {REASON}"),
]

BASE = "docker.io/library/debian:bookworm-slim"
HOST = "linux/arm64" if os.uname().machine == "aarch64" else "linux/amd64"
WAIT_SECONDS = 120.0


@pytest.fixture(scope="module", autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the module a home, with the packages that the usual one has unpacked already."""
    folder = tmp_path_factory.mktemp("sandbox") / "home"
    usual = home.locate().tools
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(home.VARIABLE, str(folder))
        home.locate().create()
        if usual.is_dir():
            shutil.copytree(usual, home.locate().tools, symlinks=True)
        yield folder
        sandbox.down(purge=True)


@pytest.fixture(scope="module")
def standin() -> sandbox.SandboxStatus:
    return sandbox.up(references=[BASE], platforms=[HOST])


@pytest.fixture
def other_bridge() -> Iterator[str]:
    """Stand for a system Docker's bridge, unless there is one."""
    if Path("/sys/class/net/docker0").exists():
        yield "docker0"
        return
    subprocess.run(["ip", "link", "add", "name", "docker0", "type", "bridge"], check=True)
    yield "docker0"
    subprocess.run(["ip", "link", "delete", "dev", "docker0"], check=True)


def docker(*arguments: str, store: str = "containerd") -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **sandbox.environment(sandbox.status(), store)}
    return subprocess.run(
        ["docker", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        executable=shutil.which("docker", path=variables["PATH"]),
    )


def engine_pid(status: sandbox.SandboxStatus, store: str = "containerd") -> int:
    found = next(engine for engine in status.engines if engine.store == store)
    assert found.running
    assert found.pid is not None
    return found.pid


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while daemons.is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_up_twice_is_quick_and_leaves_what_runs_alone(other_bridge: str) -> None:
    first = sandbox.up(references=[], platforms=[])
    started = time.monotonic()
    second = sandbox.up(references=[], platforms=[])
    assert time.monotonic() - started < 5
    assert engine_pid(second) == engine_pid(first)
    assert second == first == sandbox.status()
    assert sandbox.planned([], []) == []
    assert Path("/sys/class/net", other_bridge).exists()


@pytest.mark.parametrize("store", sandbox.STORES)
def test_a_build_on_a_standin_reaches_the_network(
    standin: sandbox.SandboxStatus, store: str, tmp_path: Path
) -> None:
    sandbox.up(references=[], platforms=[], store=store)
    base = f"{standin.registry.address}/{BASE}"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN apt-get update\n", encoding="utf-8")
    built = docker("buildx", "build", "--tag", "probe", str(tmp_path), store=store)
    assert built.returncode == 0, built.stderr
    assert "Fetched" in built.stderr
    run = docker("run", "--rm", "probe", "sh", "-c", "which gcc; cat /etc/os-release", store=store)
    assert "VERSION_CODENAME=bookworm" in run.stdout
    assert "gcc" not in run.stdout
    info = docker("info", "--format", "{{.Driver}}", store=store).stdout.strip()
    assert (info == "overlayfs") == (store == "containerd")


def test_a_standin_that_is_there_is_not_made_again(standin: sandbox.SandboxStatus) -> None:
    lines: list[str] = []
    again = sandbox.up(references=[BASE], platforms=[HOST], report=lines.append)
    assert lines == []
    assert again.images == standin.images
    assert [image.platforms for image in again.images] == [(HOST,)]
    assert sandbox.planned([BASE], [HOST]) == []


def test_mirrors_name_the_registry(standin: sandbox.SandboxStatus) -> None:
    variables = sandbox.environment(standin)
    mirrors = json.loads(variables["BAILING_TASKS_MIRRORS"])
    assert mirrors == {"docker.io": [f"http://{standin.registry.address}/docker.io"]}
    log = Path(standin.registry.access_log).read_text(encoding="utf-8")
    assert "/v2/docker.io/library/debian/manifests/" in log


def test_a_platform_is_added_and_the_other_stays(standin: sandbox.SandboxStatus) -> None:
    """What is under the tag stays; the host's own image stands for a foreign one here."""
    port = int(standin.registry.address.rpartition(":")[2])
    reference = "docker.io/library/debian:bookworm"
    name, tag = reference.rpartition(":")[::2]
    [entry] = bases.present(port, *BASE.rpartition(":")[::2]).values()
    foreign = {**entry, "platform": {"os": "linux", "architecture": "s390x"}}
    registry.put_index(port, name, tag, render.index([foreign]))
    status = sandbox.up(references=[reference], platforms=[HOST])
    [image] = [image for image in status.images if image.reference == reference]
    assert set(image.platforms) == {HOST, "linux/s390x"}
    joined = registry.manifest(port, name, tag)
    assert joined is not None
    assert joined.digest == image.digest
    assert bases.present(port, name, tag)["linux/s390x"] == foreign


def test_a_crash_is_recovered_from(standin: sandbox.SandboxStatus) -> None:
    base = f"{standin.registry.address}/{BASE}"
    status = sandbox.up(references=[], platforms=[])
    started = docker("run", "--detach", base, "sleep", "1000")
    assert started.returncode == 0, started.stderr
    inside = int(docker("inspect", "--format", "{{.State.Pid}}", started.stdout.strip()).stdout)
    registry_pid = status.registry.pid
    assert registry_pid is not None
    for pid in (engine_pid(status), registry_pid):
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
    broken = sandbox.status()
    assert not broken.registry.running
    assert not any(engine.running for engine in broken.engines if engine.store == "containerd")
    again = sandbox.up(references=[BASE], platforms=[HOST])
    assert engine_pid(again) != engine_pid(status)
    assert again.registry.address == status.registry.address
    assert standin.images[0] in again.images
    assert not daemons.is_alive(inside)
    assert docker("run", "--rm", base, "true").returncode == 0


def test_down_after_a_crash_leaves_nothing_running(standin: sandbox.SandboxStatus) -> None:
    status = sandbox.up(references=[], platforms=[])
    pid = engine_pid(status)
    run = str(Path(status.engines[0].socket).parent)
    started = docker("run", "--detach", f"{standin.registry.address}/{BASE}", "sleep", "1000")
    assert started.returncode == 0, started.stderr
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert daemons.running("containerd", run)
    sandbox.down()
    assert daemons.running("containerd", run) == ()


def test_down_and_up_keep_port_and_images(
    standin: sandbox.SandboxStatus, other_bridge: str
) -> None:
    status = sandbox.up(references=[], platforms=[])
    result = sandbox.down()
    assert "registry" in result.stopped
    assert "engine (containerd store)" in result.stopped
    stopped = sandbox.status()
    assert not stopped.registry.running
    assert not any(engine.running for engine in stopped.engines)
    for engine in stopped.engines:
        assert not Path("/sys/class/net", engine.bridge).exists()
    assert Path("/sys/class/net", other_bridge).exists()
    rules = subprocess.run(["iptables", "-S"], capture_output=True, text=True, check=True).stdout
    assert status.engines[0].bridge not in rules
    assert sandbox.down().stopped == ()
    again = sandbox.up(references=[BASE], platforms=[HOST])
    assert again.registry.address == status.registry.address
    assert again.images == status.images


def test_a_port_that_was_taken_meanwhile_is_said() -> None:
    sandbox.up(references=[], platforms=[])
    sandbox.down()
    port = int(sandbox.status().registry.address.rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(EngineError, match=f"port {port} .* is taken"):
            sandbox.up(references=[], platforms=[])
    assert sandbox.up(references=[], platforms=[]).registry.running


def test_up_goes_on_after_a_kill_in_the_middle(private_home: Path) -> None:
    reference = "docker.io/library/debian:trixie-slim"
    code = (
        "from bailing_tasks import sandbox\n"
        f"sandbox.up(references=[{reference!r}], platforms=[{HOST!r}],"
        " report=lambda line: print(line, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while "root file system" not in child.stdout.readline():
            assert child.poll() is None
        time.sleep(3)
        child.kill()
    temporary = str(private_home / "tmp")
    assert daemons.running("perl", temporary)
    status = sandbox.up(references=[], platforms=[])
    assert daemons.running("perl", temporary) == ()
    assert not Path(temporary).exists()
    assert reference not in [image.reference for image in status.images]


def test_what_has_no_standin_is_named() -> None:
    with pytest.raises(UsageError, match="nginx"):
        sandbox.up(references=["docker.io/library/nginx:1"], platforms=[HOST])
    with pytest.raises(UsageError, match="linux/mips"):
        sandbox.up(references=[BASE], platforms=["linux/mips"])
    with pytest.raises(UsageError, match="image store 'zfs'"):
        sandbox.up(references=[], platforms=[], store="zfs")


def test_the_emulator_is_known() -> None:
    assert emulation.is_registered(architecture("linux/386")) in (True, False)


def test_purge_takes_only_what_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    monkeypatch.setenv(home.VARIABLE, str(tmp_path))
    with pytest.raises(EngineError, match="not a sandbox's folder"):
        sandbox.down(purge=True)
    with pytest.raises(EngineError, match="not a sandbox's folder"):
        sandbox.up(references=[], platforms=[])
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine"
