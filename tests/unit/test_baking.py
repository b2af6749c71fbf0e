"""Several builds at once: what buildx is asked, and what is made of what it tells.

What it tells was recorded from buildx 0.13 and a Docker engine 26.1: less the progress in bytes,
and with shorter digests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks import process
from bailing_tasks.engine import baking
from bailing_tasks.engine.baking import Baked, Part
from bailing_tasks.engine.buildx import BuildRequest
from bailing_tasks.platforms import Platform
from bailing_tasks.process import Completed

RECORDED = Path(__file__).parent / "recorded"
REQUEST = BuildRequest(
    builder="default",
    docker_context="",
    dockerfile=Path("/w/x.Dockerfile"),
    context=Path("/w"),
    stage="",
    platform=Platform.parse("linux/arm64"),
    build_args={"A": "1"},
    build_contexts={"pin-1": "docker-image://r.example/a@sha256:0"},
    secrets={},
    labels={"l": "v"},
    destination=("--tag", "localhost/x:new-0", "--load"),
)
PLAIN = {
    "context": "/w",
    "dockerfile": "/w/x.Dockerfile",
    "platforms": ["linux/arm64"],
    "args": {"A": "1"},
    "contexts": {"pin-1": "docker-image://r.example/a@sha256:0"},
    "labels": {"l": "v"},
    "secret": [],
    "tags": ["localhost/x:new-0"],
    "output": ["type=docker"],
    "attest": ["type=provenance,disabled=true"],
    "no-cache": False,
}


def defined(request: BuildRequest, **bases: str) -> object:
    return baking.definition({"x": Part(request=request, bases=bases)})["target"]["x"]


def test_a_definition_says_all_of_a_request() -> None:
    assert defined(REQUEST) == PLAIN
    full = replace(
        REQUEST,
        stage="run",
        secrets={"token": "env:TOKEN", "ca": "/etc/ca.pem"},
        destination=("--tag", "x:1", "--output", "type=oci,dest=/w/x.tar"),
        provenance="max",
        scanner="r.example/scanner@sha256:1",
        no_cache=True,
        cache_from="type=registry,ref=r.example/cache",
        cache_to="type=registry,ref=r.example/cache,mode=max",
    )
    assert defined(full) == PLAIN | {
        "target": "run",
        "secret": ["id=ca,src=/etc/ca.pem", "id=token,env=TOKEN"],
        "tags": ["x:1"],
        "output": ["type=oci,dest=/w/x.tar"],
        "attest": ["type=provenance,mode=max", "type=sbom,generator=r.example/scanner@sha256:1"],
        "no-cache": True,
        "cache-from": ["type=registry,ref=r.example/cache"],
        "cache-to": ["type=registry,ref=r.example/cache,mode=max"],
    }


def test_what_is_built_on_another_is_linked_to_it_and_not_to_its_image() -> None:
    contexts = {"pin-1": "docker-image://r.example/a@sha256:0", "pin-2": "target:base-amd64"}
    assert defined(REQUEST, **{"pin-2": "base-amd64"}) == PLAIN | {"contexts": contexts}
    linked = defined(REQUEST, **{"pin-1": "base-amd64"})
    assert linked == PLAIN | {"contexts": {"pin-1": "target:base-amd64"}}


def test_nothing_in_a_definition_is_a_template() -> None:
    odd = replace(
        REQUEST, build_args={"A": "${B} $${C} $D", "${K}": "%{ if x }"}, context=Path("/w/${HOME}")
    )
    found = defined(odd)
    assert isinstance(found, dict)
    assert found["args"] == {"A": "$${B} $$${C} $D", "${K}": "%%{ if x }"}
    assert found["context"] == "/w/$${HOME}"


def test_one_command_builds_all() -> None:
    part = Part(request=replace(REQUEST, builder="b", docker_context="far"), bases={})
    assert baking.command({"x": part, "y": part}, Path("/w/f.json")) == [
        *("docker", "--context", "far", "buildx", "bake", "--builder", "b"),
        *("--file", "/w/f.json", "--progress=rawjson", "x", "y"),
    ]


class Replayed:
    """What is made of a recorded run.

    Attributes:
        baked: What is known of it at the end.
        lines: The log of each build, as it came.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        lines: Sequence[str],
        *names: str,
        returncode: int = 0,
    ) -> None:
        def stream(
            argv: Sequence[str], on_line: Callable[[str], None], *, env: Mapping[str, str]
        ) -> Completed:
            assert env["BUILDX_BAKE_ENTITLEMENTS_FS"] == "0"
            for line in lines:
                on_line(line)
            return Completed(
                argv=tuple(argv), returncode=returncode, stdout="", stderr="", seconds=1.0
            )

        monkeypatch.setattr(process, "stream", stream)
        self.lines: dict[str, list[str]] = {name: [] for name in names}
        parts = {name: Part(request=REQUEST, bases={}) for name in names}
        self.baked: Baked = baking.bake(
            parts,
            Path("f.json"),
            lambda log, number, text: self.lines[log.name].append(f"#{number} {text}"),
        )

    def text(self, name: str) -> str:
        """Return the log of a build."""
        return "\n".join(self.lines[name])


