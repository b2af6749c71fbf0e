"""The configuration files of the sandbox's programs, as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from bailing_tasks.sandbox.aptsources import Source, one_line

APT_RETRIES = 3


def apt_sources(sources: Iterable[Source]) -> str:
    """Return a `sources.list`."""
    return "".join(f"{one_line(source)}\n" for source in sources)


def apt_config(folder: str, *, system: bool) -> str:
    """Return a configuration that gives apt its own sources, lists and cache.

    Args:
        folder: Where they are.
        system: Whether packages are to be installed on the system; else apt is told that
            nothing is installed, and it only downloads.
    """
    options = {
        "Dir::Etc::SourceList": f"{folder}/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Cache::Archives": f"{folder}/cache/archives",
        "APT::Sandbox::User": "root",
        "Acquire::Retries": str(APT_RETRIES),
        "Acquire::Languages": "none",
        "DPkg::Lock::Timeout": "300",
    }
    if not system:
        options["Dir::State::Status"] = "/dev/null"
    hooks = "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
    return hooks + "".join(f'{name} "{value}";\n' for name, value in options.items())


def registry_config(*, storage: str, address: str) -> str:
    """Return the configuration of Debian's docker-registry."""
    document = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": storage},
            "delete": {"enabled": True},
        },
        "http": {"addr": address},
    }
    return json.dumps(document, indent=2) + "\n"


def daemon_config(
    *,
    store: str,
    data: str,
    run: str,
    bridge: str,
    mtu: int,
    resolvers: Sequence[str],
    init: str,
) -> str:
    """Return the configuration of a private dockerd.

    Args:
        store: Its image store.
        data: Its data folder.
        run: Its run-time folder.
        bridge: Its bridge.
        mtu: Largest packet of its containers, in bytes.
        resolvers: Name servers of its containers; empty leaves them to the daemon.
        init: The program that `docker run --init` uses.
    """
    document: dict[str, object] = {
        "data-root": data,
        "exec-root": f"{run}/exec",
        "pidfile": f"{run}/docker.pid",
        "hosts": [f"unix://{run}/docker.sock"],
        "features": {"containerd-snapshotter": store == "containerd"},
        "bridge": bridge,
        "mtu": mtu,
        "iptables": False,
        "ip6tables": False,
        "init-path": init,
        "log-level": "warn",
    }
    if resolvers:
        document["dns"] = list(resolvers)
    return json.dumps(document, indent=2) + "\n"


def client_config(*, plugins: str) -> str:
    """Return the Docker client's configuration: where its plug-ins are."""
    return json.dumps({"cliPluginsExtraDirs": [plugins]}, indent=2) + "\n"


def index(manifests: Iterable[Mapping[str, object]]) -> bytes:
    """Return an OCI index of the descriptors given, as it is stored."""
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": list(manifests),
    }
    return json.dumps(document, separators=(",", ":")).encode()
