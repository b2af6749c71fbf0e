"""What `verify` finds out without a container that runs."""

from __future__ import annotations

import pytest

from bailing_tasks.verify import user_id

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:10001:10001::/home/app:\ntoor:x:0:0::/:\n"


@pytest.mark.parametrize(
    ("user", "found"),
    [("app", 10001), ("toor", 0), ("", 0), ("1000", 1000), ("0", 0), ("nobody", None), ("x", None)],
)
def test_the_id_of_a_user_is_what_a_runtime_finds(user: str, found: int | None) -> None:
    assert user_id(user, PASSWD) == found


def test_without_users_there_are_root_and_numbers() -> None:
    assert [user_id(each, b"") for each in ("", "5", "app")] == [0, 5, None]
