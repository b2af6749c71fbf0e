from __future__ import annotations

from typing import Any

import pytest

from bailing_tasks.errors import PullError
from bailing_tasks.outcomes import Outcome, PrefetchResult, describe


def outcome(status: str, **values: Any) -> Outcome:
    return Outcome(reference="a:1", platform="linux/amd64", status=status, **values)


FAILED = outcome("failed", cause="no such tag", remedy="check it")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (outcome("present", digest="sha256:1"), "present"),
        (outcome("present", cause="silent"), "present (not pinned: silent)"),
        (
            outcome("present", digest="sha256:1", moved_to="sha256:22", remedy="`x`"),
            "present; its tag stands for sha256:22 now (`x` follows it)",
        ),
        (
            outcome("pulled", bytes=1500, seconds=2.0, served_from="m/a", moved_from="sha256:1"),
            "pulled 1.5 kB in 2.0 s from m/a; its tag has moved from sha256:1",
        ),
        (
            outcome("pulled", served_from="m/a"),
            "pulled (its layers were here) in 0.0 s from m/a",
        ),
        (FAILED, "failed\nno such tag\nremedy: check it"),
    ],
)
def test_an_outcome_is_told_in_a_line(found: Outcome, said: str) -> None:
    assert describe(found) == said
    assert found.key == ("a:1", "linux/amd64")


def test_a_stopped_prefetch_ends_with_what_failed() -> None:
    images = (outcome("present"), FAILED)
    result = PrefetchResult(images=images, bytes=0, seconds=0.0, stopped=False)
    assert result.counts() == {"pulled": 0, "present": 1, "failed": 1}
    result.check()
    with pytest.raises(PullError, match="1 of 2 images could not be pulled: a:1") as caught:
        PrefetchResult(images=images, bytes=0, seconds=0.0, stopped=True).check()
    assert caught.value.cause == "no such tag"
