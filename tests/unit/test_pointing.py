"""Which image of a variant is this workspace's, whatever its plain name points to."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from bailing_tasks.decision import points_elsewhere, workspace_image
from bailing_tasks.engine.base import Image
from bailing_tasks.names import LABEL
from bailing_tasks.platforms import Platform

if TYPE_CHECKING:
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.engine.base import Engine

PLAIN, KEPT, CURRENT = "app:latest", "localhost/app:fp-1", "localhost/app:ws-1-amd64"


@dataclass(frozen=True)
class Named:
    """An engine that knows images by name."""

    names: dict[str, str]

    def image(self, name: str) -> Image | None:
        if name not in self.names:
            return None
        return Image(
            id=name,
            content=self.names[name],
            platform=Platform.parse("linux/amd64"),
            size=1,
            user="",
            labels={LABEL: "app:1"},
        )


VARIANT = SimpleNamespace(target=SimpleNamespace(from_image=""))
PLAN = SimpleNamespace(
    name=PLAIN,
    kept=KEPT,
    current=CURRENT,
    label="app:1",
    recipe=SimpleNamespace(variant=VARIANT),
)


@pytest.mark.parametrize(
    ("names", "own", "elsewhere"),
    [
        ({}, None, False),
        ({PLAIN: "theirs"}, None, True),
        ({PLAIN: "new", KEPT: "new", CURRENT: "new"}, KEPT, False),
        ({PLAIN: "theirs", KEPT: "new", CURRENT: "new"}, KEPT, True),
        ({KEPT: "new", CURRENT: "new"}, KEPT, False),
        # Files changed since the last build,
        ({PLAIN: "old", CURRENT: "old"}, CURRENT, False),
        ({PLAIN: "theirs", CURRENT: "old"}, CURRENT, True),
        # or are again what they were at an earlier one,
        ({PLAIN: "old", KEPT: "earlier", CURRENT: "old"}, KEPT, False),
        # or another clone has built from the same ones.
        ({PLAIN: "theirs", KEPT: "theirs"}, KEPT, False),
    ],
)
def test_the_plain_name_proves_nothing(
    names: dict[str, str], own: str | None, elsewhere: bool
) -> None:
    plan, engine = cast("BuildPlan", PLAN), cast("Engine", Named(names))
    assert workspace_image(plan, engine) == own
    assert points_elsewhere(plan, engine) == elsewhere
