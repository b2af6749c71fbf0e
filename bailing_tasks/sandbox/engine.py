"""The sandbox's engines: private Docker daemons, one for each image store."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox import daemons, network, render
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox.home import Home, Network
from bailing_tasks.sandbox.model import EngineStatus, Report

PROGRAM = "dockerd"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_HELPER_STOP_SECONDS = 5.0
_ASK_SECONDS = 5.0
_CGROUPS = Path("/sys/fs/cgroup")
_PASSED = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


def command(home: Home, store: str) -> list[str]:
    """Return the command that runs an engine."""
    return [str(home.tools / "usr/sbin" / PROGRAM), "--config-file", _config(home, store)]


def log(home: Home, store: str) -> Path:
    """Return an engine's output."""
    return home.engine(store) / "dockerd.log"


def pids(home: Home, store: str) -> tuple[int, ...]:
    """Return the processes of an engine."""
    return daemons.running(PROGRAM, _config(home, store))


def status(home: Home, store: str, bridge: str) -> EngineStatus:
    """Return what an engine is doing."""
    found = pids(home, store)
    return EngineStatus(
        store=store,
        socket=str(home.socket(store)),
        pid=found[0] if found else None,
        running=bool(found) and answers(home.socket(store)),
        bridge=bridge,
    )


def client_environment(home: Home, store: str) -> dict[str, str]:
    """Return what a Docker client needs to find an engine and its own plug-ins."""
    return {
        "DOCKER_HOST": f"unix://{home.socket(store)}",
        "DOCKER_CONFIG": str(home.docker_config),
        "PATH": home.path,
    }


def start(home: Home, store: str, link: Network, report: Report) -> None:
    """Start an engine unless it runs; what a crash left is cleared away first.

    Raises:
        EngineError: It does not start.
    """
    homes.write(home.docker_config / "config.json", render.client_config(plugins=str(home.plugins)))
    if pids(home, store) and answers(home.socket(store)):
        return
    stop(home, store)
    report(f"starting the engine with the {store} image store")
    _mount_cgroups()
    home.engine_run(store).mkdir(parents=True, exist_ok=True)
    config = render.daemon_config(
        store=store,
        data=str(home.engine(store) / "data"),
        run=str(home.engine_run(store)),
        bridge=link.bridge,
        mtu=network.mtu(),
        resolvers=network.container_resolvers(report),
        init=str(home.tools / "usr/bin/tini-static"),
    )
    homes.write(Path(_config(home, store)), config)
    inherited = {
        name: value for name, value in os.environ.items() if name.upper() in _PASSED and value
    }
    environment = {**inherited, "PATH": home.path, "HOME": str(home.engine(store))}
    pid = daemons.start(command(home, store), log=log(home, store), env=environment)
    daemons.wait_until(
        lambda: answers(home.socket(store)),
        pid=pid,
        name=f"engine ({store} store)",
        log=log(home, store),
        timeout=_START_SECONDS,
    )


def stop(home: Home, store: str) -> bool:
    """End an engine with all it started, also what it left in a crash; return whether it ran."""
    ran = daemons.stop(pids(home, store), PROGRAM, _config(home, store), grace=_STOP_SECONDS)
    mark = f"{home.engine_run(store)}/"
    for shim in daemons.running("containerd-shim", mark):
        for child in daemons.children(shim):
            daemons.signal_to(child, signal.SIGKILL)
    for program in ("containerd-shim", "containerd"):
        left = daemons.running(program, mark)
        ran |= daemons.stop(left, program, mark, grace=_HELPER_STOP_SECONDS)
    for name in ("docker.pid", "docker.sock", "exec/containerd/containerd.pid"):
        (home.engine_run(store) / name).unlink(missing_ok=True)
    return ran


def answers(path: Path) -> bool:
    """Return whether an engine answers on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_ASK_SECONDS)
            link.connect(str(path))
            link.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in link.recv(64)
    except OSError:
        return False


def docker(home: Home, store: str, arguments: Sequence[str], *, what: str) -> process.Completed:
    """Run the Docker client against an engine.

    Args:
        home: The sandbox.
        store: Which engine.
        arguments: What follows `docker`.
        what: What it is for, as in "… failed".

    Raises:
        EngineError: It failed.
    """
    environment = {**client_environment(home, store), "HOME": str(home.docker_config)}
    argv = [str(home.tools / "usr/bin/docker"), *arguments]
    done = process.run(argv, env=environment)
    if not done.ok:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError(
            f"{what} failed",
            cause="\n    ".join(lines[-12:]),
            remedy=f"see {log(home, store)}, or run it by hand: {process.quote(argv)}",
        )
    return done


def _config(home: Home, store: str) -> str:
    return str(home.engine(store) / "daemon.json")


def _mount_cgroups() -> None:
    """Mount the control groups where nobody has: containers do not start without.

    Raises:
        EngineError: The kernel refuses.
    """
    if any(_CGROUPS.iterdir()):
        return
    done = process.run(["mount", "-t", "cgroup2", "cgroup2", str(_CGROUPS)])
    if not done.ok:
        raise EngineError(
            f"containers need control groups, and none are mounted on {_CGROUPS}",
            cause=done.stderr.strip(),
        )