def recorded(name: str) -> Sequence[str]:
    return (RECORDED / f"{name}.txt").read_text().splitlines()


def test_each_build_has_its_log_and_what_several_share_stands_in_all_of_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("base-amd64", "run-amd64", "debug-amd64")
    found = Replayed(monkeypatch, recorded("bake-shared"), *names)
    baked = found.baked
    assert baked.ok
    assert not baked.interrupted
    assert baked.said == ""
    for name in names:
        assert "[1/2] COPY one /one" in found.text(name)
        assert found.text(name).endswith("exporting to image\n" + found.lines[name][-1])
        assert found.lines[name][-1].endswith(" DONE")
        assert baked.logs[name].ended
        assert baked.logs[name].error == ""
        assert baked.logs[name].seconds >= 0.0
    assert "RUN" not in found.text("run-amd64")
    assert "[debug 1/1] RUN" in found.text("debug-amd64")
    # What one build has done, another one finds in the cache.
    counts = {name: (len(log.steps), len(log.cached)) for name, log in baked.logs.items()}
    assert counts["base-amd64"] == (1, 0)
    assert counts["run-amd64"] == (2, 0)
    assert counts["debug-amd64"][1] == 1
    # A line stands once, however often BuildKit tells it, under the number of its step.
    lines = found.lines["base-amd64"]
    assert len(lines) == len(set(lines))
    assert {line.partition(" ")[0] for line in lines} <= {f"#{n}" for n in range(1, 30)}
    assert sum(line.endswith(" [1/2] COPY one /one") for line in lines) == 1


def test_a_build_that_fails_is_told_from_those_that_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("base-amd64", "wrong-amd64", "slow-amd64")
    found = Replayed(monkeypatch, recorded("bake-failed"), *names, returncode=1)
    logs = found.baked.logs
    assert not found.baked.ok
    assert logs["wrong-amd64"].error == (
        'process "/says" did not complete successfully: exit code: 3'
    )
    assert logs["wrong-amd64"].ended is None
    assert "the index is full" in found.text("wrong-amd64")
    assert "the index is full" not in found.text("slow-amd64")
    assert found.text("wrong-amd64").endswith(f"ERROR: {logs['wrong-amd64'].error}")
    assert (logs["slow-amd64"].error, logs["slow-amd64"].ended) == ("", None)
    assert "ERROR: " in found.text("slow-amd64")
    assert logs["base-amd64"].ended
    assert "CACHED" in found.text("base-amd64")
    assert (len(logs["base-amd64"].steps), len(logs["base-amd64"].cached)) == (1, 1)
    assert found.baked.failed == {"wrong-amd64"}
    assert found.baked.said.startswith("wrong.Dockerfile:2\n")
    assert '   2 | >>> RUN ["/says"]\n' in found.baked.said
    assert found.baked.said.endswith("exit code: 3")


