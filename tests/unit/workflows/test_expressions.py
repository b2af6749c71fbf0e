"""GitHub's expressions: what is known of their values."""

from __future__ import annotations

from typing import Any

import pytest

from bailing_tasks.workflows.expressions import (
    UNKNOWN,
    Open,
    both,
    condition,
    either,
    evaluate,
    interpolate,
    negate,
    resolve,
)

CONTEXTS: dict[str, Any] = {
    "github": Open(event_name="push", ref="refs/heads/main", event=Open(pull_request=None)),
    "env": {"NAME": "voice", "part": f"a{UNKNOWN}", "EMPTY": ""},
    "matrix": {"list": ["x", "y"], "number": 3.0, "flag": True},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("github.ref == 'refs/heads/main'", True),
        ("github.ref == 'REFS/HEADS/MAIN'", True),
        ("github.ref != 'refs/heads/main'", False),
        ("github['event_name']", "push"),
        ("github.EVENT_NAME", "push"),
        ("github.event.pull_request.head.ref", None),
        ("github.event.release.tag_name", UNKNOWN),
        ("env.NAME && 'yes' || 'no'", "yes"),
        ("env.EMPTY && 'yes' || 'no'", "no"),
        ("env.other || 'default'", "default"),
        ("!env.EMPTY", True),
        ("!secrets.TOKEN", UNKNOWN),
        ("(1 < 2) && (2 <= 2) && (3 > 2) && (2 >= 2)", True),
        ("1 == '1'", True),
        ("'' == 0", True),
        ("null == false", True),
        ("'x' == 1", False),
        ("github.event == 1", False),
        ("0x10 == 16", True),
        ("1e2 == 100", True),
        ("'it''s'", "it's"),
        ("secrets.TOKEN == 'x'", UNKNOWN),
        ("env.part == 'ab'", UNKNOWN),
        ("secrets.TOKEN && false", False),
        ("secrets.TOKEN && true", UNKNOWN),
        ("secrets.TOKEN || true", True),
        ("secrets.TOKEN || false", UNKNOWN),
        ("matrix.list[1]", "y"),
        ("matrix.list[7]", None),
        ("matrix.list.*", UNKNOWN),
        ("matrix.number", 3.0),
        ("env.NAME.length", None),
        ("contains(github.ref, 'HEADS')", True),
        ("contains(matrix.list, 'Y')", True),
        ("contains(matrix.list, 'z')", False),
        ("startsWith(github.ref, 'refs/tags/')", False),
        ("endsWith(github.ref, '/main')", True),
        ("format('{0}-{1} {{}}', 'a', 1)", "a-1 {}"),
        ("format('{5}')", UNKNOWN),
        ("join(matrix.list, '+')", "x+y"),
        ("join(matrix.list)", "x,y"),
        ("fromJSON('[1]')[0] == 1", True),
        ("fromJSON('[')", UNKNOWN),
        ("toJSON(matrix.flag)", "true"),
        ("startsWith('a')", UNKNOWN),
        ("startsWith(secrets.TOKEN, 'a')", UNKNOWN),
        ("hashFiles('x')", UNKNOWN),
        ("success()", True),
        ("always() && !failure() && !cancelled()", True),
        ("fromJSON('NaN') && 'x' || 'no'", "no"),
        ("steps.meta.outputs.tags", UNKNOWN),
        ("github.ref ==", UNKNOWN),
        ("github.ref github.ref", UNKNOWN),
        ("format('a' 'b')", UNKNOWN),
        ("(1", UNKNOWN),
        (")", UNKNOWN),
        ("a # b", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_an_expression_has_its_value(text: str, value: object) -> None:
    assert evaluate(text, CONTEXTS) == value


def test_a_text_is_known_in_part() -> None:
    text = "ghcr.io/${{ env.NAME }}:${{ github.sha }}-${{ matrix.number }}${{ matrix.flag }}"
    assert interpolate(text, CONTEXTS) == f"ghcr.io/voice:{UNKNOWN}-3true"
    assert interpolate("${{ env.nothing }}.${{ matrix.list }}", CONTEXTS) == f".{UNKNOWN}"
    assert resolve("${{ matrix.flag }}", CONTEXTS) is True
    assert resolve("a ${{ matrix.flag }}", CONTEXTS) == "a true"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("github.event_name == 'push'", True),
        ("${{ github.event_name != 'push' }}", False),
        ("github.actor == 'someone'", None),
        # A text around an expression is not empty, and so true: a trap of GitHub's.
        ("${{ false }} && true", True),
    ],
)
def test_a_condition_holds_or_not_or_is_not_known(text: str, holds: bool | None) -> None:
    assert condition(text, CONTEXTS) is holds


def test_truths_have_three_values() -> None:
    values = (True, None, False)
    assert [both(a, b) for a in values for b in values] == [
        *(True, None, False),
        *(None, None, False),
        *(False, False, False),
    ]
    assert [either(True, None), either(None, False), either(False, False)] == [True, None, False]
    assert negate(None) is None
