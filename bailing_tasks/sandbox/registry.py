"""The sandbox's registry: Debian's docker-registry on a loopback port that stays the same."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks.errors import EngineError, RegistryError
from bailing_tasks.sandbox import daemons, render
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.model import RegistryStatus, Report

PROGRAM = "docker-registry"
_LOOPBACK = "127.0.0.1"
_FIRST_PORT = 20000
_PORTS = 10000
"""Ports are sought here: below those the kernel gives to outgoing connections."""
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_ASK_SECONDS = 5.0
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_INDEX = "application/vnd.oci.image.index.v1+json"
_NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest or an index as the registry has it.

    Attributes:
        digest: Its digest.
        media_type: What it is.
        size: Its length in bytes.
        document: Its content.
    """

    digest: str
    media_type: str
    size: int
    document: Mapping[str, object]


def address(port: int) -> str:
    """Return `host:port`, empty for the port 0."""
    return f"{_LOOPBACK}:{port}" if port else ""


def command(home: Home) -> list[str]:
    """Return the command that runs the registry."""
    return [str(home.tools / "usr/bin" / PROGRAM), "serve", str(home.registry / "config.yml")]


def log(home: Home) -> Path:
    """Return the file with a line for every request."""
    return home.registry / "access.log"


def pids(home: Home) -> tuple[int, ...]:
    """Return the processes of this sandbox's registry."""
    return daemons.running(PROGRAM, command(home)[-1])


def status(home: Home, port: int) -> RegistryStatus:
    """Return what the registry is doing."""
    found = pids(home)
    return RegistryStatus(
        address=address(port),
        pid=found[0] if found else None,
        running=bool(found) and answers(port),
        access_log=str(log(home)),
    )


def choose_port(home: Home) -> int:
    """Return a loopback port that nobody listens on.

    Raises:
        EngineError: There is none.
    """
    start = int(home.key, 16) % _PORTS
    for offset in range(_PORTS):
        port = _FIRST_PORT + (start + offset) % _PORTS
        if not is_taken(port):
            return port
    raise EngineError("no free port for the sandbox's registry")


def is_taken(port: int) -> bool:
    """Return whether a program listens on a loopback port."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_LOOPBACK, port))
        except OSError:
            return True
    return False


def start(home: Home, port: int, report: Report) -> None:
    """Start the registry unless it runs.

    Raises:
        EngineError: The port is another program's by now, or the registry does not start.
    """
    found = pids(home)
    if found and answers(port):
        return
    daemons.stop(found, PROGRAM, command(home)[-1], grace=_STOP_SECONDS)
    if is_taken(port):
        raise EngineError(
            f"the port {port} of the sandbox's registry is taken by another program",
            cause="pins name the registry with its port, so it does not move",
            remedy=f"end the program that listens there (ss -ltnp 'sport = :{port}'),"
            " or begin anew: invoke sandbox-down --purge",
        )
    report(f"starting the registry on {address(port)}")
    config = render.registry_config(storage=str(home.registry / "storage"), address=address(port))
    homes.write(home.registry / "config.yml", config)
    environment = {"PATH": home.path, "HOME": str(home.registry)}
    pid = daemons.start(command(home), log=log(home), env=environment)
    daemons.wait_until(
        lambda: answers(port), pid=pid, name="registry", log=log(home), timeout=_START_SECONDS
    )


def stop(home: Home) -> bool:
    """End the registry; return whether it ran."""
    return daemons.stop(pids(home), PROGRAM, command(home)[-1], grace=_STOP_SECONDS)


def answers(port: int) -> bool:
    """Return whether a registry answers on a loopback port."""
    try:
        with _request("GET", port, "/v2/"):
            return True
    except (OSError, RegistryError):
        return False


def manifest(port: int, repository: str, reference: str) -> Manifest | None:
    """Return a manifest by tag or digest; None where there is none.

    Raises:
        RegistryError: The registry cannot be asked.
    """
    path = f"/v2/{repository}/manifests/{reference}"
    try:
        with _request("GET", port, path, accept=_MANIFESTS) as answer:
            body: bytes = answer.read()
            headers: Mapping[str, str] = answer.headers
    except urllib.error.HTTPError as error:
        if error.code == _NOT_FOUND:
            return None
        raise _failed(path, error) from error
    except OSError as error:
        raise _failed(path, error) from error
    return Manifest(
        digest=headers["Docker-Content-Digest"],
        media_type=headers["Content-Type"],
        size=len(body),
        document=json.loads(body),
    )


def put_index(port: int, repository: str, tag: str, body: bytes) -> str:
    """Store an index under a tag and return its digest.

    Raises:
        RegistryError: The registry refused it.
    """
    path = f"/v2/{repository}/manifests/{tag}"
    try:
        with _request("PUT", port, path, body=body) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except OSError as error:
        raise _failed(path, error) from error


def _request(
    method: str, port: int, path: str, *, accept: str = "", body: bytes | None = None
) -> urllib.request._UrlopenRet:
    """Ask the registry, past any proxy this machine is set to."""
    headers = {"Accept": accept} if accept else {}
    if body is not None:
        headers["Content-Type"] = _INDEX
    request = urllib.request.Request(
        f"http://{address(port)}{path}", data=body, headers=headers, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=_ASK_SECONDS)


def _failed(path: str, error: OSError) -> RegistryError:
    return RegistryError(f"the sandbox's registry failed at {path}", cause=str(error))
