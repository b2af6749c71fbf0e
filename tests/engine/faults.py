"""One fault of a registry and one prefetch through it: what is to come of it, and what came."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailing_tasks import process, sandbox
from tests.engine import tiny
from tests.engine.proxy import RETRY_AFTER, Fault, RegistryProxy
from tests.engine.remote import remote
from tests.engine.support import Engine, Workspace, made, started, unique

AT_ONCE = {"classic": 2, "containerd": 4, "buildkit": 4}
"""Prefetches at once: the classic store loads three layers at a time, and waits with them."""
FINAL = (Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.NOT_FOUND)
"""What asking again does not help."""
SAYS = {
    Fault.UNAUTHORIZED: ("wants a login", "docker login"),
    Fault.FORBIDDEN: ("may not have the image", "docker login"),
    Fault.NOT_FOUND: ("has no such image", "check the spelling"),
    Fault.TOO_MANY: ("limits how often", "name a mirror"),
    Fault.TOO_MANY_WAIT: ("limits how often", "name a mirror"),
    Fault.SERVER_ERROR: ("500", "check the network"),
    Fault.BAD_GATEWAY: ("502", "check the network"),
    Fault.RESET: ("connection broke", "check the network"),
    Fault.SHORT: ("connection broke", "check the network"),
    Fault.CORRUPT: ("something else than was asked for", "run it again"),
    Fault.STALL: ("did not answer", "check the network"),
    Fault.CIRCLE: ("redirect|sent elsewhere", "mirror"),
    # Of a blob that is shorter, it is only known that it ended.
    Fault.ANOTHER: (
        "something else than was asked for|EOF|ended after",
        "run it again|check the network",
    ),
}
"""For each fault that makes a pull fail: cause and remedy, as expressions."""
TOLD = (
    Fault.TOO_MANY,
    Fault.TOO_MANY_WAIT,
    Fault.SERVER_ERROR,
    Fault.BAD_GATEWAY,
    Fault.CORRUPT,
    Fault.ANOTHER,
)
"""Of manifests, what a prefetch tells of and waits for, where the engine would not do better."""
OUT_OF_TIME = ("--timeout|did not answer", "run it again|check the network")
PATIENCE = 400
"""Seconds after which a prefetch hangs. Four attempts with the classic store's own take 210."""


@dataclass(frozen=True)
class Case:
    """A fault to meet.

    Attributes:
        store: The image store of the engine that pulls; `buildkit` for a BuildKit of its own.
        on: What it befalls: `manifests` or `blobs`.
        fault: What goes wrong.
        times: How often; None for good.
        timeout: The prefetch's own, in seconds, which ends it; none where it is 0.
    """

    store: str
    on: str
    fault: Fault
    times: int | None
    timeout: int = 0

    def __str__(self) -> str:
        return f"{self.store}-{self.on}-{self.how_often}-{self.fault.value}".replace(" ", "_")

    @property
    def how_often(self) -> str:
        return "for good" if self.times is None else "once"

    @property
    def ends_well(self) -> bool:
        """Whether the prefetch has to get the image all the same."""
        if self.fault is Fault.TRICKLE:
            return True
        # The classic store's engine asks again for a layer, whatever the answer was.
        asked_again = self.fault not in FINAL or (self.store, self.on) == ("classic", "blobs")
        return self.times is not None and asked_again


@dataclass(frozen=True)
class Came:
    """What came of a case.

    Attributes:
        case: What it was.
        ended: The prefetch as a process.
        requests: How many requests it was worth, the engine's among them.
        held: Whether the engine then had the image.
        recovered: Whether a plain run got that image once the registry was well; None where
            nothing had failed.
    """

    case: Case
    ended: process.Completed
    requests: int
    held: bool
    recovered: bool | None

    @property
    def image(self) -> Mapping[str, str]:
        """What the prefetch said of the image."""
        if not self.ended.stdout:
            return {"status": "hangs", "cause": "", "remedy": ""}
        (found,) = json.loads(self.ended.stdout)["results"]
        (image,) = found["images"]
        return dict(image)

    def check(self) -> None:
        """Assert that it came as it has to."""
        said = self.ended.stderr
        if self.case.ends_well:
            assert (self.ended.returncode, self.image["status"]) == (0, "pulled"), said
            assert self.held
        else:
            assert (self.ended.returncode, self.image["status"]) == (5, "failed"), said
            assert not self.held
            self._check_words()
            assert self.recovered
        if self.case.on == "manifests" and self.case.fault in TOLD:
            wait = RETRY_AFTER if self.case.fault is Fault.TOO_MANY_WAIT else 1
            assert re.search(f"{SAYS[self.case.fault][0]}.*attempt 2 of 4 in {wait} s", said), said

    def _check_words(self) -> None:
        """Assert that a failure is told with cause, remedy and the right number of attempts."""
        said = " ".join(self.ended.stderr.split())
        words = OUT_OF_TIME if self.case.timeout else SAYS[self.case.fault]
        for pattern, text in zip(words, self._words(), strict=True):
            assert re.search(pattern, text), self.ended.stderr
            assert text in said
        if self.case.fault in FINAL:
            assert "attempt 2" not in said, "it was asked again"
        elif not self.case.timeout:
            assert "attempt 4 of 4" in said, "it was given up too early"

    def _words(self) -> tuple[str, str]:
        return " ".join(self.image["cause"].split()), " ".join(self.image["remedy"].split())


