"""When a pull is given up, by what an engine said of it so far."""

from __future__ import annotations

import time

import pytest

from bailing_tasks.engine.base import Limits
from bailing_tasks.engine.docker import Traffic
from bailing_tasks.engine.pulling import Pull
from bailing_tasks.errors import PullError
from bailing_tasks.references import Reference

STALL = 0.05


def a_pull(traffic: Traffic | None = None) -> Pull:
    return Pull(
        wanted=Reference.parse("alpine:3.20"),
        platform=None,
        host="docker.io",
        limits=Limits(stall=STALL),
        traffic=traffic or Traffic(),
    )


def layer(status: str, current: int = 0, name: str = "0123456789ab") -> dict[str, object]:
    return {"status": status, "id": name, "progressDetail": {"current": current, "total": 9}}


def check_later(pull: Pull) -> None:
    time.sleep(2 * STALL)
    pull.check()


@pytest.mark.parametrize("status", ["Pulling from library/alpine", "Waiting", "Downloading"])
def test_silence_is_a_stall_while_something_has_to_come(status: str) -> None:
    pull = a_pull()
    pull.take(layer("Pull complete", name="ba9876543210"))
    pull.take(layer(status))
    if status.startswith("Pulling from"):
        pull = a_pull()
        pull.take(layer(status))
    with pytest.raises(PullError, match=r"alpine:3\.20 could not be pulled") as stalled:
        check_later(pull)
    assert stalled.value.transient
    assert "docker.io did not answer" in stalled.value.cause


@pytest.mark.parametrize("status", ["Extracting", "Download complete", "Already exists"])
def test_silent_unpacking_is_no_stall(status: str) -> None:
    pull = a_pull()
    pull.take(layer("Pulling from library/alpine", name="3.20"))
    pull.take(layer("Pulling fs layer"))
    pull.take(layer(status))
    check_later(pull)


def test_what_an_engine_says_again_is_no_progress() -> None:
    pull = a_pull()
    pull.take(layer("Downloading", 5))
    time.sleep(2 * STALL)
    pull.take(layer("Downloading", 5))
    with pytest.raises(PullError):
        pull.check()
    pull.take(layer("Downloading", 6))
    pull.check()


def test_a_pull_waits_while_others_of_its_engine_move() -> None:
    traffic = Traffic()
    waiting, moving = a_pull(traffic), a_pull(traffic)
    waiting.take(layer("Waiting"))
    time.sleep(2 * STALL)
    moving.take(layer("Downloading", 5))
    waiting.check()
