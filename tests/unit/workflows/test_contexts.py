"""What expressions and scripts can refer to."""

from __future__ import annotations

from typing import Any

import pytest

from bailing_tasks.workflows.contexts import matrix
from bailing_tasks.workflows.expressions import UNKNOWN, Open
from bailing_tasks.workflows.nodes import parse

ARM, AMD = "linux/arm64", "linux/amd64"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [{}]),
        ("{a: [1, 2]}", [{"a": "1"}, {"a": "2"}]),
        ("{a: [1], b: [x, y]}", [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}]),
        ("{a: [1, 2], exclude: [{a: 1}]}", [{"a": "2"}]),
        ("{include: [{a: 1}, {a: 2}]}", [{"a": "1"}, {"a": "2"}]),
        # The example of GitHub's "Running variations of jobs in a workflow".
        (
            (
                "{fruit: [apple, pear], animal: [cat, dog], include: [{color: green}, "
                "{color: pink, animal: cat}, {fruit: apple, shape: circle}, {fruit: banana}, "
                "{fruit: banana, animal: cat}]}"
            ),
            [
                {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
                {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
                {"fruit": "pear", "animal": "cat", "color": "pink"},
                {"fruit": "pear", "animal": "dog", "color": "green"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"},
            ],
        ),
        ("{a: \"${{ fromJSON('[1, 2]') }}\"}", [{"a": 1}, {"a": 2}]),
        ('{a: "${{ needs.x.outputs.y }}"}', [{"a": UNKNOWN}]),
        ('"${{ fromJSON(\'{\\"a\\": [1]}\') }}"', [{"a": 1}]),
        ('"${{ fromJSON(needs.x.outputs.y) }}"', [{}]),
        ("{a: [{b: [1]}]}", [{"a": {"b": ["1"]}}]),
    ],
)
def test_a_matrix_is_expanded(text: str, found: list[dict[str, Any]]) -> None:
    assert matrix(parse(text, "w.yml"), {}) == found


def test_a_matrix_that_is_not_known_has_values_that_are_not() -> None:
    (found,) = matrix(parse('"${{ fromJSON(needs.x.outputs.y) }}"', "w.yml"), {})
    assert isinstance(found, Open)
