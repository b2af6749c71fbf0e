"""New syntax, with what BuildKit v0.32 says of it; `syntax_more.jsonl` is by its own conversion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.dockerfile import (
    DockerfileError,
    external_images,
    syntax_frontend,
    unknown_syntax,
)

CASES = [
    json.loads(line)
    for name in ("syntax.jsonl", "syntax_more.jsonl")
    for line in Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
]
FUTURE = """\
FROM a
FLY away
RUN --warp=9 x
RUN --mount=type=cache,target=/x,colour=red y
ADD https://github.com/a/b.git?colour=red /b
"""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_images_are_those_of_buildkit_or_it_is_refused(case: dict[str, Any]) -> None:
    arguments = {"target": case.get("target"), "build_args": case.get("args", {})}
    if "error" in case:
        with pytest.raises(DockerfileError) as caught:
            external_images(case["text"], **arguments)
        assert caught.value.remedy
        return
    images = external_images(case["text"], **arguments)
    found = sorted([str(image.reference), str(image.platform)] for image in images)
    assert found == sorted(case["images"])


def test_what_another_frontend_may_know_is_a_warning() -> None:
    text = f"# syntax=registry.example/team/frontend:9\n{FUTURE}"
    assert [str(each.reference) for each in external_images(text)] == ["docker.io/library/a:latest"]
    unknown = unknown_syntax(text)
    assert sorted(each.line for each in unknown) == [3, 4, 5, 6]
    assert all("registry.example/team/frontend:9" in each.remedy for each in unknown)
    for frontend in ("", "# syntax=docker/dockerfile:1\n"):
        with pytest.raises(DockerfileError):
            external_images(frontend + FUTURE)


def test_a_build_argument_names_the_frontend() -> None:
    given = {"BUILDKIT_SYNTAX": "team/frontend:9"}
    named = syntax_frontend("# syntax=docker/dockerfile:1\nFROM a", given)
    assert str(named) == "docker.io/team/frontend:9"
    assert unknown_syntax(FUTURE, build_args=given)
    with pytest.raises(DockerfileError, match="BUILDKIT_SYNTAX"):
        syntax_frontend("FROM a", {"BUILDKIT_SYNTAX": "A::b"})
