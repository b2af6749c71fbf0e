"""Where the sandbox keeps its things, its state, and the lock on it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox.model import Report, StandinImage
from bailing_tasks.state import hold

VARIABLE = "BAILING_TASKS_SANDBOX_HOME"
SCHEMA = 1
_MARK = ".bailing-tasks-sandbox"
_RUN = Path("/run/bailing-tasks")
"""Sockets are here and not in the home: the path of one may have 107 characters."""


@dataclass(frozen=True)
class Home:
    """The sandbox's folder and what is where in it.

    Attributes:
        root: The folder, absolute.
    """

    root: Path

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that tell this sandbox from others on the machine."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def run(self) -> Path:
        """Sockets, pid files and what else ends with the machine's uptime."""
        return _RUN / self.key

    @property
    def tools(self) -> Path:
        """The unpacked packages."""
        return self.root / "tools"

    @property
    def plugins(self) -> Path:
        """Docker's plugins among them: buildx."""
        return self.tools / "usr/libexec/docker/cli-plugins"

    @property
    def apt(self) -> Path:
        """Private state of apt."""
        return self.root / "apt"

    @property
    def docker_config(self) -> Path:
        """What DOCKER_CONFIG names."""
        return self.root / "docker-config"

    @property
    def standins(self) -> Path:
        """Root file systems and tools that stand-in images are made from."""
        return self.root / "standins"

    @property
    def registry(self) -> Path:
        """The registry's configuration, storage and log."""
        return self.root / "registry"

    @property
    def temporary(self) -> Path:
        """What is being made; emptied at every start."""
        return self.root / "tmp"

    def engine(self, store: str) -> Path:
        """Return the folder of an engine: configuration, data and log."""
        return self.root / "engines" / store

    def engine_run(self, store: str) -> Path:
        """Return the run-time folder of an engine."""
        return self.run / store

    def socket(self, store: str) -> Path:
        """Return the Unix socket of an engine."""
        return self.engine_run(store) / "docker.sock"

    @property
    def path(self) -> str:
        """PATH with the unpacked programs first, and the system's folders for root after."""
        folders = [str(self.tools / "usr" / name) for name in ("sbin", "bin")]
        inherited = os.environ.get("PATH", "").split(os.pathsep)
        system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return os.pathsep.join(dict.fromkeys([*folders, *inherited, *system]))

    @property
    def is_ours(self) -> bool:
        """Whether the folder was made by a sandbox."""
        return (self.root / _MARK).is_file()

    def create(self) -> None:
        """Make the folder and mark it.

        Raises:
            EngineError: There is something in it that is not a sandbox's.
        """
        if not self.is_ours and self.root.exists() and any(self.root.iterdir()):
            raise EngineError(
                f"{self.root} is not a sandbox's folder, and not empty",
                remedy=f"set {VARIABLE} to another folder",
            )
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / _MARK).touch()
        self.run.mkdir(parents=True, exist_ok=True, mode=0o711)


def locate(environment: Mapping[str, str] | None = None) -> Home:
    """Return the sandbox's home as the environment says; nothing is created."""
    variables = os.environ if environment is None else environment
    if chosen := variables.get(VARIABLE):
        return Home(Path(chosen).expanduser().resolve())
    cache = variables.get("XDG_CACHE_HOME") or "~/.cache"
    return Home(Path(cache).expanduser().resolve() / "bailing-tasks" / "sandbox")


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network of an engine.

    Attributes:
        bridge: Name of the interface.
        subnet: As `10.1.2.0/24`.
    """

    bridge: str
    subnet: str


@dataclass(frozen=True, kw_only=True)
class State:
    """What outlives a restart.

    Attributes:
        port: The registry's port, 0 until it is chosen.
        networks: By store.
        images: The stand-ins in the registry.
    """

    port: int = 0
    networks: Mapping[str, Network] = field(default_factory=dict)
    images: tuple[StandinImage, ...] = ()

    def with_network(self, store: str, network: Network) -> State:
        """Return the state with the network of an engine set."""
        return replace(self, networks={**self.networks, store: network})

    def with_image(self, image: StandinImage) -> State:
        """Return the state with one stand-in added or replaced."""
        others = [known for known in self.images if known.reference != image.reference]
        return replace(
            self, images=tuple(sorted([*others, image], key=lambda known: known.reference))
        )


def load(home: Home) -> State:
    """Return the state; an empty one where there is none.

    Raises:
        EngineError: The file is damaged.
    """
    path = home.root / "state.json"
    try:
        written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return State(
            port=int(written["port"]),
            networks={store: Network(**entry) for store, entry in written["networks"].items()},
            images=tuple(
                StandinImage(**{**entry, "platforms": tuple(entry["platforms"])})
                for entry in written["images"]
            ),
        )
    except FileNotFoundError:
        return State()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"the sandbox's state {path} is damaged",
            cause=str(error),
            remedy="invoke sandbox-down --purge, then invoke sandbox-up",
        ) from error


def save(home: Home, state: State) -> None:
    """Write the state, whole or not at all."""
    document = {"schema": SCHEMA, **asdict(state)}
    write(home.root / "state.json", json.dumps(document, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@contextlib.contextmanager
def locked(home: Home, report: Report) -> Iterator[None]:
    """Hold the sandbox against a second `up` or `down`; wait for one that is under way.

    The file is not in the home, so that a purge does not take it from under one who waits.
    """
    _RUN.mkdir(parents=True, exist_ok=True)
    with (_RUN / f"{home.key}.lock").open("a+", encoding="utf-8") as handle:
        hold(handle, lambda _: report(f"waiting for another run that holds {home.root}"))
        yield
