"""A run decides by itself what has to be built, says why, and tells before if it is asked."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import process
from tests.engine import tiny
from tests.engine.proxy import RegistryProxy
from tests.engine.support import HOST, Workspace, made, unique

CHAIN = ("prefetch", "build-builder", "build-app", "--json")
BUILDER = "FROM {base} AS builder\nCOPY lock /opt/venv/lock\n"
APP = """\
ARG BUILDER_IMAGE
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}
COPY --from=builder /opt/venv /v
COPY code /code
"""


@pytest.fixture
def voice(plain: Workspace, tmp_path: Path) -> Workspace:
    """A workspace in the seeds' layout over one tiny base image."""
    name = unique(tmp_path, "planned")
    tiny.push(plain.engine.registry, f"{HOST}/{name}:1", 64)
    base = f"{HOST}/{name}:1"
    plain.write("docker/dockerfile.dev", BUILDER.format(base=base))
    plain.write("Dockerfile", APP.format(base=base))
    plain.write("lock", "one")
    plain.write("code/main.py", "one")
    plain.environment["BAILING_TASKS_BUILDER_IMAGE"] = f"{name}-builder"
    plain.environment["BAILING_TASKS_APP_IMAGE"] = name
    return plain


def planned(workspace: Workspace, *argv: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the steps of a plan by step and target; nothing may have been touched for it."""
    before = touched(workspace)
    found = workspace.document("plan", *argv, "--json")["plan"]["steps"]
    assert touched(workspace) == before
    return {(step["step"], step["target"]): step for step in found}


def touched(workspace: Workspace) -> tuple[Any, ...]:
    """Return what a task could have changed: files, and what the images' names stand for.

    Digests of files are kept, so that the next plan need not read them again.
    """
    own = {"digests", "__pycache__", ".gitignore"}
    files = {
        path.relative_to(workspace.root).as_posix(): path.read_bytes()
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file() and not own & set(path.parts)
    }
    names = [workspace.environment[f"BAILING_TASKS_{name}_IMAGE"] for name in ("BUILDER", "APP")]
    images = workspace.engine.docker("image", "inspect", "-f", "{{.Id}} {{.RepoTags}}", *names)
    return files, images.stdout


def actions(steps: dict[tuple[str, str], dict[str, Any]]) -> dict[str, str]:
    return {target: step["action"] for (kind, target), step in steps.items() if kind == "build"}


def test_a_plan_says_what_a_run_would_do_and_what_changed(voice: Workspace) -> None:
    first = planned(voice)
    assert [*first] == [
        ("prefetch", "builder"),
        ("prefetch", "app"),
        ("build", "builder"),
        ("build", "app"),
        ("verify", "app"),
    ]
    assert {step["action"] for step in first.values()} == {"do"}
    assert "not here" in first["prefetch", "builder"]["reason"]
    voice.document(*CHAIN)
    settled = planned(voice)
    assert actions(settled) == {"builder": "skip", "app": "skip"}
    assert settled["prefetch", "app"]["action"] == "skip"
    assert "nothing changed" in settled["build", "app"]["reason"]
    assert actions(planned(voice, "--force")) == {"builder": "do", "app": "do"}
    # Code changes: the builder stays.
    voice.write("code/main.py", "two")
    code = planned(voice)
    assert actions(code) == {"builder": "skip", "app": "do"}
    assert code["build", "app"]["reason"] == "file changed: code/main.py"
    built = voice.document(*CHAIN)
    assert built["build-builder"]["images"][0]["result"] == "skipped"
    assert built["build-app"]["images"][0]["reason"] == "file changed: code/main.py"
    # The lock file changes: the builder is built, and what is built on it.
    voice.write("lock", "two")
    lock = planned(voice)
    assert actions(lock) == {"builder": "do", "app": "do"}
    assert lock["build", "builder"]["reason"] == "file changed: lock"
    assert "pin changed: builder linux/amd64 (fp-" in lock["build", "app"]["reason"]
    changes = lock["build", "builder"]["changes"]
    assert [(change["kind"], change["name"]) for change in changes] == [("file", "lock")]
    # What was built before is still here: back to it, and nothing is built.
    voice.write("lock", "one")
    assert actions(planned(voice)) == {"builder": "skip", "app": "skip"}


def test_a_tag_that_moved_changes_a_pin_and_an_argument_is_named(voice: Workspace) -> None:
    voice.document(*CHAIN)
    base = f"{HOST}/{voice.environment['BAILING_TASKS_APP_IMAGE']}:1"
    new = tiny.push(voice.engine.registry, base, 65)
    assert actions(planned(voice)) == {"builder": "skip", "app": "skip"}
    voice.document("prefetch", "--refresh", "--json")
    moved = planned(voice)
    assert actions(moved) == {"builder": "do", "app": "do"}
    reason = moved["build", "builder"]["reason"]
    assert reason.startswith(f"pin changed: {base} linux/amd64 (sha256:")
    assert f"-> {new.digest[:19]})" in reason
    voice.document(*CHAIN)
    arguments = {"BAILING_TASKS_APP_BUILD_ARGS": '{"EXTRA": "2"}'}
    found = voice.document("plan", "--json", **arguments)["plan"]["steps"]
    (app,) = (step for step in found if (step["step"], step["target"]) == ("build", "app"))
    assert app["reason"] == "argument changed: EXTRA (none -> 2)"


def test_a_context_that_is_copied_whole_is_pointed_out_and_inputs_are_listed(
    voice: Workspace,
) -> None:
    file = voice.root / "Dockerfile"
    file.write_text(file.read_text().replace("COPY code", "COPY ."))
    voice.document("prefetch", "--json")
    shown = voice.invoke("plan", "--explain", "app")
    assert shown.returncode == 0, shown.stderr
    assert "note: Dockerfile:5 copies the whole context: app depends on each of its" in shown.stdout
    assert "COPY . /code" in shown.stdout
    assert "code/main.py" in shown.stdout
    assert "builder linux/amd64" in shown.stdout
    inputs = voice.document("plan", "--explain", "builder", "--json")["plan"]["inputs"]
    assert [*inputs[0]["files"]] == ["lock"]
    assert inputs[0]["build_platform"] == ""
    # What asks for the machine that builds may differ with it.
    builder = (voice.root / "docker/dockerfile.dev").read_text()
    voice.write("docker/dockerfile.dev", f"{builder}ARG BUILDARCH\nENV MADE_ON=$BUILDARCH\n")
    inputs = voice.document("plan", "--explain", "builder", "--json")["plan"]["inputs"]
    assert inputs[0]["build_platform"] == "linux/amd64"
    wrong = voice.invoke("plan", "--explain", "bulider")
    assert wrong.returncode == 2
    assert "perhaps you meant 'builder'" in wrong.stderr


@pytest.fixture
def shared(voice: Workspace, tmp_path: Path) -> Workspace:
    """The same workspace, published in the sandbox's registry."""
    name = unique(tmp_path, "shared")
    voice.environment["BAILING_TASKS_REPOSITORY"] = f"{voice.engine.registry}/team/{name}"
    return voice


def publish(workspace: Workspace, image: dict[str, Any], repository: str, tag: str = "") -> None:
    """Push an image under the tag of its fingerprint, and take it from the engine."""
    name = f"{repository}:{tag or 'fp-' + image['fingerprint'][:16]}"
    workspace.engine.must("tag", image["kept"], name)
    workspace.engine.must("push", "-q", name)
    workspace.engine.must("rmi", name, image["kept"], image["image"])


def test_what_others_built_from_the_same_inputs_is_pulled(
    shared: Workspace, tmp_path: Path
) -> None:
    repository = shared.environment["BAILING_TASKS_REPOSITORY"]
    found = shared.document(*CHAIN)
    publish(shared, found["build-app"]["images"][0], repository)
    publish(shared, found["build-builder"]["images"][0], f"{repository}-builder")
    # Another checkout of the same files, on an engine that has neither image.
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", shared.engine)
    other.environment.update(shared.environment)
    shutil.copytree(shared.root, other.root, dirs_exist_ok=True)
    shutil.rmtree(other.root / ".bailing-tasks")
    other.document("prefetch", "--json")
    assert actions(planned(other)) == {"builder": "pull", "app": "pull"}
    dry = other.invoke("build-builder", "--dry-run")
    assert f"pull --platform linux/amd64 {repository}-builder:fp-" in dry.stdout
    # The app needs no builder to be here.
    built = other.document("build-app", "--json")["build-app"]["images"][0]
    assert built["result"] == "pulled"
    assert f"{repository}:fp-" in built["reason"]
    assert shared.engine.has(built["image"])
    again = other.document("build-builder", "build-app", "--json")
    assert again["build-builder"]["images"][0]["result"] == "pulled"
    assert again["build-app"]["images"][0]["result"] == "skipped"
    # A forced build of the builder is one that the pulled app does not know.
    other.document("build-builder", "--no-cache", "--json")
    assert actions(planned(other)) == {"builder": "skip", "app": "do"}
    assert "its builder is built anew" in planned(other)["build", "app"]["reason"]


def test_a_build_after_a_prefetch_does_not_ask_again_what_registries_have(
    shared: Workspace,
) -> None:
    with RegistryProxy(shared.engine.registry) as registry:
        repository = shared.environment["BAILING_TASKS_REPOSITORY"]
        through = repository.replace(shared.engine.registry, registry.address)
        shared.environment["BAILING_TASKS_REPOSITORY"] = through
        shared.document("prefetch", "--json")
        asked = [path for _, path, _ in registry.log if "/manifests/fp-" in path]
        assert len(asked) == 2
        registry.log.clear()
        built = shared.document("build-builder", "build-app", "--json")
        assert registry.log == []
        assert "does not have it" in built["build-app"]["images"][0]["reason"]
        # Files that have changed since are asked about.
        shared.write("code/main.py", "two")
        shared.document("plan", "--json")
        assert len(registry.log) == 1


def test_an_image_that_is_not_what_its_tag_says_is_not_taken(shared: Workspace) -> None:
    repository = shared.environment["BAILING_TASKS_REPOSITORY"]
    found = shared.document(*CHAIN)
    fingerprint = found["build-app"]["images"][0]["fingerprint"]
    shared.write("code/main.py", "two")
    wrong = shared.document("build-app", "--json")["build-app"]["images"][0]
    publish(shared, wrong, repository, tag=f"fp-{fingerprint[:16]}")
    shared.engine.must("rmi", found["build-app"]["images"][0]["kept"])
    shared.write("code/main.py", "one")
    result = shared.invoke("build-app", "--json")
    assert result.returncode == 0, result.stderr
    assert "is not what its tag says" in result.stderr
    assert json.loads(result.stdout)["results"][0]["images"][0]["result"] == "built"


def test_a_registry_that_is_silent_or_may_not_be_asked_keeps_nobody_from_building(
    shared: Workspace,
) -> None:
    shared.document("prefetch", "--json")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        repository = f"127.0.0.1:{silent.getsockname()[1]}/team/voice"
        environment = {"BAILING_TASKS_REPOSITORY": repository}
        built = shared.document("build-builder", "build-app", "--json", **environment)
        offline = shared.document("plan", "--force", "--offline", "--json", **environment)
    assert [built[task]["images"][0]["result"] for task in ("build-builder", "build-app")] == [
        "built",
        "built",
    ]
    reason = built["build-builder"]["images"][0]["reason"]
    assert f"{repository}-builder" in reason
    assert "silent" in reason or "did not answer" in reason
    assert len(offline["plan"]["steps"]) == 5


def test_a_plan_without_an_engine_or_a_dockerfile_says_so(voice: Workspace) -> None:
    result = voice.invoke("plan", DOCKER_HOST="unix:///nobody.sock")
    assert result.returncode == 4
    (voice.root / "lock").unlink()
    result = voice.invoke("build-builder")
    assert result.returncode == 3
    assert "dockerfile.dev:2: COPY lock: not in the build context ." in result.stderr
    (voice.root / "Dockerfile").unlink()
    assert voice.invoke("plan").returncode == 3


def test_a_file_that_changes_without_changing_size_is_seen(voice: Workspace) -> None:
    voice.document(*CHAIN)
    planned(voice)
    argv = ["touch", "-r", str(voice.root / "lock"), str(voice.root / "code" / "main.py")]
    voice.write("code/main.py", "two")
    assert process.run(argv).ok
    assert actions(planned(voice)) == {"builder": "skip", "app": "do"}
