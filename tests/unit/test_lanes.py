"""Lanes of a run go side by side, each to its own end."""

from __future__ import annotations

import io
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from bailing_tasks.configuration import resolve
from bailing_tasks.console import Console
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import BuildError
from bailing_tasks.lanes import Lane, side_by_side
from bailing_tasks.platforms import Platform

PATIENCE = 60.0


@dataclass
class Lanes:
    """Two lanes, for amd64 and for arm64, and what they say."""

    amd: Lane
    arm: Lane
    stream: io.StringIO

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def two() -> Lanes:
    return lanes()


def lanes(*, folded: bool = False, live: bool = False) -> Lanes:
    stream = io.StringIO()
    console = Console(stream, live=live, folded=folded)
    settings = resolve(Path("/workspace"), document={}, environment={}, overrides={})
    amd, arm = (
        Lane(
            engine=cast("Engine", None),
            settings=settings.only((Platform.parse(name), *more)),
            console=console,
        )
        for name, more in (("amd64", (Platform.parse("386"),)), ("arm64", ()))
    )
    return Lanes(amd, arm, stream)


def test_one_lane_is_worked_in_as_if_there_were_none(two: Lanes) -> None:
    def work(lane: Lane) -> None:
        lane.console.say("hello")
        assert threading.current_thread() is threading.main_thread()

    side_by_side([two.amd], work)
    assert two.lines == ["hello"]


def test_lanes_go_at_the_same_time(two: Lanes) -> None:
    meeting = threading.Barrier(2)
    met: list[str] = []

    def work(lane: Lane) -> None:
        meeting.wait(PATIENCE)
        met.append(str(lane))

    side_by_side([two.amd, two.arm], work)
    assert sorted(met) == ["linux/amd64,linux/386", "linux/arm64"]


@pytest.mark.parametrize("folded", [False, True])
def test_each_line_says_whose_it_is(folded: bool) -> None:
    two = lanes(folded=folded)

    def work(lane: Lane) -> None:
        if lane.builds(Platform.parse("arm64")):
            with lane.console.activity("building") as show:
                show("#1 line")
            lane.console.warn("slow\nvery")
            lane.console.table((), [("a", "b")])

    side_by_side([two.amd, two.arm], work)
    owner = "linux/arm64           | "
    assert two.lines == [
        f"{owner}==> building",
        f"{owner}#1 line",
        f"{'::warning::' if folded else 'warning: '}{owner}slow",
        "  very",
        f"{owner}a  b",
    ]


def test_on_a_terminal_one_display_shows_what_runs_in_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    two = lanes(live=True)
    meeting = threading.Barrier(2)

    def work(lane: Lane) -> None:
        with lane.console.activity(f"building [{lane}]") as show:
            show("#1 [builder 1/2]")
            meeting.wait(PATIENCE)
        lane.console.say("built [it]")

    side_by_side([two.amd, two.arm], work)
    said = two.stream.getvalue()
    assert "linux/arm64           | built [it]" in said
    assert "linux/amd64,linux/386 | built [it]" in said


def test_a_lane_that_fails_lets_the_others_finish(two: Lanes) -> None:
    failed = threading.Event()
    finished: list[str] = []

    def work(lane: Lane) -> None:
        if lane.builds(Platform.parse("arm64")):
            failed.set()
            raise BuildError("arm64 could not be built", cause="no space")
        assert failed.wait(PATIENCE)
        finished.append(str(lane))

    with pytest.raises(BuildError, match="arm64 could not be built"):
        side_by_side([two.amd, two.arm], work)
    assert finished == ["linux/amd64,linux/386"]
    assert two.lines == ["linux/arm64           | failed: arm64 could not be built"]


def test_of_several_failures_the_first_is_raised_and_the_others_are_told(two: Lanes) -> None:
    failed = threading.Event()

    def work(lane: Lane) -> None:
        if lane.builds(Platform.parse("arm64")):
            try:
                raise BuildError("arm64 could not be built", cause="no space")
            finally:
                two.arm.console.say("first")
                threading.Timer(0.2, failed.set).start()
        assert failed.wait(PATIENCE)
        raise BuildError("amd64 could not be built", cause="no compiler")

    with pytest.raises(BuildError, match="arm64 could not be built"):
        side_by_side([two.amd, two.arm], work)
    assert two.lines[-2:] == [
        "warning: linux/amd64,linux/386: amd64 could not be built",
        "    cause: no compiler",
    ]


def test_an_interrupt_reaches_every_lane_and_all_are_waited_for(two: Lanes) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    assert main
    meeting = threading.Barrier(2)
    ended: list[str] = []

    def work(lane: Lane) -> Any:
        if meeting.wait(PATIENCE) == 0:
            signal.pthread_kill(main, signal.SIGINT)
        assert lane.cancelled.wait(PATIENCE)
        try:
            lane.go_on()
        finally:
            ended.append(str(lane))

    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side([two.amd, two.arm], work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(ended) == ["linux/amd64,linux/386", "linux/arm64"]
