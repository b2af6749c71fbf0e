"""Command lines: what Docker and this project's tasks are told."""

from __future__ import annotations

import shlex

import pytest

from bailing_tasks.workflows import fields
from bailing_tasks.workflows.builds import named_alike, repository, tag_of
from bailing_tasks.workflows.commands import DockerCommand, OwnTask, docker_command, own_tasks
from bailing_tasks.workflows.expressions import UNKNOWN, Truth


@pytest.mark.parametrize(
    ("line", "verb", "arguments"),
    [
        ("docker build .", "build", (".",)),
        ("docker --context x -D image build --no-cache -q src", "build", ("src",)),
        ("docker builder build -", "build", ("-",)),
        ("docker buildx --builder=x b -t=a -tb --load .", "build", (".",)),
        ("docker-buildx build --progress plain .", "build", (".",)),
        ("docker buildx bake app", "bake", ("app",)),
        ("docker push -q a", "push", ("a",)),
        ("docker image tag a b", "tag", ("a", "b")),
        ("docker buildx imagetools create -f file -t a b", "create", ("b",)),
        ("docker manifest push --purge a", "push", ("a",)),
        ("docker build --tag", "build", ()),
    ],
)
def test_commands_that_build_or_push_are_read(
    line: str, verb: str, arguments: tuple[str, ...]
) -> None:
    found = docker_command(shlex.split(line))
    assert found
    assert (found.verb, found.arguments, found.vague) == (verb, arguments, False)


@pytest.mark.parametrize("line", ["", "docker", "docker run x build", "docker compose up", "make"])
def test_other_commands_are_none(line: str) -> None:
    assert docker_command(shlex.split(line)) is None


def test_options_have_their_long_names() -> None:
    found = docker_command(shlex.split("docker build -ta -t b --tag=c -f x --push=false ."))
    assert found == DockerCommand(
        verb="build",
        options=(
            *(("--tag", "a"), ("--tag", "b"), ("--tag", "c")),
            *(("--file", "x"), ("--push", "false")),
        ),
        arguments=(".",),
        vague=False,
    )
    assert found.all("--tag") == ["a", "b", "c"]
    assert (found.last("--tag"), found.last("--target")) == ("c", "")


@pytest.mark.parametrize(
    ("words", "pushes"),
    [
        (("--push",), True),
        (("--push=false",), False),
        ((f"--push={UNKNOWN}",), None),
        ((UNKNOWN,), None),
        (("--push", UNKNOWN), True),
        ((), False),
    ],
)
def test_a_flag_may_not_be_known(words: tuple[str, ...], pushes: Truth) -> None:
    found = docker_command(("docker", "build", *words, "."))
    assert found
    assert found.flag("--push") is pushes


BOTH = ("builder", "app")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("invoke ci-run --event github --push", [OwnTask(BOTH, (), True)]),
        ("python -m invoke ci-run --target=app", [OwnTask(("app",), (), False)]),
        (
            "uv run inv prefetch build-builder --platform linux/arm64 build-app --platform all",
            [
                OwnTask(("builder",), ("linux/arm64",), False),
                OwnTask(("app",), ("all",), False),
            ],
        ),
        (".venv/bin/invoke verify", []),
        ("nox -s ci -- --push", [OwnTask(BOTH, (), True)]),
        ("nox -s tests", []),
        ("make build", []),
    ],
)
def test_our_own_tasks_are_known(line: str, found: list[OwnTask]) -> None:
    assert own_tasks(shlex.split(line)) == found


@pytest.mark.parametrize(
    ("folder", "path", "found"),
    [
        ("", ".", "."),
        ("", "", "."),
        ("docker", "Dockerfile", "docker/Dockerfile"),
        ("docker", "../src/", "src"),
        ("docker", "{{defaultContext}}", "."),
        ("", "{{defaultContext}}:src", "src"),
        ("docker", "/github/workspace/src", "src"),
        ("docker", "/github/workspace", "."),
        ("", "..", UNKNOWN),
        ("", "/etc", UNKNOWN),
        ("", "-", UNKNOWN),
        ("", "https://example.com/x.git", UNKNOWN),
        ("", "git@example.com:x.git", UNKNOWN),
        (UNKNOWN, "x", f"{UNKNOWN}/x"),
    ],
)
def test_paths_are_those_of_the_repository(folder: str, path: str, found: str) -> None:
    assert fields.inside(folder, path) == found


def test_platforms_are_named_alike() -> None:
    given = ["arm64, linux/amd64", "", UNKNOWN, "linux/amd64", "//"]
    assert fields.platforms(given) == ("linux/arm64", "linux/amd64", UNKNOWN, "//")


@pytest.mark.parametrize(
    ("outputs", "pushes"),
    [
        ([], False),
        (["type=registry"], True),
        (["type=image,push=true"], True),
        (["type=image,push=false", "type=docker"], False),
        ([f"type={UNKNOWN}"], None),
    ],
)
def test_an_output_may_push(outputs: list[str], pushes: Truth) -> None:
    assert fields.to_registry(outputs) is pushes


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("type=gha", ("type=gha,scope=buildkit",)),
        ("type=gha,mode=max,scope=a", ("type=gha,scope=a",)),
        ("type=registry,ref=a:b,mode=max", ("type=registry,ref=a:b",)),
        ("a:b", ("type=registry,ref=a:b",)),
        ("type=s3,bucket=b,name=n", ("type=s3,bucket=b,name=n,prefix=,account_url=",)),
        ("type=inline", ()),
        ("type=local,dest=x", ()),
    ],
)
def test_caches_are_told_apart(value: str, found: tuple[str, ...]) -> None:
    assert fields.caches([value]) == found


def test_images_are_named_alike() -> None:
    assert named_alike("alpine", "docker.io/library/alpine:latest")
    assert not named_alike("alpine:3", "alpine")
    assert repository(f"ghcr.io/{UNKNOWN}:a") == f"ghcr.io/{UNKNOWN}"
    assert repository(f"{UNKNOWN}@x") == UNKNOWN
    assert [tag_of(name) for name in ("a", "a:b", "a:5000/b", "a@sha256:x", f"a:{UNKNOWN}")] == [
        *("latest", "b", "latest", UNKNOWN, UNKNOWN),
    ]
    assert tag_of(f"ghcr.io/{UNKNOWN}") == UNKNOWN