def meet(case: Case, engine: Engine, folder: Path) -> Came:
    """Prefetch an image through a registry with a fault, and again once that one is well."""
    workspace = made(folder, engine)
    image = tiny.push(engine.registry, f"faults/{unique(folder, 'image')}:1", 20_000, 100_000)
    with RegistryProxy(engine.registry) as registry:
        base(workspace, f"{registry.address}/{image.name}")
        path = image.layers[1] if case.on == "blobs" else image.repository
        registry.fault(case.fault, on=case.on, times=case.times, path=path)
        ended = _prefetch(workspace, case.timeout)
        requests = len(registry.log)
        repository = f"{registry.address}/{image.repository}"
        held = tiny.held(workspace, repository, image)
        registry.heal()
        recovered = None if ended.ok else _recovers(workspace, repository, image)
    return Came(case, ended, requests, held, recovered)


def _prefetch(workspace: Workspace, timeout: int) -> process.Completed:
    limit = ["--timeout", str(timeout)] if timeout else []
    return process.run(
        [sys.executable, "-m", "invoke", "prefetch", "--strict", "--json", *limit],
        env=workspace.engine.environment,
        cwd=workspace.root,
        timeout=3 * timeout or PATIENCE,
    )


def _recovers(workspace: Workspace, repository: str, image: tiny.Tiny) -> bool:
    again = workspace.document("prefetch", "--json")["prefetch"]
    return again["failed"] == 0 and tiny.held(workspace, repository, image)


def base(workspace: Workspace, *images: str) -> None:
    """Let a workspace's builder and app be built from some images."""
    stages = [f"FROM {image} AS stage-{number}" for number, image in enumerate(images)]
    copies = [f"COPY --from=stage-{number} / /{number}/" for number in range(len(images))]
    workspace.write(
        "docker/dockerfile.dev", "\n".join([*stages, "FROM scratch AS builder", *copies, ""])
    )
    workspace.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")


@contextmanager
def meeting(session: pytest.Session, folder: Path) -> Iterator[Mapping[Case, Future[Came]]]:
    """Meet the cases of the tests that were chosen, several at once: mostly each only waits."""
    calls = (getattr(item, "callspec", None) for item in session.items)
    given = (call.params.get("case") for call in calls if call)
    cases = (case for case in given if isinstance(case, Case))
    with ExitStack() as stack:
        engines = {store: started(store) for store in sandbox.STORES}
        engines["buildkit"] = stack.enter_context(remote(engines["containerd"], folder))
        pools = {
            store: stack.enter_context(ThreadPoolExecutor(number))
            for store, number in AT_ONCE.items()
        }
        came = {}
        for case in cases:
            place = folder / str(case)
            place.mkdir()
            came[case] = pools[case.store].submit(meet, case, engines[case.store], place)
        yield came
    capturing = session.config.pluginmanager.get_plugin("capturemanager")
    assert capturing
    with capturing.global_and_fixture_disabled():
        print(
            "\n" + _table([future.result() for future in came.values() if not future.exception()])
        )


def _table(came: Sequence[Came]) -> str:
    """Return what came of each case, as lines for people."""
    rows = [("store", "fault", "on", "times", "outcome", "exit", "requests", "seconds", "cause")]
    for one in came:
        case, image = one.case, one.image
        limit = f" --timeout {case.timeout}" if case.timeout else ""
        rows.append(
            (
                case.store,
                case.fault.value,
                case.on,
                case.how_often + limit,
                image["status"],
                str(one.ended.returncode),
                str(one.requests),
                f"{one.ended.seconds:.1f}",
                image["cause"][:90],
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
