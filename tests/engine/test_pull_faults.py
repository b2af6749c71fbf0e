"""One fault of each kind that a registry may have, and what a prefetch makes of it.

All pairs are in tests/soak. With `pytest -s` a table shows what came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.engine.faults import Came, Case, meeting, table
from tests.engine.proxy import Fault

TIMEOUT = 10
"""Seconds that a prefetch is given where a layer never comes to its end."""
CASES = [
    *(Case("containerd", "manifests", fault, 1) for fault in Fault if fault is not Fault.STALL),
    *(
        Case("containerd", "blobs", fault, None, TIMEOUT if fault is Fault.STALL else 0)
        for fault in Fault
    ),
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
    print("\n" + table(found))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_of_a_registry(case: Case, came: Mapping[Case, Future[Came]]) -> None:
    came[case].result().check()
