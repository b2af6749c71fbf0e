"""What a fingerprint depends on, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bailing_tasks.fingerprint import Inputs, fingerprint

INPUTS = Inputs(
    instructions=("FROM a", "COPY x /"),
    build_args={"A": "1", "B": "2"},
    images={"a linux/amd64": "sha256:0"},
    platform="linux/amd64",
    build_platform="",
    files={"x": "00", "y": "11"},
)


def test_it_is_the_same_for_the_same_inputs_in_any_order() -> None:
    other = replace(INPUTS, build_args={"B": "2", "A": "1"}, files={"y": "11", "x": "00"})
    assert fingerprint(other) == fingerprint(INPUTS)
    assert len(fingerprint(INPUTS)) == 64


@pytest.mark.parametrize(
    "changed",
    [
        replace(INPUTS, instructions=("COPY x /", "FROM a")),
        replace(INPUTS, instructions=("FROM a", "COPY x /", "USER a")),
        replace(INPUTS, build_args={"A": "1"}),
        replace(INPUTS, build_args={"A": "1", "B": "3"}),
        replace(INPUTS, images={"a linux/amd64": "sha256:1"}),
        replace(INPUTS, platform="linux/arm64"),
        replace(INPUTS, build_platform="linux/arm64"),
        replace(INPUTS, files={"x": "00", "y": "12"}),
        replace(INPUTS, files={"x": "00", "z": "11"}),
    ],
)
def test_it_changes_with_each_input(changed: Inputs) -> None:
    assert fingerprint(changed) != fingerprint(INPUTS)
