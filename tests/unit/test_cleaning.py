"""Which images this workspace built, and which of them are needed no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.cleaning import LEFT_OVER, SUPERSEDED, WANTED, Removal, removals
from bailing_tasks.configuration import resolve
from bailing_tasks.engine.base import Held
from bailing_tasks.engine.listing import held
from bailing_tasks.names import LABEL

HEX = "0123456789abcdef" * 4
KEPT = f"localhost/bailing:fp-{HEX[:16]}"
OWN, OTHER = "0123456789ab", "ba9876543210"
STAGED, ALIEN = (f"localhost/bailing:new-{workspace}-0" for workspace in (OWN, OTHER))
HELD, THEIRS = (f"localhost/bailing:ws-{workspace}-arm64" for workspace in (OWN, OTHER))
MIRROR = f"ghcr.io/a/b@sha256:{HEX}"


def image(*names: str, owner: str = "ghcr.io/a/b", id: str = "sha256:built") -> Held:  # noqa: A002
    label = {LABEL: f"{owner}:linux/arm64:{HEX}"} if owner else {}
    return Held(id=id, names=names, size=7, labels=label)


def found(
    *images: Held, everything: bool = False, repository: str = "ghcr.io/a/b"
) -> tuple[Removal, ...]:
    given: dict[str, Any] = {"name": "bailing"} | ({"repository": repository} if repository else {})
    settings = resolve(Path("/w"), document=given, environment={}, overrides={})
    return removals(
        images, settings.targets, {"sha256:built"}, workspace=OWN, everything=everything
    )


def test_a_build_that_is_not_used_and_has_no_other_name_goes() -> None:
    (removal,) = found(image(KEPT), image("bailing:latest", KEPT))
    assert removal == Removal(
        image="sha256:built",
        target="app",
        platform="linux/arm64",
        names=(KEPT,),
        stays_as=(),
        size=7,
        why=SUPERSEDED,
    )


@pytest.mark.parametrize(
    "stays",
    [
        image("bailing:latest", KEPT),
        image(HELD, KEPT),
        image(THEIRS, KEPT),
        image("docker.io/library/bailing:v1", KEPT),
        image("mine:1", KEPT),
        image(MIRROR, KEPT),
        image("localhost/bailing-tasks/kept:0123456789abcdef", KEPT),
    ],
)
def test_what_has_any_other_name_stays(stays: Held) -> None:
    assert found(stays) == ()


@pytest.mark.parametrize(
    "other",
    [
        image("bailing:latest", id="sha256:2"),
        image(KEPT, id="sha256:2"),
        image(HELD, KEPT, id="sha256:2"),
        image(ALIEN, id="sha256:2"),
        image("localhost/theirs:fp-0123456789abcdef"),
        image(KEPT, owner="ghcr.io/c/d"),
        image(KEPT, owner="bailing"),
        image(KEPT, owner=""),
        image(id="sha256:2"),
    ],
)
def test_what_this_workspace_did_not_build_stays(other: Held) -> None:
    assert found(other) == found(other, everything=True) == ()


def test_what_an_interrupted_build_left_goes() -> None:
    alone, beside, held = found(
        image(STAGED, id="sha256:2"),
        image("bailing:latest", KEPT, STAGED),
        image(THEIRS, KEPT, STAGED, id="sha256:2"),
    )
    for each in (alone, beside, held):
        assert (each.names, each.why, each.releases) == ((STAGED,), LEFT_OVER, False)
    assert [each.stays_as for each in (alone, beside, held)] == [
        (),
        ("bailing:latest", KEPT),
        (THEIRS, KEPT),
    ]


def test_a_nameless_image_goes_only_if_it_is_known_to_have_been_built_here() -> None:
    (removal,) = found(image(), image(id="sha256:other"))
    assert (removal.names, removal.why) == (("sha256:built",), SUPERSEDED)


def test_all_takes_the_names_that_we_gave_and_no_others() -> None:
    (removal,) = found(
        image("bailing:latest-arm64", "mine:1", MIRROR, KEPT, STAGED, HELD), everything=True
    )
    assert removal.names == (STAGED, HELD, "bailing:latest-arm64", KEPT)
    assert removal.releases
    assert removal.stays_as == ("mine:1", MIRROR)
    assert removal.why == WANTED
    (without,) = found(image("bailing:latest"), everything=True)
    assert without.names == ("bailing:latest",)


def test_all_takes_no_name_of_an_image_that_another_workspace_uses() -> None:
    (removal,) = found(image("bailing:latest", KEPT, HELD, THEIRS), everything=True)
    assert removal.names == (HELD,)
    assert removal.stays_as == ("bailing:latest", KEPT, THEIRS)
    assert found(image("bailing:latest", KEPT, THEIRS), everything=True) == ()


def test_the_names_that_clones_share_stay_where_the_other_one_holds_a_twin() -> None:
    twin = image(THEIRS, id="sha256:2")
    assert found(twin, image(KEPT)) == ()
    (removal,) = found(twin, image("bailing:latest", KEPT, HELD), everything=True)
    assert removal.names == (HELD,)
    (nameless,) = found(twin, image())
    assert nameless.names == ("sha256:built",)


def test_where_no_repository_is_known_the_label_has_the_image() -> None:
    (removal,) = found(image(KEPT, owner="bailing"), repository="")
    assert removal.target == "app"


@pytest.mark.parametrize(
    ("tags", "digests", "names"),
    [
        (["a:1", "h:5000/b:2"], ["a@sha256:1", "h:5000/b@sha256:1"], ("a:1", "h:5000/b:2")),
        (["a:1"], ["c@sha256:1"], ("a:1", "c@sha256:1")),
        (["<none>:<none>"], ["<none>@<none>"], ()),
        (None, None, ()),
    ],
)
def test_an_image_has_the_names_that_it_can_be_called_by(
    tags: list[str] | None, digests: list[str] | None, names: tuple[str, ...]
) -> None:
    said = {"Id": "i", "RepoTags": tags, "RepoDigests": digests, "Size": 3, "Config": None}
    assert held(said) == Held(id="i", names=names, size=3, labels={})
