from __future__ import annotations

import threading
import time

import pytest

from bailing_tasks.parallel import ahead, beside, in_parallel


def test_every_item_comes_with_its_value() -> None:
    found = dict(in_parallel(lambda number: number * 2, range(50), jobs=7))
    assert found == {number: number * 2 for number in range(50)}
    assert list(in_parallel(str, [], jobs=7)) == []


def test_as_many_as_allowed_work_at_once_and_no_more() -> None:
    lock, running, most = threading.Lock(), set[str](), dict[str, int]()
    meet = threading.Barrier(3)

    def work(name: str) -> None:
        with lock:
            running.add(name)
            for group in (name[0], "all"):
                count = sum(group in ("all", other[0]) for other in running)
                most[group] = max(most.get(group, 0), count)
        if name in ("a1", "a2", "b1"):
            meet.wait(10)  # these three only get on if they run at the same time
        with lock:
            running.remove(name)

    names = ["a1", "a2", "a3", "a4", "b1", "b2"]
    list(in_parallel(work, names, jobs=3, group=lambda name: name[0], jobs_per_group=2))
    assert most["all"] == 3
    assert most["a"] == 2


def test_what_clashes_is_overtaken_until_it_does_not_any_more() -> None:
    begun: list[str] = []
    third, settled = threading.Event(), threading.Event()

    def work(name: str) -> None:
        begun.append(name)
        if name == "b1":
            third.set()
        if name == "a1":
            assert third.wait(10)
            settled.set()  # from here on a2 may begin, though a1 goes on
            while "a2" not in begun:
                time.sleep(0.01)

    def clashes(running: str, waiting: str) -> bool:
        return running[0] == waiting[0] and not settled.is_set()

    list(in_parallel(work, ["a1", "a2", "b1"], jobs=3, clashes=clashes))
    assert begun == ["a1", "b1", "a2"]


def test_a_failure_comes_up_and_nothing_more_begins() -> None:
    begun: list[int] = []
    raised = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        if number == 2:
            raise ValueError("two")
        if number > 2:
            raised.wait(30)

    with pytest.raises(ValueError, match="two"):
        list(in_parallel(work, range(1000), jobs=1))
    raised.set()
    assert len(begun) <= 4


def test_whoever_stops_reading_is_not_kept() -> None:
    go = threading.Event()
    results = in_parallel(lambda number: go.wait(30) if number else None, range(3), jobs=2)
    assert next(results) == (0, None)
    results.close()
    go.set()


def test_what_does_not_end_in_time_is_left_out() -> None:
    go = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            go.wait(30)
        return number

    found = dict(in_parallel(work, range(3), jobs=3, within=1.0))
    go.set()
    assert found == {0: 0, 2: 2}


def test_work_beside_a_block_is_over_when_the_block_is() -> None:
    done: list[str] = []
    with beside(lambda: done.append("worked")) as call:
        call()
        call()
    assert done == ["worked", "worked"]


def test_work_beside_a_block_is_over_also_after_an_interrupt() -> None:
    done: list[str] = []

    def run() -> None:
        with beside(lambda: done.append("worked")) as call:
            call()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["worked"]


def test_what_work_beside_a_block_raises_comes_up_at_its_end() -> None:
    def work() -> None:
        raise ValueError("bad")

    def run() -> None:
        with beside(work) as call:
            call()
            ended.append(True)

    ended: list[bool] = []
    with pytest.raises(ValueError, match="bad"):
        run()
    assert ended


def test_what_is_begun_ahead_goes_on_until_it_is_asked_for() -> None:
    on = threading.Event()
    later = ahead(lambda: on.wait(10))
    on.set()
    assert later()
    failed = ahead(lambda: 1 // 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failed()
