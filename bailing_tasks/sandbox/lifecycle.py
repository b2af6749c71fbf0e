"""Up, down and status of the sandbox as a whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError, UsageError
from bailing_tasks.sandbox import (
    bases,
    daemons,
    emulation,
    engine,
    mounts,
    network,
    packages,
    registry,
    standins,
    system,
)
from bailing_tasks.sandbox import home as homes
from bailing_tasks.sandbox.home import Home
from bailing_tasks.sandbox.model import STORES, DownResult, Report, SandboxStatus
from bailing_tasks.sandbox.platforms import Architecture, architecture, is_foreign

_PERL = "perl"
"""What mmdebstrap is a program of."""
_GRACE_SECONDS = 10.0


def up(
    *, references: Iterable[str], platforms: Iterable[str], store: str, report: Report
) -> SandboxStatus:
    """Start what is not running and make what is not there; see the package's `up`."""
    wanted = recipes(references)
    archs = [architecture(platform) for platform in dict.fromkeys(platforms)]
    check_store(store)
    _check_machine()
    home = homes.locate()
    with _foreseen(home), homes.locked(home, report):
        home.create()
        _end_leftovers(home)
        foreign = _foreign(archs) if wanted else []
        needed = packages.missing(home, bootstrap=bool(wanted), foreign=foreign)
        packages.install(home, needed, report)
        packages.unpack(home, report)
        emulation.ensure(home, foreign, report)
        state = _start(home, store, report)
        for reference, recipe in wanted.items():
            image = bases.ensure(
                home,
                port=state.port,
                store=store,
                reference=reference,
                recipe=recipe,
                platforms=[arch.platform for arch in archs],
                report=report,
            )
            state = state.with_image(image)
            homes.save(home, state)
    return status()


def _check_machine() -> None:
    if reason := system.unavailable():
        raise EngineError(
            "no sandbox can be had on this machine",
            cause=reason,
            remedy="use a Docker engine, or run this as root on Debian",
        )


@contextlib.contextmanager
def _foreseen(home: Home) -> Iterator[None]:
    """Turn what the file system says, a full disk above all, into an error for people."""
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"the sandbox in {home.root} could not be changed",
            cause=str(error),
            remedy=f"see to it and try again, or set {homes.VARIABLE} to another folder",
        ) from error


def _end_leftovers(home: Home) -> None:
    """End what an interrupted `up` was making, and clear it away."""
    mark = str(home.temporary)
    daemons.stop(daemons.running(_PERL, mark), _PERL, mark, grace=_GRACE_SECONDS)
    mounts.clear(home.temporary)


def _start(home: Home, store: str, report: Report) -> homes.State:
    """Start registry and engine; what is chosen for them is written before they start."""
    state = homes.load(home)
    if not state.port:
        state = homes.State(port=registry.choose_port(home))
        homes.save(home, state)
    registry.start(home, state.port, report)
    link = network.ensure(home, store, state, report)
    state = state.with_network(store, link)
    homes.save(home, state)
    engine.start(home, store, link, report)
    return state


def down(*, purge: bool, report: Report) -> DownResult:
    """Stop everything; see the package's `down`."""
    home = homes.locate()
    if not home.is_ours:
        if purge and home.root.exists():
            raise EngineError(f"{home.root} is not a sandbox's folder; nothing was removed")
        return DownResult(stopped=(), removed=())
    _check_machine()
    with _foreseen(home), homes.locked(home, report):
        stopped, removed = _stop(home, report)
        if purge:
            _end_leftovers(home)
            for folder in (home.run, home.root):
                report(f"removing {folder}")
                mounts.clear(folder)
                removed.append(str(folder))
    return DownResult(stopped=tuple(stopped), removed=tuple(removed))


def _stop(home: Home, report: Report) -> tuple[list[str], list[str]]:
    stopped: list[str] = []
    removed: list[str] = []
    for store in STORES:
        report(f"stopping the engine with the {store} image store")
        if engine.stop(home, store):
            stopped.append(f"engine ({store} store)")
        removed += network.remove(network.bridge_name(home, store))
    report("stopping the registry")
    if registry.stop(home):
        stopped.append("registry")
    return stopped, removed


def status() -> SandboxStatus:
    """Return what there is; nothing is changed."""
    home = homes.locate()
    state = homes.load(home)
    return SandboxStatus(
        home=str(home.root),
        engines=tuple(
            engine.status(home, store, link.bridge) for store, link in state.networks.items()
        ),
        registry=registry.status(home, state.port),
        images=state.images,
    )


def environment(status: SandboxStatus, store: str) -> dict[str, str]:
    """Return what a process needs to use the sandbox; see the package's `environment`."""
    check_store(store)
    hosts = dict.fromkeys(image.reference.partition("/")[0] for image in status.images)
    mirrors = {host: [f"http://{status.registry.address}/{host}"] for host in hosts}
    variables = engine.client_environment(Home(Path(status.home)), store)
    return {
        **variables,
        "BAILING_TASKS_MIRRORS": json.dumps(mirrors),
        "BAILING_TASKS_PREFETCH_TRUST_MIRRORS": "true",
    }


def planned(*, references: Iterable[str], platforms: Iterable[str], store: str) -> list[str]:
    """Return what `up` would do, a line for each; see the package's `planned`."""
    wanted = recipes(references)
    archs = [architecture(platform) for platform in dict.fromkeys(platforms)]
    check_store(store)
    home, state, lines = homes.locate(), homes.load(homes.locate()), []
    foreign = _foreign(archs) if wanted else []
    if needed := packages.missing(home, bootstrap=bool(wanted), foreign=foreign):
        lines.append(process.quote(packages.install_command(home, needed)))
    if not home.tools.is_dir():
        names = ", ".join(name for name, _ in packages.UNPACKED)
        lines.append(f"download and unpack {names} into {home.tools}")
    lines += [
        f"register the emulator for {arch.platform}"
        for arch in foreign
        if not emulation.is_registered(arch)
    ]
    if not registry.status(home, state.port).running:
        lines.append(process.quote(registry.command(home)))
    if not engine.status(home, store, "").running:
        bridge = network.bridge_name(home, store)
        lines.append(f"make the bridge {bridge} with its iptables rules")
        lines.append(process.quote(engine.command(home, store)))
    there = {image.reference: image.platforms for image in state.images}
    lines += [
        f"make the stand-in for {reference} on {arch.platform} ({recipe.description})"
        for reference, recipe in wanted.items()
        for arch in archs
        if arch.platform not in there.get(reference, ())
    ]
    return lines


def recipes(references: Iterable[str]) -> dict[str, standins.Recipe]:
    """Return how the stand-in of each reference is made.

    Raises:
        UsageError: There is none for one of them.
    """
    found = {}
    for reference in dict.fromkeys(references):
        recipe = standins.recipe(reference)
        if recipe is None:
            raise UsageError(
                f"the sandbox has no stand-in for {reference}",
                cause="it makes Debian, Python and uv images, from the suites that have them",
                remedy="use an engine that reaches the image's registry, or a mirror of it",
            )
        found[reference] = recipe
    return found


def check_store(store: str) -> None:
    """Raise a UsageError for an image store that there is none of."""
    if store not in STORES:
        raise UsageError(
            f"there is no image store {store!r}", remedy=f"use one of {', '.join(STORES)}"
        )


def _foreign(archs: Sequence[Architecture]) -> list[Architecture]:
    native = system.host()
    return [arch for arch in archs if is_foreign(arch, host=native)]
