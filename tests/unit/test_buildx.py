"""What BuildKit is asked, and what its log says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks import process
from bailing_tasks.engine.buildx import BuildRequest, build, count_steps
from bailing_tasks.platforms import Platform
from bailing_tasks.process import Completed

REQUEST = BuildRequest(
    builder="default",
    docker_context="",
    dockerfile=Path("/w/.bailing-tasks/dockerfiles/x.Dockerfile"),
    context=Path("/w"),
    stage="builder",
    platform=Platform.parse("linux/arm64"),
    build_args={"B": "2", "A": "1"},
    build_contexts={"pin-1": "docker-image://r.example/a@sha256:0"},
    secrets={"ca-bundle": "/etc/ca.pem", "token": "env:TOKEN"},
    labels={"l": "v"},
    destination=("--tag", "localhost/bailing-builder:new-0", "--load"),
)


def test_the_command_line_says_all_of_it() -> None:
    text = " ".join(REQUEST.command())
    assert text == (
        "docker buildx build --builder default "
        "--file /w/.bailing-tasks/dockerfiles/x.Dockerfile --platform linux/arm64 "
        "--target builder --build-arg A=1 --build-arg B=2 "
        "--build-context pin-1=docker-image://r.example/a@sha256:0 "
        "--secret id=ca-bundle,src=/etc/ca.pem --secret id=token,env=TOKEN "
        "--label l=v --tag localhost/bailing-builder:new-0 --load "
        "--provenance=false --progress=plain /w"
    )


def test_a_secrets_path_may_hold_a_comma() -> None:
    argv = replace(REQUEST, secrets={"a": "/x,y"}).command()
    assert argv[argv.index("--secret") + 1] == 'id=a,"src=/x,y"'


def test_the_last_stage_and_no_cache() -> None:
    argv = replace(REQUEST, stage="", no_cache=True).command()
    assert "--target" not in argv
    assert "--no-cache" in argv


def test_what_attests_an_image_is_asked_for() -> None:
    argv = replace(REQUEST, provenance="min", scanner="localhost/kept:1").command()
    assert "--provenance=mode=min" in argv
    assert "--sbom=generator=localhost/kept:1" in argv
    assert "--provenance=false" not in argv


def test_a_cache_between_runs() -> None:
    argv = replace(REQUEST, cache_from="type=gha", cache_to="type=gha,mode=max").command()
    assert argv[argv.index("--cache-from") + 1] == "type=gha"
    assert argv[argv.index("--cache-to") + 1] == "type=gha,mode=max"
    assert not {"--cache-from", "--cache-to"} & set(REQUEST.command())


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("failed to stat active key during commit: snapshot b4x does not exist: not found", 2),
        ("missing lease requirement for setBlob", 2),
        ("failed to receive status: rpc error: code = Canceled desc = context canceled", 2),
        ("process /bin/false did not complete successfully", 1),
    ],
)
def test_what_buildkit_has_lost_it_is_asked_for_once_more(
    said: str, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[Sequence[str]] = []

    def stream(argv: Sequence[str], on_line: Callable[[str], None]) -> Completed:
        commands.append(argv)
        on_line(f"#1 ERROR: {said}")
        return Completed(argv=tuple(argv), returncode=1, stdout="", stderr="", seconds=1.0)

    monkeypatch.setattr(process, "stream", stream)
    log = build(REQUEST, lambda _: None)
    assert not log.ok
    assert log.text == f"#1 ERROR: {said}"
    assert commands == [REQUEST.command()] * runs


def test_steps_are_counted_and_those_from_the_cache() -> None:
    log = """\
#1 [internal] load build definition from x.Dockerfile
#1 DONE 0.0s
#4 [context pin-1] docker.io/library/alpine
#4 CACHED
#5 [builder 1/3] WORKDIR /w
#5 CACHED
#6 [builder 2/3] RUN true
#6 CACHED
#7 [builder 3/3] RUN make
#7 0.1 CACHED is a word it prints
#7 DONE 3.2s
#8 exporting to image
#8 DONE 0.1s
"""
    assert count_steps(log.splitlines()) == (3, 2)
