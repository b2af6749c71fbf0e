"""Real registries of a test's own, beside the sandbox's: with a login, or on another address."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox import registry, render
from tests.engine.pushing import write_config

PASSWORD = "correct-horse-7"
LOGIN = f"somebody:{PASSWORD}"
"""The user and password that a registry with a login takes."""
_HTPASSWD = "somebody:$2b$04$qJ96QK7O41pexLOR9IXCF.aBMIXSCRuW.0jmDhI1/WwziuwdZj0xy\n"
"""The same as bcrypt has it, at its least cost: each request is checked anew."""
_START_SECONDS = 20.0


@contextlib.contextmanager
def running(folder: Path, *, host: str = "127.0.0.1", login: bool = False) -> Iterator[str]:
    """Run an empty registry until the end; yield its address.

    Args:
        folder: Where its configuration, storage and log are.
        host: The address of this machine that it listens on.
        login: Whether it wants `LOGIN`, by basic authentication.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = f"{host}:{_free_port(host)}"
    config = json.loads(render.registry_config(storage=str(folder / "storage"), address=address))
    if login:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    program = homes.locate().tools / "usr/bin" / registry.PROGRAM
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(address, child)
        yield address
    finally:
        child.terminate()
        child.wait()


def log_in(folder: Path, patch: pytest.MonkeyPatch, address: str, login: str = LOGIN) -> None:
    """Let Docker's configuration have the login for a registry, as `docker login` writes it."""
    auth = base64.b64encode(login.encode()).decode()
    write_config(folder, patch, {"auths": {address: {"auth": auth}}})


@contextlib.contextmanager
def full_disk(folder: Path, size: int) -> Iterator[None]:
    """Give a folder a disk of its own, of some bytes."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path, *, left: int) -> Path:
    """Fill a disk up to some bytes; return the file that takes the space."""
    filler = folder / "filler"
    disk = os.statvfs(folder)
    filler.write_bytes(bytes(max(disk.f_bavail * disk.f_frsize - left, 0)))
    return filler


def outside_loopback() -> str:
    """Return an address of this machine that is no loopback: that of an engine's bridge."""
    network = next(iter(homes.load(homes.locate()).networks.values()))
    return str(ipaddress.IPv4Network(network.subnet)[1])


def _free_port(host: str) -> int:
    with socket.socket() as trial:
        trial.bind((host, 0))
        return int(trial.getsockname()[1])


def _wait(address: str, child: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            opener.open(f"http://{address}/v2/", timeout=5).close()
            return
        except urllib.error.HTTPError:
            return  # it wants a login
        except OSError:
            assert child.poll() is None, "the registry has ended"
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.02)
