"""Eight small services on real engines: what is built, in which order, why, and what is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import process, sandbox
from tests.engine.eight import BROKEN, WORDS, eight_services, files, mend, spied
from tests.engine.remote import remote
from tests.engine.support import HOST, Engine, Workspace, made, started

NOWHERE = json.dumps({HOST: ["http://127.0.0.1:9"]})
"""A mirror that nobody serves: the network is gone."""
ENDED = re.compile(r"^\[(\d+)/(\d+)\] (\S+) linux/\w+: (.+)$", re.MULTILINE)
ON_BASE = {"backend", "frontend", "worker-run", "worker-debug"}
ALL = ON_BASE | {"base", "broken", "docs", "panel", "redis"}


@pytest.fixture(params=[*sandbox.STORES, "buildkit"])
def engine(request: pytest.FixtureRequest, home: None, tmp_path: Path) -> Iterator[Engine]:
    """An engine of each kind."""
    if request.param != "buildkit":
        yield started(request.param)
        return
    (tmp_path / "buildkit").mkdir()
    with remote(started(sandbox.STORES[0]), tmp_path / "buildkit") as found:
        yield found


def ran(result: process.Completed, task: str = "build-all") -> dict[str, dict[str, Any]]:
    """Return what a task with `--json` says of each image."""
    results = {each["task"]: each for each in json.loads(result.stdout)["results"]}
    return {image["target"]: image for image in results[task]["images"]}


def build_all(workspace: Workspace, *argv: str, **environment: str) -> dict[str, dict[str, Any]]:
    result = workspace.invoke("build-all", *argv, "--json", **environment)
    assert result.ok, result.stderr
    return ran(result)


def these(images: dict[str, dict[str, Any]], result: str) -> set[str]:
    return {name for name, image in images.items() if image["result"] == result}


def test_eight_services_from_the_first_build_to_the_next_change(
    engine: Engine, tmp_path: Path
) -> None:
    workspace = made(tmp_path, engine)
    name = eight_services(workspace, tmp_path)
    calls = spied(workspace, tmp_path)
    one_fails(workspace, name)
    mend(workspace)
    again = build_all(workspace)
    assert these(again, "built") == {"broken", "panel"}
    assert these(again, "skipped") == ALL - {"broken", "panel"}
    before = len(calls.read_text())
    plain = workspace.invoke("build-all")
    lines = {target: said for _, _, target, said in ENDED.findall(plain.stdout)}
    assert set(lines) == ALL
    for each, said in lines.items():
        assert said.startswith("skipped")
        assert f"nothing changed (fingerprint {again[each]['fingerprint'][:16]})" in said
    assert "9 images: 9 skipped" in plain.stdout
    assert "bake" not in calls.read_text()[before:]
    if engine.store != "buildkit":  # which is asked what it is
        assert calls.read_text()[before:] == ""
    one_file_changes(workspace, name)
    the_base_changes_without_a_network(workspace, name)


def one_fails(workspace: Workspace, name: str) -> None:
    """Build all where a service fails: what needs it is left out, the rest is built."""
    result = workspace.invoke("build-all", "--keep-going", "--json")
    assert result.returncode == 6, result.stderr
    images, said = ran(result), result.stderr
    assert these(images, "failed") == {"broken"}
    assert these(images, "left out") == {"panel"}
    assert these(images, "tagged") == {"redis"}
    assert these(images, "built") == ALL - {"broken", "panel", "redis"}
    assert images["panel"]["reason"] == "it needs broken"
    document = json.loads(result.stdout)
    assert document["error"]["exit_code"] == 6
    assert document["error"]["message"] == "broken linux/amd64 could not be built; 1 left out"
    prefetched = document["results"][0]["images"]
    assert [each["reference"] for each in prefetched] == sorted(
        f"{HOST}/{name}-{each}:1" for each in ("cache", "debian", "golang")
    )
    steps = [said.index(f"==> step {number} of 4: ") for number in range(1, 5)]
    plan = said.index(f"\n{name}-base:v0.3.7 ")
    ended = ENDED.findall(said)
    assert sorted([*steps, plan, said.index("\n[1/9] ")]) == [*steps, plan, said.index("\n[1/9] ")]
    assert [(number, count) for number, count, *_ in ended] == [
        (str(number), "9") for number in range(1, 10)
    ]
    order = [target for _, _, target, _ in ended]
    assert all(order.index("base") < order.index(each) for each in ON_BASE)
    assert order.index("frontend") < order.index("docs")  # which only its setting says
    (log,) = (workspace.root / ".bailing-tasks" / "logs").glob("*broken*.log")
    assert WORDS in log.read_text()
    assert f"  broken | #{re.findall('#([0-9]+) ' + WORDS, log.read_text())[0]} {WORDS}" in said
    assert "src/broken/Dockerfile:2" in said
    assert f"1 |     FROM {HOST}/{name}-debian:1" in said
    assert images["broken"]["reason"] in said
    assert str(log) in said
    assert files(workspace, f"{name}-redis:v0.3.7")["file"] == f"{HOST}/{name}-cache:1"
    # The second stage of a file, on a service's image, with a file of an image of a registry.
    found = files(workspace, f"{name}-worker-debug:v0.3.7")
    assert (found["shared"], found["tool"], found["code"]) == (
        "one",
        f"{HOST}/{name}-golang:1",
        "one",
    )
    assert "code" not in files(workspace, f"{name}-worker-run:v0.3.7")
    assert files(workspace, f"{name}-frontend:v0.3.7")["file"] == f"{HOST}/{name}-golang:1"


def one_file_changes(workspace: Workspace, name: str) -> None:
    """Only its service is built again, of those that are asked for and what they need."""
    workspace.write("src/backend/code", "two")
    result = workspace.invoke("build-service", "backend", "worker-run", "--json")
    images = ran(result, "build-service")
    assert these(images, "built") == {"backend"}
    assert these(images, "skipped") == {"base", "worker-run"}
    assert images["backend"]["reason"] == "file changed: code"
    assert images["backend"]["steps"] == 1
    assert "==> prefetch: 2 images" in result.stderr  # not the one that only redis needs
    assert files(workspace, f"{name}-backend:v0.3.7")["code"] == "two"


def the_base_changes_without_a_network(workspace: Workspace, name: str) -> None:
    """What is built on it is built again, on just that; what was prefetched is enough."""
    workspace.write("src/base/shared", "two")
    images = build_all(workspace, BAILING_TASKS_MIRRORS=NOWHERE)
    assert these(images, "built") == {"base", *ON_BASE}
    for each in ON_BASE:
        assert "base linux/amd64 (fp-" in images[each]["reason"]
        assert f"-> fp-{images['base']['fingerprint'][:16]})" in images[each]["reason"]
        assert files(workspace, f"{name}-{each}:v0.3.7")["shared"] == "two"
    assert these(build_all(workspace, BAILING_TASKS_MIRRORS=NOWHERE), "skipped") == ALL


def test_what_is_built_is_forced_one_at_a_time_and_for_two_platforms(
    plain: Workspace, tmp_path: Path
) -> None:
    name = eight_services(plain, tmp_path)
    calls = spied(plain, tmp_path)
    result = plain.invoke("build-service", "backend", "--platform", "all", "--jobs", "1")
    assert result.ok, result.stderr
    order = [line.split()[1:3] for line in re.findall(r"^\[.*built.*$", result.stdout, re.M)]
    assert len(order) == 4
    for platform in ("linux/amd64", "linux/arm64"):
        assert order.index(["base", f"{platform}:"]) < order.index(["backend", f"{platform}:"])
    assert calls.read_text().count("buildx bake") == 4
    assert calls.read_text().count("buildx inspect") == 1
    for each in (f"{name}-backend:v0.3.7", f"{name}-base:v0.3.7"):
        for image, platform in ((each, "amd64"), (f"{each}-arm64", "arm64")):
            inspected = plain.engine.must("image", "inspect", "-f", "{{.Architecture}}", image)
            assert inspected == platform
    again = plain.invoke("build-service", "backend", "--force", "--json")
    images = ran(again, "build-service")
    assert (images["base"]["result"], images["backend"]["reason"]) == ("skipped", "forced")
    assert (images["backend"]["steps"], images["backend"]["cached"]) == (1, 0)
    # A base that was forced has other bytes under the same fingerprint: what is on it follows.
    plain.invoke("build-service", "base", "--force")
    images = ran(plain.invoke("build-service", "backend", "--json"), "build-service")
    assert images["backend"]["result"] == "built"
    assert images["backend"]["reason"] == "what it is built on is built anew"


@pytest.mark.parametrize("engine", ["buildkit"], indirect=True)
def test_each_is_built_on_what_came_before_on_a_buildkit_of_its_own(
    engine: Engine, tmp_path: Path
) -> None:
    workspace = made(tmp_path, engine)
    name = eight_services(workspace, tmp_path)
    mend(workspace)
    images = build_all(workspace, "--jobs", "1")
    assert these(images, "built") == ALL - {"redis"}
    found = files(workspace, f"{name}-backend:v0.3.7")
    assert (found["shared"], found["code"]) == ("one", "one")


def test_a_failure_ends_the_run_unless_it_is_to_go_on(plain: Workspace, tmp_path: Path) -> None:
    name = eight_services(plain, tmp_path)
    result = plain.invoke("build-all", "--jobs", "1", "--json")
    assert result.returncode == 6
    images = ran(result)
    assert these(images, "failed") == {"broken"}
    assert these(images, "left out") == {"panel"}
    assert these(images, "stopped") == {*ON_BASE, "docs"} - these(images, "built")
    assert "docs" in these(images, "stopped")
    status = plain.document("status", "--json", "--platform", "linux/amd64")["status"]
    current = {each["target"] for each in status["images"] if each["up_to_date"]}
    assert current == these(images, "built") | {"redis"}
    # Alone it fails as well, with its own words.
    alone = plain.invoke("build-service", "broken")
    assert alone.returncode == 6
    assert re.search(rf"^  broken \| #\d+ {WORDS}", alone.stdout, re.MULTILINE)
    assert f"{name}-broken:v0.3.7" not in plain.engine.must("image", "ls", "--format", "{{.Tag}}")


def test_a_cycle_is_shown_and_nothing_is_built(plain: Workspace, tmp_path: Path) -> None:
    name = eight_services(plain, tmp_path)
    calls = spied(plain, tmp_path)
    plain.write("src/base/Dockerfile", f"FROM {name}-docs:v0.3.7\n")
    for task in ("build-all", "services", "plan", "status"):
        result = plain.invoke(task)
        assert result.returncode == 2
        assert "services are built on each other in a circle: " in result.stderr
        assert "base needs docs (src/base/Dockerfile:1)" in result.stderr
        assert "docs needs frontend (by its setting `needs`)" in result.stderr
        assert "frontend needs base (src/frontend/Dockerfile:2)" in result.stderr
        assert "Traceback" not in result.stderr
    assert calls.read_text() == ""
    assert not (plain.root / ".env").exists()
    assert not (plain.root / ".bailing-tasks").exists()


def test_services_are_shown_and_planned(plain: Workspace, tmp_path: Path) -> None:
    name = eight_services(plain, tmp_path)
    found = {
        each["name"]: each for each in plain.document("services", "--json")["services"]["services"]
    }
    assert set(found) == ALL
    assert found["frontend"]["needs"] == ["base"]
    assert found["frontend"]["external"] == [f"{HOST}/{name}-golang:1"]  # of what is rendered
    assert found["docs"]["needs"] == ["frontend"]
    assert found["panel"]["needs"] == ["broken"]
    assert found["redis"]["from_image"] == f"{HOST}/{name}-cache:1"
    assert (found["worker-debug"]["stage"], found["worker-run"]["stage"]) == ("debug", "run")
    assert found["backend"]["image"] == f"{name}-backend:v0.3.7"
    table = plain.invoke("services", DOCKER_HOST="unix:///nowhere").stdout  # no engine is asked
    assert re.search(
        rf"^worker-run +src/worker/Dockerfile \(run\) .*{name}-golang:1 +base$", table, re.M
    )
    steps = plain.document("plan", "--json")["plan"]["steps"]
    builds = [step["target"] for step in steps if step["step"] == "build"]
    assert set(builds) == ALL
    assert builds.index("base") < builds.index("frontend") < builds.index("docs")
    dry = plain.invoke("build-all", "--dry-run")
    assert dry.ok, dry.stderr
    assert dry.stdout.count("docker pull ") == 3
    assert dry.stdout.count("buildx build ") == 8
    assert "src/frontend/Dockerfile: would be written" in dry.stdout
    assert not (plain.root / ".bailing-tasks").exists()
    assert not (plain.root / "src/frontend/Dockerfile").exists()
    wrong = plain.invoke("build-service", "backend", "fronted")
    assert wrong.returncode == 2
    assert "there is no target 'fronted'" in wrong.stderr


def test_what_was_rendered_and_edited_by_hand_is_built_as_it_is(
    plain: Workspace, tmp_path: Path
) -> None:
    eight_services(plain, tmp_path)
    mend(plain)
    assert build_all(plain)["frontend"]["result"] == "built"
    plain.write("src/frontend/Dockerfile", "FROM scratch\nCOPY . /\n")
    result = plain.invoke("build-all", "--json")
    assert these(ran(result), "built") == {"frontend"}
    assert "src/frontend/Dockerfile: kept" in result.stderr
    assert (plain.root / "src/frontend/Dockerfile").read_text().startswith("FROM scratch")
    images = build_all(plain, "--overwrite")
    assert images["frontend"]["result"] == "skipped"  # it is what it was at first
    assert "COPY --from=" in (plain.root / "src/frontend/Dockerfile").read_text()


def test_after_ctrl_c_the_next_run_goes_on(plain: Workspace, tmp_path: Path) -> None:
    eight_services(plain, tmp_path)
    path = plain.root / "src/broken/Dockerfile"
    path.write_text(path.read_text().replace(BROKEN, 'RUN ["/waits"]'))
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", "build-all", "--json"],
        env={**plain.engine.environment, **plain.environment},
        cwd=plain.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background, Ctrl-C is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as child:
        assert child.stderr
        assert any("] base linux/amd64: built" in line for line in child.stderr)
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate()
    assert child.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    document = json.loads(out)
    assert document["error"]["exit_code"] == 130
    images = {each["target"]: each for each in document["results"][-1]["images"]}
    assert images["broken"]["result"] == "interrupted"
    built = these(images, "built")
    assert "base" in built
    builds = plain.document("history", "--json")["history"]["builds"]
    assert "broken" in {each["target"] for each in builds if each["result"] == "interrupted"}
    path.write_text(path.read_text().replace("/waits", "/true"))
    images = build_all(plain)
    assert built <= these(images, "skipped")
    assert these(images, "skipped") | these(images, "built") | these(images, "tagged") == ALL
