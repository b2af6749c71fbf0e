from __future__ import annotations

import pytest

from bailing_tasks import forecast

MEGABYTE = 10**6


@pytest.mark.parametrize(
    ("free", "said"),
    [(None, False), (1000 * MEGABYTE, False), (200 * MEGABYTE, True), (50 * MEGABYTE, True)],
)
def test_disk_space_is_looked_at(free: int | None, said: bool) -> None:
    texts = forecast.space({"a": 60 * MEGABYTE, "b": 40 * MEGABYTE}, free)
    assert bool(texts) is said
    assert all("100 MB are to come, about 300 MB unpacked" in text for text in texts)


def test_nothing_to_come_needs_no_space() -> None:
    assert forecast.space({}, None) == []


def test_a_host_that_allows_too_few_pulls_is_named() -> None:
    hosts = ["docker.io"] * 3 + ["ghcr.io"] * 2
    assert forecast.pulls(hosts, {}) == []
    assert forecast.pulls(hosts, {"docker.io": 3, "quay.io": 0}) == []
    (text,) = forecast.pulls(hosts, {"docker.io": 2})
    assert "docker.io allows 2 more pulls for now, and 3 images are to come" in text
    assert "docker login docker.io" in text
