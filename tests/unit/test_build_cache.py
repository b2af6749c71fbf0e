"""Where BuildKit's cache is kept between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.build_cache import cache_of, written
from bailing_tasks.configuration import resolve
from bailing_tasks.platforms import Platform
from bailing_tasks.variants import Variant


def cache(platform: str = "linux/arm64", python: str = "3.11", **document: Any) -> str:
    settings = resolve(
        Path("/w"), document={"python": ["3.11", "3.12"], **document}, environment={}, overrides={}
    )
    variant = Variant(target=settings.app, platform=Platform.parse(platform), python=python)
    return cache_of(settings, variant)


@pytest.mark.parametrize(
    ("platform", "python", "tag"),
    [
        ("linux/arm64", "3.11", "cache-linux-arm64"),
        ("linux/arm/v7", "3.11", "cache-linux-arm-v7"),
        ("linux/amd64", "3.12", "cache-linux-amd64-py3.12"),
    ],
)
def test_each_platform_and_python_has_a_cache_of_its_own(
    platform: str, python: str, tag: str
) -> None:
    found = cache(platform, python, repository="r.example/a/b")
    assert found == f"type=registry,ref=r.example/a/b:{tag}"


def test_there_may_be_none() -> None:
    assert cache() == "", "no repository is known"
    assert cache(repository="r.example/a/b", ci={"cache": ""}) == ""
    assert written("") == ""


def test_all_stages_are_kept_and_a_cache_that_is_not_taken_fails_no_build() -> None:
    found = written(cache(ci={"cache": "type=gha,scope={target}-{platform}"}))
    assert found == "mode=max,ignore-error=true,type=gha,scope=app-linux-arm64"
