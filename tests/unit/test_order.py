"""Images are built after what they need; a circle is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import needs
from bailing_tasks.configuration import resolve
from bailing_tasks.errors import SettingsError
from bailing_tasks.order import in_order
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe
from bailing_tasks.refusals import Refusal, checked
from bailing_tasks.settings import Settings
from bailing_tasks.variants import Variant

AMD64 = Platform.parse("linux/amd64")


def workspace(root: Path, needs: dict[str, list[str]] | None = None, **texts: str) -> Settings:
    """Return the settings of services, by the texts of their Dockerfiles."""
    for name, text in texts.items():
        (root / name).mkdir()
        (root / name / "Dockerfile").write_text(text)
    service: dict[str, Any] = {name: {"needs": found} for name, found in (needs or {}).items()}
    document = {"services": ["*/Dockerfile"], "service-image": "{service}", "service": service}
    return resolve(root, document=document, environment={}, overrides={})


def order(settings: Settings, wanted: Sequence[str]) -> list[str]:
    read: list[str] = []

    def recipe(variant: Variant) -> Recipe | Refusal:
        read.append(variant.target.name)
        return needs.read(settings, variant, AMD64)

    targets = {target.name: target for target in settings.services}
    variants = [Variant(target=targets[name], platform=AMD64, python="") for name in wanted]
    found = in_order([needs.read(settings, each, AMD64) for each in variants], recipe)
    recipes = checked(found)
    assert not set(read) & set(wanted)
    assert len(read) == len(set(read)), "a recipe was read twice"
    return [str(each.variant.target.name) for each in recipes]


def test_what_is_needed_comes_before_and_nothing_else_comes(tmp_path: Path) -> None:
    settings = workspace(
        tmp_path,
        needs={"docs": ["site"]},
        base="FROM debian\n",
        api="FROM base\n",
        site="FROM nginx\nCOPY --from=api /a /a\n",
        docs="FROM scratch\n",
        tool="FROM debian\nRUN --mount=from=base,target=/b true\n",
        alone="FROM debian\n",
    )
    assert order(settings, ["docs"]) == ["base", "api", "site", "docs"]
    assert order(settings, ["tool"]) == ["base", "tool"]
    assert order(settings, []) == []
    found = order(settings, [target.name for target in settings.services])
    assert sorted(found) == ["alone", "api", "base", "docs", "site", "tool"]
    assert found.index("base") < found.index("api") < found.index("site") < found.index("docs")


def test_a_circle_is_shown_with_the_places_that_make_it(tmp_path: Path) -> None:
    settings = workspace(
        tmp_path,
        needs={"c": ["d"]},
        a="FROM debian AS x\nFROM b\nCOPY --from=b /x /x\n",
        b="FROM debian\n\nCOPY --from=c /x /x\n",
        c="FROM debian\n",
        d="FROM a\n",
        other="FROM a\n",
    )
    for wanted in (["a"], ["other"], ["d", "b"]):
        with pytest.raises(SettingsError) as caught:
            order(settings, wanted)
        error = caught.value
        found, _, circle = error.message.partition(": ")
        assert found == "services are built on each other in a circle"
        names = circle.split(" -> ")
        # It may begin anywhere, and each is followed by what it needs.
        assert names[0] == names[-1]
        assert "".join(names[:-1]) in "abcdabcd"
        assert set(error.cause.split("; ")) == {
            "a needs b (a/Dockerfile:2, a/Dockerfile:3)",
            "b needs c (b/Dockerfile:3)",
            "c needs d (by its setting `needs`)",
            "d needs a (d/Dockerfile:1)",
        }
        assert error.exit_code == 2
        assert error.remedy


def test_a_service_cannot_need_itself_but_may_have_the_name_of_its_base(tmp_path: Path) -> None:
    settings = workspace(tmp_path, debian="FROM debian\n", mine="FROM debian\n")
    assert order(settings, ["mine"]) == ["debian", "mine"]
    (tmp_path / "other").mkdir()
    circular = workspace(tmp_path / "other", needs={"x": ["x"]}, x="FROM scratch\n")
    with pytest.raises(SettingsError, match="x -> x") as caught:
        order(circular, ["x"])
    assert caught.value.cause == "x needs x (by its setting `needs`)"
