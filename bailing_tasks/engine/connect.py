"""Finds the Docker engine that the person means, and says what is wrong where there is none."""

from __future__ import annotations

import base64
import errno
import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bailing_tasks import process
from bailing_tasks.engine.docker import DockerEngine
from bailing_tasks.engine.transport import (
    BROKEN,
    RefusedError,
    SdkTransport,
    Transport,
    UnixTransport,
)
from bailing_tasks.errors import EngineError, UsageError
from bailing_tasks.parallel import ahead

if TYPE_CHECKING:
    from docker.tls import TLSConfig

OLDEST_ENGINE = (23, 0)
"""The first engine whose BuildKit knows named contexts (`--build-context`)."""
OLDEST_BUILDX = (0, 10)

DEFAULT_HOST = "unix:///var/run/docker.sock"

START = (
    "start it (`sudo systemctl start docker`), name another one in DOCKER_HOST, or start a private "
    "one with `invoke sandbox-up`"
)
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class _Endpoint:
    """Where an engine is: its address, its TLS, and buildx's own builder for it."""

    host: str
    builder: str
    tls: TLSConfig | None = None


def connect(environment: Mapping[str, str]) -> DockerEngine:
    """Return the engine of DOCKER_HOST, else of Docker's current context.

    Raises:
        UsageError: Docker's configuration, or the environment, makes no sense.
        EngineError: No engine, a stopped one, one that may not be used, or too old.
    """
    configuration = _configuration(environment)
    endpoint = _endpoint(environment, configuration)
    transport = _transport(endpoint, configuration)
    version = _version_of(transport)
    return DockerEngine(transport, version, builder=endpoint.builder)


def _folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _configuration(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read Docker's config.json; what relies on it, the SDK too, takes it for sound."""
    path = _folder(environment) / "config.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Docker's {path} cannot be read", cause=str(error)) from error
    try:
        document = json.loads(text)
        _check_configuration(document)
    except ValueError as error:
        raise UsageError(
            f"Docker's {path} is damaged",
            cause=str(error),
            remedy="mend it, or move it away and log in anew with `docker login`",
        ) from error
    return dict(document)


def _check_configuration(document: Any) -> None:
    if not isinstance(document, dict):
        raise ValueError("it holds no object")
    for key in ("auths", "credHelpers", "HttpHeaders", "proxies"):
        if not isinstance(document.get(key) or {}, dict):
            raise ValueError(f"{key} is no object")
    for host, entry in (document.get("auths") or {}).items():
        if not isinstance(entry, dict):
            raise ValueError(f"the entry of {host} in auths is no object")
        if "auth" in entry and "identitytoken" not in entry:
            login = entry["auth"]
            if not isinstance(login, str) or ":" not in base64.b64decode(login).decode():
                raise ValueError(f"the login of {host} in auths is no user:password in Base64")


def check_buildx() -> tuple[int, ...]:
    """Make sure that `docker buildx` is there and new enough; return its version.

    Raises:
        EngineError: It is not, which is asked again the next time.
    """
    try:
        return ask_buildx()()
    except EngineError:
        ask_buildx.cache_clear()
        raise


@functools.cache
def ask_buildx() -> Callable[[], tuple[int, ...]]:
    """Begin to do what `check_buildx` does, once; return what waits for the answer."""
    return ahead(_checked_buildx)


def _checked_buildx() -> tuple[int, ...]:
    if process.find("docker") is None:
        raise EngineError(
            "the docker command is not there",
            cause="builds go through `docker buildx`, and no docker is on PATH",
            remedy="install the Docker CLI with buildx, or start a private engine with "
            "`invoke sandbox-up`",
        )
    answer = process.run(["docker", "buildx", "version"])
    version = _version(answer.stdout)
    if not answer.ok or version is None:
        raise EngineError(
            "docker buildx is missing",
            cause=f"{process.find('docker')} says: {answer.stderr.strip() or 'nothing'}",
            remedy="install the docker-buildx (docker-buildx-plugin) package, or put a docker that "
            "has it first on PATH; `invoke sandbox-up` brings one of its own",
        )
    if version < OLDEST_BUILDX:
        raise EngineError(
            f"docker buildx is too old: {answer.stdout.strip()}",
            remedy=f"install buildx {OLDEST_BUILDX[0]}.{OLDEST_BUILDX[1]} or later",
        )
    return version


def _version(text: str) -> tuple[int, int] | None:
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else None


