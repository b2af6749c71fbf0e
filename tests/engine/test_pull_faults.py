"""One fault of each kind that a registry may have, and what a prefetch makes of it.

All pairs are in tests/soak. With `pytest -s` a table shows what came.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.engine.faults import Came, Case, base, meeting
from tests.engine.proxy import Fault, RegistryProxy
from tests.engine.support import HOST, Workspace, unique
from tests.engine.tiny import push

TIMEOUT = 12
"""Seconds that a prefetch is given where something never comes to its end."""
CASES = [
    *(Case("containerd", "manifests", fault, 1) for fault in Fault if fault is not Fault.STALL),
    Case("containerd", "manifests", Fault.STALL, None, TIMEOUT),
    *(
        Case("containerd", "blobs", fault, None, TIMEOUT if fault is Fault.STALL else 0)
        for fault in Fault
    ),
    Case("containerd", "blobs", Fault.CORRUPT, 1),
    *(
        Case("classic", "blobs", fault, 1)
        for fault in (Fault.RESET, Fault.SHORT, Fault.CORRUPT, Fault.ANOTHER)
    ),
]


@pytest.fixture(scope="module")
def came(
    home: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Case, Future[Came]]]:
    with meeting(request.session, tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_of_a_registry(case: Case, came: Mapping[Case, Future[Came]]) -> None:
    came[case].result().check()


def test_images_that_fail_hold_up_no_other(plain: Workspace, tmp_path: Path) -> None:
    registry = plain.engine.registry
    gone, broken, silent, well = (
        push(registry, f"{unique(tmp_path, name)}:1", 50_000)
        for name in ("gone", "broken", "silent", "well")
    )
    with RegistryProxy(registry) as proxy:
        proxy.fault(Fault.NOT_FOUND, on="manifests", path=gone.repository)
        proxy.fault(Fault.RESET, on="blobs", path=broken.repository, times=1)
        proxy.fault(Fault.STALL, on="blobs", path=silent.repository)
        base(plain, *(f"{proxy.address}/{image.name}" for image in (gone, broken, silent, well)))
        found = plain.document("prefetch", "--json", "--timeout", str(TIMEOUT))["prefetch"]
    status = {image["reference"].rpartition("/")[2]: image["status"] for image in found["images"]}
    assert status == {
        gone.name: "failed",
        broken.name: "pulled",
        silent.name: "failed",
        well.name: "pulled",
    }


def test_what_a_mirror_fails_at_comes_from_the_next(plain: Workspace, tmp_path: Path) -> None:
    registry = plain.engine.registry
    faults = [
        (Fault.NOT_FOUND, "manifests"),
        (Fault.TOO_MANY, "manifests"),
        (Fault.FORBIDDEN, "blobs"),
        (Fault.SERVER_ERROR, "blobs"),
        (Fault.RESET, "blobs"),
    ]
    images = [push(registry, f"{HOST}/{unique(tmp_path, str(n))}:1", 50_000) for n in range(5)]
    base(plain, *(image.name for image in images))
    with RegistryProxy(registry) as mirror:
        for (fault, on), image in zip(faults, images, strict=True):
            mirror.fault(fault, on=on, path=image.repository)
        mirrors = {HOST: [f"http://{mirror.address}/{HOST}", f"http://{registry}/{HOST}"]}
        plain.environment["BAILING_TASKS_MIRRORS"] = json.dumps(mirrors)
        found = plain.document("prefetch", "--json")["prefetch"]
    assert {
        (image["status"], image["served_from"].partition("/")[0]) for image in found["images"]
    } == {("pulled", registry)}
