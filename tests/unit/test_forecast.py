from __future__ import annotations

import pytest

from bailing_tasks import forecast

MEGABYTE = 10**6


@pytest.mark.parametrize(
    ("free", "said", "full"),
    [
        (None, "", False),
        (1000 * MEGABYTE, "", False),
        (200 * MEGABYTE, "may not suffice", False),
        (50 * MEGABYTE, "100 MB are to come, and 50 MB are free", True),
    ],
)
def test_disk_space_is_looked_at(free: int | None, said: str, full: bool) -> None:
    layers = {"a": 60 * MEGABYTE, "b": 40 * MEGABYTE}
    text, cannot = forecast.space(layers, free)
    assert said in text
    assert bool(text) is bool(said)
    assert cannot is full


def test_nothing_to_come_needs_no_space() -> None:
    assert forecast.space({}, None) == ("", False)


def test_a_host_that_allows_too_few_pulls_is_named() -> None:
    hosts = ["docker.io"] * 3 + ["ghcr.io"] * 2
    assert forecast.pulls(hosts, {}) == []
    assert forecast.pulls(hosts, {"docker.io": 3, "quay.io": 0}) == []
    (text,) = forecast.pulls(hosts, {"docker.io": 2})
    assert "docker.io allows 2 more pulls for now, and 3 images are to come" in text
    assert "docker login docker.io" in text
