"""Which names the images of a bundle may get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import configuration
from bailing_tasks.bundle.contents import Contents
from bailing_tasks.bundle.ownership import check, variant
from bailing_tasks.errors import UsageError
from bailing_tasks.names import kept_name
from bailing_tasks.settings import Settings
from tests.unit.bundle.images import PLATFORMS, REFERENCE, filled

PIN = kept_name(REFERENCE, PLATFORMS[0], "sha256:" + "0" * 64)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return configuration.load(tmp_path, environment={"BAILING_TASKS_APP_IMAGE": "app"})


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return filled(tmp_path / "layout")[1]


def test_an_image_is_of_the_target_and_platform_that_the_list_names(
    settings: Settings, contents: Contents
) -> None:
    check(contents, settings)
    found = variant(contents.built[0], settings)
    assert (found.target, str(found.platform), found.python) == (settings.app, PLATFORMS[0], "3.11")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kept", PIN),
        ("kept", "localhost/app-builder:fp-0123456789abcdef"),
        ("kept", "localhost/app:fp-0123456789abcdef0"),
        ("kept", "localhost/app:latest"),
        ("kept", "app:fp-0123456789abcdef"),
        ("target", "gone"),
        ("python", "9.9"),
    ],
)
def test_a_built_image_gets_a_name_of_its_target_alone(
    settings: Settings, contents: Contents, field: str, value: Any
) -> None:
    (built,) = contents.built
    forged = replace(contents, built=(replace(built, **{field: value}),))
    with pytest.raises(
        UsageError, match="a name that is not its own; nothing was changed"
    ) as found:
        check(forged, settings)
    assert value in found.value.cause


@pytest.mark.parametrize(
    "name",
    [
        PIN,
        "localhost/app:fp-0123456789abcdef",
        "localhost/app:id-0123",
        "localhost/app:ws-0123456789ab-amd64",
    ],
)
def test_an_image_from_a_registry_gets_no_name_that_the_tasks_give(
    settings: Settings, contents: Contents, name: str
) -> None:
    forged = replace(contents.external[0], reference=name)
    with pytest.raises(UsageError, match="a name that is not its own"):
        check(replace(contents, external=(forged,)), settings)
