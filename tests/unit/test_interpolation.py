"""Variables in values, as the Compose specification has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks.interpolation import UnresolvedError, interpolate

VALUES = {"A": "1", "EMPTY": "", "under_score2": "u", "DOLLAR": "$A"}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", ""),
        ("plain text {A} }", "plain text {A} }"),
        ("$A-$A.${A}b", "1-1.1b"),
        ("$under_score2", "u"),
        ("$DOLLAR", "$A"),  # what a value holds is not looked through
        ("$$A $${A}", "$A ${A}"),
        ("5$ $1 $- $", "5$ $1 $- $"),
        ("${A:-x}${A-x}", "11"),
        ("${NO:-x}${NO-x}", "xx"),
        ("${EMPTY:-x}${EMPTY-x}", "x"),
        ("${A:+x}${A+x}", "xx"),
        ("${NO:+x}${NO+x}", ""),
        ("${EMPTY:+x}${EMPTY+x}", "x"),
        ("${A:?no}${EMPTY?no}", "1"),
        ("${NO:-}", ""),
        ("${NO:-${NONE:-$A}}", "1"),
        ("${NO:-a}b}", "ab}"),
        ("${A:-$NO}${NO:+$NO}", "1"),  # a word that is not needed is not looked at
        ("${NO:-http://x:1/$$}", "http://x:1/$"),
    ],
)
def test_variables_are_replaced(text: str, made: str) -> None:
    assert interpolate(text, VALUES) == made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$NO", "not defined"),
        ("${NO}", "not defined"),
        ("${NO:-$NO}", "not defined"),
        ("${", "no name follows"),
        ("${}", "no name follows"),
        ("${1}", "no name follows"),
        ("${A", "not closed"),
        ("${NO:-${A}", "not closed"),
        ("${A:x}", "something else"),
        ("${A/a/b}", "something else"),
        ("${NO:?say why}", "NO has to be set: say why"),
        ("${EMPTY:?say why $A}", "EMPTY has to be set: say why 1"),
    ],
)
def test_what_cannot_be_made_is_refused(text: str, said: str) -> None:
    with pytest.raises(UnresolvedError) as caught:
        interpolate(text, VALUES)
    assert said in caught.value.cause
    assert caught.value.remedy


def test_what_may_be_a_part_of_a_password_is_not_shown() -> None:
    with pytest.raises(UnresolvedError) as caught:
        interpolate("pa$sw0rd", VALUES)
    assert "sw0rd" not in str(caught.value) + caught.value.remedy


@given(st.text())
def test_a_text_with_its_dollars_doubled_is_itself(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == text