def test_an_export_that_was_ended_with_a_failure_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("base-amd64", "wrong-amd64", "slow-amd64")
    lines = list(recorded("bake-failed"))
    (exported,) = [line for line in lines if "exporting" in line and "completed" in line]
    error = "failed to copy: failed to send write: EOF: unknown"
    lines[lines.index(exported)] = exported.replace('"completed"', f'"error":"{error}","completed"')
    found = Replayed(monkeypatch, lines, *names, returncode=1)
    assert found.baked.logs["base-amd64"].error == error
    assert found.baked.failed == {"wrong-amd64"}
    # Where nothing is said of it at the end, or of that it was ended, it is the same.
    for words in (
        "",
        f"ERROR: failed to solve: {error}",
        "ERROR: failed to solve: context canceled",
    ):
        said = [line for line in lines if not line.startswith("ERROR")] + [words]
        found = Replayed(monkeypatch, said, *names, returncode=1)
        assert found.baked.failed == {"wrong-amd64"}
        assert not found.baked.interrupted


def test_an_export_fails_where_no_step_does(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("base-amd64", "run-amd64", "debug-amd64")
    lines = list(recorded("bake-shared"))
    error = "no space left on device"
    place = max(n for n, line in enumerate(lines) if "exporting" in line and "completed" in line)
    lines[place] = lines[place].replace('"completed"', f'"error":"{error}","completed"')
    found = Replayed(monkeypatch, lines, *names, returncode=1)
    (name,) = found.baked.failed
    assert found.baked.logs[name].error == error


def test_what_buildkit_cancels_by_itself_is_no_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["ERROR: failed to solve: context canceled"]
    baked = Replayed(monkeypatch, lines, "a", "b", returncode=1).baked
    assert (baked.interrupted, baked.failed) == (False, frozenset())


def test_what_buildkit_has_lost_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("base-amd64", "wrong-amd64", "slow-amd64")
    error = "failed to stat active key during commit: snapshot b4x does not exist: not found"
    failure = 'process \\"/says\\" did not complete successfully: exit code: 3'
    lines = [line.replace(failure, error) for line in recorded("bake-failed")]
    found = Replayed(monkeypatch, lines, *names, returncode=1)
    assert found.baked.logs["wrong-amd64"].error == error
    assert found.baked.failed == frozenset()


def test_a_build_that_is_alone_is_not_named_and_has_its_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Replayed(monkeypatch, recorded("bake-alone"), "wrong-amd64", returncode=1)
    log = found.baked.logs["wrong-amd64"]
    assert log.error == 'process "/says" did not complete successfully: exit code: 3'
    assert len(log.steps) == 1
    assert "the index is full" in found.text("wrong-amd64")
    assert '[1/2] RUN ["/says"]' in found.text("wrong-amd64")


def test_what_is_not_understood_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        '{"vertexes": [{"name": "[a 1/1] x"}]}',
        "{",
        "no JSON",
        "}",
        "{}",
        '{"vertexes": [{"digest": "d", "name": "nobody\'s", "started": "now"}]}',
        '{"vertexes": [{"digest": "d", "name": "[c 1/1] x", "started": "now"}]}',
        '{"logs": [{"vertex": "d", "data": "YQ=="}]}',
        "ERROR: it is full",
    ]
    found = Replayed(monkeypatch, lines, "a", "b", returncode=-2)
    assert found.baked.interrupted
    assert found.baked.said == "\n".join([lines[0], "{\nno JSON\n}", lines[-1]])
    assert found.lines == {"a": [], "b": []}
    assert found.baked.logs["a"].seconds == 0.0
