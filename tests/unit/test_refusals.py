"""One file that cannot be used ends nothing but what is built from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import needs, process
from bailing_tasks.configuration import resolve
from bailing_tasks.ended import Ended
from bailing_tasks.errors import DockerfileError, SettingsError, UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.refusals import Refusal, Refused, check, checked, combined, documents, split
from bailing_tasks.steps import refused_step, rows
from bailing_tasks.variants import Variant
from tests.unit.repository import Repository

AMD64 = Platform.parse("linux/amd64")
SETTINGS = """\
[tool.bailing-tasks]
services = ["src/*/Dockerfile"]
platforms = ["linux/amd64"]
version = "v1"
repository = "images.example/them"
service-image = "{service}"
"""
GOOD = "FROM debian:12\n"
BAD = "FROM ubuntu:22.04\nRUM oops\n"


def files(root: Path, **more: str) -> Path:
    """Write a workspace of the services `a`, which is right, and `b`, which is not."""
    texts = {
        "tasks.py": "from bailing_tasks import namespace\n",
        ".gitignore": "__pycache__\n",
        "pyproject.toml": SETTINGS,
        "src/a/Dockerfile": GOOD,
        "src/b/Dockerfile": BAD,
    }
    for path, text in {**texts, **more}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def invoke(root: Path, *argv: str) -> tuple[process.Completed, dict[str, Any]]:
    """Run a task; return how it ended, and its document."""
    result = process.run([sys.executable, "-m", "invoke", *argv, "--json"], cwd=root)
    assert "Traceback" not in result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return result, document


def _append(path: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).write_text((root / path).read_text() + text)

    return change


def _settings(text: str) -> Callable[[Path], None]:
    return _append("pyproject.toml", f"[tool.bailing-tasks.service.b]\n{text}\n")


def _template(root: Path) -> None:
    (root / "src/b/Dockerfile").rename(root / "src/b/Dockerfile.tpl")
    (root / "src/b/Dockerfile.tpl").write_text("FROM {{NOWHERE}}\n")
    (root / "src/a/Dockerfile").rename(root / "src/a/Dockerfile.tpl")
    _append("pyproject.toml", 'templates = ["src/*/*.tpl"]\n')(root)


def _empty(root: Path) -> None:
    (root / "src/b/Dockerfile").write_text("")


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (lambda root: None, 3, "src/b/Dockerfile:2: "),
        (_empty, 3, "src/b/Dockerfile: "),
        (_settings('dockerfile = "src/b/other"'), 3, "src/b/other: the Dockerfile of b is not"),
        (_settings('dockerfile = "src"'), 3, "src: the Dockerfile of b cannot be read"),
        (_settings('context = "src/c"'), 2, "the build context 'src/c' of b is no folder"),
        (_template, 2, "templates name NOWHERE, which is not defined"),
    ],
)
def test_what_can_be_read_is_listed_and_the_exit_code_comes_at_the_end(
    tmp_path: Path, fault: Callable[[Path], None], code: int, message: str
) -> None:
    root = files(tmp_path)
    fault(root)
    result, document = invoke(root, "services")
    assert result.returncode == code
    assert document["error"]["exit_code"] == code
    assert f"error: {message}" in result.stderr
    (services,) = document["results"]
    assert [each["name"] for each in services["services"]] == ["a", "b"]
    assert services["services"][0]["external"] == ["debian:12"]
    (refused,) = services["refused"]
    assert (refused["target"], refused["platform"]) == ("b", "linux/amd64")
    assert message in refused["message"]
    images, document = invoke(root, "images")
    assert images.returncode == code
    found = [each["reference"] for each in document["results"][0]["images"]]
    assert found == ["docker.io/library/debian:12"]


def test_a_stage_that_one_of_them_lacks_refuses_only_that_one(tmp_path: Path) -> None:
    root = files(tmp_path, **{"src/b/Dockerfile": "FROM alpine AS tool\n"})
    result, document = invoke(root, "images", "--target", "tool")
    assert result.returncode == 3
    assert "src/a/Dockerfile" in result.stderr
    found = [each["reference"] for each in document["results"][0]["images"]]
    assert found == ["docker.io/library/alpine:latest"]


def test_a_template_that_cannot_be_rendered_stops_no_task_that_does_not_need_it(
    tmp_path: Path,
) -> None:
    root = files(tmp_path)
    _template(root)
    for task in ("history", "settings"):
        result, _ = invoke(root, task)
        assert result.ok, result.stderr


def test_a_compose_file_that_is_damaged_ends_nothing_but_itself(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        **{
            "src/b/Dockerfile": GOOD,
            "one.yaml": "services: {x: {image: 'redis:7'}, y: {image: 'a b'}}",
            "two.yaml": "services: [",
        },
    )
    _append("pyproject.toml", 'compose-files = ["one.yaml", "two.yaml"]\n')(root)
    result, document = invoke(root, "images")
    assert result.returncode == 2
    assert "one.yaml:1: 'a b' is not an image reference" in result.stderr
    assert "two.yaml" in result.stderr
    found = [each["reference"] for each in document["results"][0]["images"]]
    assert found == ["docker.io/library/debian:12", "docker.io/library/redis:7"]
    assert [each["target"] for each in document["results"][0]["refused"]] == ["-", "-"]


def test_a_cycle_refuses_only_what_is_in_it(tmp_path: Path) -> None:
    root = files(tmp_path, **{"src/b/Dockerfile": "FROM c\n", "src/c/Dockerfile": "FROM b\n"})
    result, document = invoke(root, "services")
    assert result.returncode == 2
    assert result.stderr.count("services are built on each other in a circle: ") == 1
    services = document["results"][0]
    assert [each["external"] for each in services["services"]] == [["debian:12"], [], []]
    assert {each["target"] for each in services["refused"]} == {"b", "c"}


def test_changed_decides_about_each_of_them(repository: Repository) -> None:
    more = {"src/a/Dockerfile": f"{GOOD}COPY code /\n", "src/c/Dockerfile": "FROM b\n"}
    files(repository.root, **more)
    repository.commit()
    repository.commit("src/a/code")
    repository.commit("src/b/code")
    found = {}
    for number in (1, 2):
        result, document = invoke(repository.root, "changed", "--base", f"HEAD~{number}")
        assert result.returncode == 3
        assert "error: src/b/Dockerfile:2: " in result.stderr
        (changed,) = document["results"]
        assert [each["target"] for each in changed["refused"]] == ["b"]
        found[number] = [name for name, each in changed["targets"].items() if each["runs"]]
    assert found == {1: ["b", "c"], 2: ["a", "b", "c"]}  # c is built on b; b may read any file


def test_an_app_that_cannot_be_read_is_refused_and_no_builder_is_looked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "Dockerfile").write_text(BAD)
    settings = resolve(tmp_path, document={}, environment={}, overrides={})
    (refused,) = needs.required(settings, AMD64).refused
    assert refused.error.headline.startswith("Dockerfile:2: ")
    with pytest.raises(DockerfileError):
        needs.wanted(settings, AMD64)


def test_a_dockerfile_whose_template_cannot_be_rendered_is_refused(tmp_path: Path) -> None:
    settings = resolve(tmp_path, document={}, environment={}, overrides={})
    unknown = UsageError("templates name BASE, which is not defined")
    settings = replace(settings, rendered={"Dockerfile": unknown})
    (refused,) = needs.recipes(settings, settings.app, AMD64)
    assert isinstance(refused, Refusal)
    assert refused.error is unknown


def refusal(name: str, error: DockerfileError | SettingsError, *needs: str) -> Refusal:
    settings = resolve(
        Path(),
        document={"service": {name: {"from-image": "x"}}},
        environment={},
        overrides={},
    )
    variant = Variant(target=settings.services[0], platform=AMD64, python="")
    return Refusal(variant=variant, error=error, needs=needs)


ERROR = DockerfileError("unknown RUM", path="b/Dockerfile", line=2, cause="why", remedy="do")
OTHER = SettingsError("no folder", cause="it", remedy="do")


def test_all_that_is_refused_is_named_at_once_with_the_highest_exit_code() -> None:
    check([])
    with pytest.raises(DockerfileError) as one:
        check([Refused(error=ERROR), refusal("b", ERROR)])
    assert one.value is ERROR
    several = combined([OTHER, ERROR, OTHER])
    assert several.exit_code == 3
    assert str(several).splitlines() == [
        "no folder; b/Dockerfile:2: unknown RUM",
        "  cause: it; why",
        "  remedy: do",
    ]


def test_usable_and_refused_items_are_separated() -> None:
    refused = refusal("b", ERROR)
    assert split([1, refused, 2]) == ([1, 2], [refused])
    assert checked([1, 2]) == [1, 2]
    with pytest.raises(DockerfileError):
        checked([1, refused])


def test_a_refusal_is_shown_as_a_step_as_an_end_and_as_data() -> None:
    refused, left_out = refusal("b", ERROR), refusal("c", ERROR, "b")
    assert rows([refused_step(refused), refused_step(left_out)]) == [
        ("build", "b", "linux/amd64", "", "refuse", "b/Dockerfile:2: unknown RUM"),
        ("build", "c", "linux/amd64", "", "leave out", "it needs b"),
    ]
    ends = [Ended.refused(each) for each in (refused, left_out)]
    assert [(each.result, each.reason, each.error) for each in ends] == [
        ("refused", "b/Dockerfile:2: unknown RUM", ERROR),
        ("left out", "it needs b", None),
    ]
    assert documents([refused, left_out, refused, Refused(error=OTHER)]) == [
        {
            "target": "b",
            "platform": "linux/amd64",
            "python": "",
            "needs": [],
            "message": "b/Dockerfile:2: unknown RUM",
            "cause": "why",
            "remedy": "do",
            "exit_code": 3,
        },
        {
            "target": "c",
            "platform": "linux/amd64",
            "python": "",
            "needs": ["b"],
            "message": "b/Dockerfile:2: unknown RUM",
            "cause": "why",
            "remedy": "do",
            "exit_code": 3,
        },
        {
            "target": "-",
            "platform": "",
            "python": "",
            "needs": [],
            "message": "no folder",
            "cause": "it",
            "remedy": "do",
            "exit_code": 2,
        },
    ]