def _endpoint(environment: Mapping[str, str], configuration: Mapping[str, Any]) -> _Endpoint:
    """Find the engine as Docker's own command does."""
    host = environment.get("DOCKER_HOST", "")
    if host:
        return _Endpoint(host=host, builder="default", tls=_tls(host, environment))
    name = environment.get("DOCKER_CONTEXT") or configuration.get("currentContext") or "default"
    if name == "default":
        return _Endpoint(host=DEFAULT_HOST, builder=name)
    return _context(name, _folder(environment))


def _tls(host: str, environment: Mapping[str, str]) -> TLSConfig | None:
    if _socket(host):
        return None
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    try:
        found: TLSConfig | None = kwargs_from_env(dict(environment)).get("tls")
    except (DockerException, OSError) as error:
        raise UsageError(
            f"the Docker engine at {host} cannot be used with TLS as the environment says",
            cause=str(error),
            remedy="check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
        ) from error
    return found


def _context(name: str, folder: Path) -> _Endpoint:
    """Read one of Docker's contexts; one that needs TLS is the SDK's to read."""
    path = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    try:
        host = json.loads(path.read_bytes())["Endpoints"]["docker"].get("Host") or DEFAULT_HOST
    except FileNotFoundError:
        raise EngineError(
            f"Docker has no context {name!r}",
            remedy="`docker context ls` lists the contexts, `docker context use` chooses one",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"Docker's context {name!r} is damaged", cause=f"{path}: {error!r}"
        ) from error
    if _socket(host):
        return _Endpoint(host=host, builder=name)
    from docker.context import ContextAPI

    found = ContextAPI.get_context(name)
    return _Endpoint(host=host, builder=name, tls=found.TLSConfig if found else None)


def _socket(host: str) -> str:
    """Return the path of an engine's Unix socket; empty where it is reached otherwise."""
    path = host.removeprefix("unix://")
    return path if path != host and path.startswith("/") else ""


def _transport(endpoint: _Endpoint, configuration: Mapping[str, Any]) -> Transport:
    if socket := _socket(endpoint.host):
        return UnixTransport(socket, configuration.get("HttpHeaders") or {})
    from docker.errors import DockerException

    import docker

    try:
        client = docker.APIClient(
            base_url=endpoint.host,
            tls=endpoint.tls or False,
            version="auto",
            use_ssh_client=endpoint.host.startswith("ssh://"),
            timeout=120,
        )
    except DockerException as error:
        raise _unreachable(endpoint.host, error) from error
    except ValueError as error:
        raise UsageError(
            f"DOCKER_HOST is no address: {endpoint.host!r}",
            cause=str(error),
            remedy="write it as unix:///var/run/docker.sock or tcp://host:2376",
        ) from error
    return SdkTransport(endpoint.host, client)


def _unreachable(host: str, error: Exception) -> EngineError:
    if host.startswith("ssh://") and "paramiko" in str(error):
        return EngineError(
            f"the Docker engine at {host} is reached by SSH, which needs one package more",
            remedy="pip install 'docker[ssh]'",
        )
    number = _errno(error)
    if host.startswith("unix://"):
        socket = Path(host.removeprefix("unix://"))
        if number == errno.EACCES:
            return EngineError(
                f"the Docker engine at {socket} may not be used by this user",
                remedy="run as root, or join the docker group (`sudo usermod -aG docker $USER`) "
                "and log in again",
            )
        if not socket.exists():
            return EngineError(
                "there is no Docker engine", cause=f"{socket} is not there", remedy=START
            )
        return EngineError(
            "the Docker engine is stopped",
            cause=f"{socket} is there, but nobody answers",
            remedy=START,
        )
    return EngineError(
        f"the Docker engine at {host} does not answer", cause=str(error), remedy=START
    )


def _errno(error: BaseException) -> int | None:
    """Return the number of the system error that an SDK error was made of."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, OSError) and item.errno is not None:
            return item.errno
        if isinstance(item, BaseException):
            todo += [*item.args, item.__cause__, item.__context__]
            todo.append(getattr(item, "reason", None))
    return None


def _version_of(transport: Transport) -> Mapping[str, Any]:
    """Return what an engine says of itself, if it is new enough."""
    try:
        found: Mapping[str, Any] = transport.ask("GET", "/version")
    except RefusedError as error:
        raise EngineError(
            f"the Docker engine at {transport.host} does not answer",
            cause=str(error),
            remedy=START,
        ) from error
    except BROKEN as error:
        raise _unreachable(transport.host, error) from error
    version = _version(found["Version"])
    if version is not None and version < OLDEST_ENGINE:
        raise EngineError(
            f"the Docker engine is too old: {found['Version']}",
            cause="its BuildKit knows no named contexts",
            remedy=f"install Docker {OLDEST_ENGINE[0]}.{OLDEST_ENGINE[1]} or later",
        )
    return found
