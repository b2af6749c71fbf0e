"""Where a reference can be had: the mirrors of its host in order, then the source. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.references import Reference

_USER = re.compile(r".*@", re.DOTALL)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>[0-9]*))?", re.ASCII)
_URL = re.compile(rf"(?P<scheme>https?)://{_HOST.pattern}(?:[/?#][!-\[\]-~]*)?", re.I | re.ASCII)
_PORTS = {"http": "80", "https": "443"}
DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One registry that a reference can be asked of.

    Attributes:
        url: Scheme and host of its API, such as `https://registry-1.docker.io`.
        name: The repository's path there, such as `library/alpine`.
        repository: What an engine pulls, such as `docker.io/library/alpine`.
        host: The host as Docker's configuration names it, for credentials.
        mirror: Whether it stands in for the reference's own registry.
    """

    url: str
    name: str
    repository: str
    host: str
    mirror: bool


def sources(
    reference: Reference,
    mirrors: Mapping[str, Sequence[str]],
    daemon_mirrors: Sequence[str] = (),
    *,
    plain_http: Collection[str] = (),
) -> tuple[Source, ...]:
    """Return the places to ask for a reference, the first one first.

    Args:
        reference: What is wanted.
        mirrors: For a registry host, addresses `[scheme://]host[:port][/prefix]`; the
            reference's path follows the prefix (`library/` included).
        daemon_mirrors: The engine's own `registry-mirrors`, which it uses for Docker Hub by
            itself: what they answer is pulled under the reference's own name.
        plain_http: Hosts, with their ports, that are asked by HTTP where no scheme is written.

    Raises:
        SettingsError: An address is no address.
    """
    found = [_mirror(address, reference, plain_http) for address in mirrors.get(reference.host, ())]
    if reference.host == DOCKER_HUB:
        found += [_daemon_mirror(address, reference, plain_http) for address in daemon_mirrors]
    return (*found, origin(reference, plain_http))


def origin(reference: Reference, plain_http: Collection[str]) -> Source:
    """Return a reference's own registry; `plain_http` as for `sources`."""
    api = DOCKER_HUB_API if reference.host == DOCKER_HUB else reference.host
    return Source(
        url=f"{_scheme(api, plain_http)}://{api}",
        name=reference.path,
        repository=reference.repository,
        host=reference.host,
        mirror=False,
    )


def _mirror(address: str, reference: Reference, plain_http: Collection[str]) -> Source:
    scheme, host, prefix = mirror_address(address)
    name = f"{prefix}/{reference.path}" if prefix else reference.path
    return Source(
        url=f"{scheme or _scheme(host, plain_http)}://{host}",
        name=name,
        repository=f"{host}/{name}",
        host=host,
        mirror=True,
    )


def _daemon_mirror(address: str, reference: Reference, plain_http: Collection[str]) -> Source:
    scheme, host, prefix = _address(address)
    return Source(
        url=f"{scheme or _scheme(host, plain_http)}://{host}",
        name=f"{prefix}/{reference.path}" if prefix else reference.path,
        repository=reference.repository,
        host=host,
        mirror=True,
    )


def mirror_address(address: str) -> tuple[str, str, str]:
    """Return scheme (empty where none is written), host and prefix of a mirror of the settings.

    Raises:
        SettingsError: It is no address, or no image's name can begin with it.
    """
    scheme, host, prefix = _address(address)
    try:
        named = Reference.parse("/".join(filter(None, (host, prefix, "x")))).host
    except UsageError:
        named = ""
    if named != host:
        raise SettingsError(
            f"no image can be named after the mirror {without_user(address)!r}",
            remedy="its host needs a dot or a port, unless it is localhost, and its path has only "
            "lower-case letters, digits and . _ - between slashes",
        )
    return scheme, host, prefix


def without_user(text: str) -> str:
    """Return a text without whatever may be user and password of an address in it."""
    return _USER.sub("***@", text)


def _address(address: str) -> tuple[str, str, str]:
    has_scheme = "://" in address
    try:
        parts = urlsplit(address if has_scheme else f"//{address}")
    except ValueError:
        parts = urlsplit("")
    if (
        not parts.hostname
        or (has_scheme and parts.scheme not in ("http", "https"))
        or set("@\\").intersection(parts.netloc)
        or parts.query
        or parts.fragment
    ):
        raise SettingsError(
            f"the mirror {without_user(address)!r} is no address",
            remedy='write it as "https://mirror.example/prefix", without user or query; '
            "credentials come from `docker login`",
        )
    return parts.scheme, parts.netloc, parts.path.strip("/")


def _scheme(host: str, plain_http: Collection[str]) -> str:
    """HTTP for loopback, as Docker does, and where somebody said so; HTTPS elsewhere."""
    return "http" if is_loopback(host) or host in plain_http else "https"


def is_host(text: str) -> bool:
    """Whether a text is the name of a registry's host as images are named, with its port."""
    try:
        return Reference.parse(f"{text}/x").host == text
    except UsageError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine's loopback."""
    match = _HOST.fullmatch(host)
    name = match["name"].strip("[]").lower() if match else ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def server(url: str) -> tuple[str, str]:
    """Return the scheme of a URL, and its host with the port unless that is the scheme's own.

    Parsers disagree about the host of a URL with a user, a backslash, blanks or control characters
    (RFC 3986 allows none of the last three): such a URL is refused, so that what is checked and
    where the request goes are one host.

    Raises:
        ValueError: It is no such URL.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("it is no plain URL by HTTP or HTTPS")
    scheme, name, port = match["scheme"].lower(), match["name"].lower(), match["port"]
    return scheme, f"{name}:{port}" if port and port != _PORTS[scheme] else name
