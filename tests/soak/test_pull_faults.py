"""Every fault that a registry may have, once and for good, on manifests and blobs, everywhere.

The classic store's engine itself asks again for a layer, which takes 50 seconds an attempt.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.engine.faults import AT_ONCE, Came, Case, meeting
from tests.engine.proxy import Fault

CASES = [
    Case(store, on, fault, times)
    for store, on, times, fault in itertools.product(
        AT_ONCE, ("manifests", "blobs"), (1, None), Fault
    )
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
