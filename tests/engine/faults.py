"""One fault of a registry and one prefetch through it: what is to come of it, and what came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import process
from tests.engine import tiny
from tests.engine.proxy import RETRY_AFTER, Fault, RegistryProxy
from tests.engine.support import Engine, Workspace, made, unique

AT_ONCE = {"classic": 2, "containerd": 4}
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
    Fault.STALL: ("did not answer|silent|no byte", "check the network"),
    Fault.CIRCLE: ("redirect", "check the network|mirror"),
    # Of a blob of another length, the containerd store says only that it ended.
    Fault.ANOTHER: ("something else than was asked for|EOF", "run it again|check the network"),
}
"""For each fault that makes a pull fail: cause and remedy, as expressions."""


@dataclass(frozen=True)
class Case:
    """A fault to meet.

    Attributes:
        store: The image store of the engine that pulls.
        on: What it befalls: `manifests` or `blobs`.
        fault: What goes wrong.
        times: How often; None for good.
        timeout: The prefetch's own, in seconds; none where it is 0.
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
        held: What the engine then held under the image's name: digests.
        right: Whether all that it held was, byte for byte, what had been pushed.
        requests: What the registry was asked for by the prefetch: how many requests.
        after: The same image's status in a plain run, once the registry was well.
        right_after: Whether the engine then had the image, byte for byte.
    """

    case: Case
    ended: process.Completed
    held: tuple[str, ...]
    right: bool
    requests: int
    after: str
    right_after: bool

    @property
    def image(self) -> Mapping[str, str]:
        """What the prefetch said of the image."""
        (found,) = json.loads(self.ended.stdout)["results"]
        (image,) = found["images"]
        return dict(image)

    def check(self) -> None:
        """Assert that it came as it has to."""
        case, said = self.case, self.ended.stderr
        assert self.right, "the store holds a wrong image"
        if case.ends_well:
            assert (self.ended.returncode, self.image["status"]) == (0, "pulled"), said
            assert self.held
        else:
            cause, remedy = SAYS[case.fault]
            assert (self.ended.returncode, self.image["status"]) == (5, "failed"), said
            assert re.search(cause, self.image["cause"])
            assert re.search(remedy, self.image["remedy"])
            assert self.image["cause"] in said
            assert self.image["remedy"] in said
            assert not self.held
            if case.fault in FINAL:
                assert "attempt 2" not in said, "it was asked again"
            elif not case.timeout:
                assert "attempt 4 of 4" in said, "it was given up too early"
        if case.fault is Fault.TOO_MANY_WAIT and case.on == "manifests":
            assert self.ended.seconds >= RETRY_AFTER
        if case.timeout:
            assert self.ended.seconds < case.timeout + 5
        assert (self.after, self.right_after) in (("pulled", True), ("present", True))


def meet(case: Case, engine: Engine, folder: Path) -> Came:
    """Prefetch an image through a registry with a fault, and again once that one is well."""
    workspace = made(folder, engine)
    image = tiny.push(engine.registry, f"faults/{unique(folder, 'image')}:1", 20_000, 100_000)
    with RegistryProxy(engine.registry) as registry:
        base(workspace, f"{registry.address}/{image.name}")
        path = image.layers[1] if case.on == "blobs" else image.repository
        registry.fault(case.fault, on=case.on, times=case.times, path=path)
        timeout = ["--timeout", str(case.timeout)] if case.timeout else []
        ended = workspace.invoke("prefetch", "--strict", "--json", *timeout)
        requests = len(registry.log)
        held, right = _held(engine, f"{registry.address}/{image.repository}", image, folder)
        registry.heal()
        after = workspace.document("prefetch", "--json")["prefetch"]["images"][0]["status"]
        pinned = f"{registry.address}/{image.repository}@{image.digest}"
        right_after = tiny.is_right(engine, pinned, image, folder)
    return Came(case, ended, held, right, requests, after, right_after)


def base(workspace: Workspace, *images: str) -> None:
    """Let a workspace's builder and app be built from some images."""
    stages = [f"FROM {image} AS stage-{number}" for number, image in enumerate(images)]
    copies = [f"COPY --from=stage-{number} / /{number}/" for number in range(len(images))]
    workspace.write(
        "docker/dockerfile.dev", "\n".join([*stages, "FROM scratch AS builder", *copies, ""])
    )
    workspace.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")


def _held(
    engine: Engine, repository: str, image: tiny.Tiny, folder: Path
) -> tuple[tuple[str, ...], bool]:
    """Return the digests that an engine has of a repository, and whether all are the image."""
    listed = engine.must("image", "ls", "--digests", "--format", "{{.Digest}}", repository)
    held = tuple(dict.fromkeys(listed.split()))
    right = held in ((), (image.digest,))
    for digest in held:
        right = right and tiny.is_right(engine, f"{repository}@{digest}", image, folder)
    return held, right


@contextmanager
def meeting(
    cases: Iterable[Case], engines: Mapping[str, Engine], folder: Path
) -> Iterator[Mapping[Case, Future[Came]]]:
    """Meet some cases, several at once: most of the time each only waits."""
    with ExitStack() as stack:
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


def table(came: Sequence[Came]) -> str:
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
