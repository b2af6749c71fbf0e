"""Images that share layers: which of them had better wait for another."""

from __future__ import annotations

import io

import pytest

from bailing_tasks.console import Console
from bailing_tasks.progress import Transfers

ONE = {"base": 100, "one": 10}
OTHER = {"base": 100, "other": 20}


@pytest.fixture
def shown() -> Transfers:
    return Transfers(2, Console(io.StringIO(), live=False, folded=False))


def test_an_image_waits_until_the_layer_it_shares_is_here(shown: Transfers) -> None:
    assert not shown.clash({"one": 10}, {"other": 20})
    with shown.image("one") as transfer:
        transfer.expect(ONE)
        assert shown.clash(ONE, OTHER)
        transfer.update("base", 99, 100)
        assert shown.clash(ONE, OTHER)
        transfer.update("base", 100, 100)
        assert not shown.clash(ONE, OTHER)


def test_an_image_does_not_wait_for_a_layer_that_was_here_before(shown: Transfers) -> None:
    with shown.image("one") as transfer:
        transfer.expect(ONE)
        transfer.skip("base")
        assert not shown.clash(ONE, OTHER)


def test_an_image_does_not_wait_for_one_that_is_in_trouble(shown: Transfers) -> None:
    with shown.image("one") as transfer:
        transfer.expect(ONE)
        transfer.give_way()
        assert not shown.clash(ONE, OTHER)
