"""Prefetch and builds on real engines, with images of a few bytes, on both image stores."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from bailing_tasks import process
from tests.engine.support import HOST, Workspace, unique

BUILDER = """\
ARG PYTHON_VERSION=3.11
FROM {base} AS builder
COPY lock /opt/venv/lock
FROM {base} AS unused
COPY nothing /nothing
"""
APP = """\
ARG BUILDER_IMAGE=images.example/not/there:latest
FROM ${{BUILDER_IMAGE}} AS builder
FROM {slim}
COPY --from=builder /opt/venv /opt/venv
COPY code /code
"""
VERIFY = """
[tool.bailing-tasks.verify]
absent-commands = ["gcc"]
user = ""
imports = []
port = 0
smaller-than-builder = false
"""
OF_RUN = re.compile(r":(?:new|ws)-[0-9a-f]{12}(?:-[0-9a-f]{16})?")
"""In names: a workspace that has no state yet, and a build."""


@pytest.fixture
def voice(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace in the seeds' layout, without settings, over two tiny base images."""
    return seeds_layout(workspace, tmp_path)


def seeds_layout(workspace: Workspace, folder: Path) -> Workspace:
    base = workspace.engine.push_tiny(folder / "base", unique(folder, "base") + ":1")
    slim = workspace.engine.push_tiny(folder / "slim", unique(folder, "slim") + ":1")
    workspace.write("docker/dockerfile.dev", BUILDER.format(base=base))
    workspace.write("Dockerfile", APP.format(slim=slim))
    workspace.write("lock", "one")
    workspace.write("code", "one")
    names = {
        "BAILING_TASKS_BUILDER_IMAGE": unique(folder, "voice-builder"),
        "BAILING_TASKS_APP_IMAGE": unique(folder, "voice"),
    }
    workspace.environment.update(names)
    return workspace


def test_the_seeds_layout_is_built_without_settings(workspace: Workspace, tmp_path: Path) -> None:
    seeds_layout(workspace, tmp_path).environment.clear()
    workspace.write("pyproject.toml", '[project]\nname = "Voice_App"\n')
    names = ("voice_app-builder:latest", "voice_app:latest")
    with workspace.engine.put_back(*names):
        found = workspace.document("prefetch", "--json", "build-builder", "build-app", "--json")
        built = [found[task]["images"][0] for task in ("build-builder", "build-app")]
        ids = [workspace.engine.must("image", "inspect", "-f", "{{.Id}}", name) for name in names]
    # The builder's last stage copies a file that is not there: it was not built.
    assert (found["prefetch"]["pulled"], found["prefetch"]["failed"]) == (2, 0)
    assert tuple(image["image"] for image in built) == names
    assert [image["digest"] for image in built] == ids
    assert {image["result"] for image in built} == {"built"}
    assert {image["platform"] for image in built} == {"linux/amd64"}


def test_the_second_run_does_nothing_and_says_why(voice: Workspace) -> None:
    chain = ("prefetch", "--json", "build-builder", "--json", "build-app", "--json")
    first = voice.document(*chain)
    second = voice.document(*chain)
    assert second["prefetch"]["present"] == 2
    assert second["prefetch"]["pulled"] == 0
    for task in ("build-builder", "build-app"):
        (before,), (after,) = first[task]["images"], second[task]["images"]
        assert after["result"] == "skipped"
        assert "nothing changed" in after["reason"]
        assert after["digest"] == before["digest"]


def test_only_what_changed_is_built_again(voice: Workspace) -> None:
    voice.document("prefetch", "build-builder", "build-app", "--json")
    voice.write("code", "two")
    found = voice.document("build-builder", "--json", "build-app", "--json")
    assert found["build-builder"]["images"][0]["result"] == "skipped"
    assert found["build-app"]["images"][0]["result"] == "built"
    voice.write("lock", "two")
    found = voice.document("build-builder", "--json", "build-app", "--json")
    assert found["build-builder"]["images"][0]["result"] == "built"
    assert found["build-app"]["images"][0]["result"] == "built"
    found = voice.document("build-app", "--json", "--force")
    assert found["build-app"]["images"][0]["reason"] == "forced"


def test_the_app_is_built_on_the_builder_of_the_run(voice: Workspace, tmp_path: Path) -> None:
    found = voice.document("prefetch", "build-builder", "--json", "build-app", "--json")
    app = found["build-app"]["images"][0]
    voice.engine.must("create", "--name", unique(tmp_path, "look"), app["kept"], "none")
    target = tmp_path / "lock"
    voice.engine.must("cp", f"{unique(tmp_path, 'look')}:/opt/venv/lock", str(target))
    voice.engine.must("rm", unique(tmp_path, "look"))
    assert target.read_text() == "one"
    label = voice.engine.labels(app["kept"])["io.bailing-tasks.fingerprint"]
    assert (
        label
        == f"{voice.environment['BAILING_TASKS_APP_IMAGE']}:linux/amd64:" + (app["fingerprint"])
    )


def test_images_are_pinned_kept_and_have_their_own_name(voice: Workspace) -> None:
    voice.document("prefetch", "--json")
    pins = json.loads((voice.root / ".bailing-tasks" / "pins.json").read_text())
    assert len(pins) == 2
    for pin in pins:
        assert pin["reference"].startswith(f"{HOST}/")
        assert pin["served_from"].startswith(f"{voice.engine.registry}/{HOST}/")
        assert voice.engine.has(f"{pin['served_from']}@{pin['digest']}")
        assert voice.engine.has(pin["reference"])
    voice.engine.must("image", "prune", "-f")
    assert voice.document("prefetch", "--json")["prefetch"]["present"] == 2


def test_a_build_after_a_prefetch_needs_no_registry(voice: Workspace) -> None:
    voice.document("prefetch", "--json")
    # From here on every registry refuses: the mirror's port is one that nobody listens on.
    nowhere = json.dumps({HOST: ["http://127.0.0.1:9"]})
    found = voice.document(
        "build-builder", "--json", "build-app", "--json", BAILING_TASKS_MIRRORS=nowhere
    )
    assert found["build-app"]["images"][0]["result"] == "built"


def test_images_shows_where_they_are_named_and_whether_they_are_here(voice: Workspace) -> None:
    before = voice.document("images", "--json")["images"]["images"]
    assert [image["present"] for image in before] == [False, False]
    voice.document("prefetch", "--json")
    after = {
        image["targets"][0]: image
        for image in voice.document("images", "--json")["images"]["images"]
    }
    assert after["builder"]["named_at"] == ["docker/dockerfile.dev:2"]
    assert after["app"]["named_at"] == ["Dockerfile:3"]
    assert after["app"]["platform"] == "linux/amd64"
    assert all(image["present"] for image in after.values())
    table = voice.invoke("images").stdout
    assert "docker/dockerfile.dev:2" in table
    assert "yes" in table


def test_images_lists_any_dockerfiles_stages_platforms_and_arguments(plain: Workspace) -> None:
    plain.write(
        "a/Dockerfile",
        "ARG BASE=alpine\nFROM ${BASE}:${TAG:-3} AS one\n"
        "FROM --platform=$BUILDPLATFORM busybox\nCOPY --from=nginx /x /x\n",
    )
    plain.write("b/Dockerfile", "FROM debian\n")

    def named(*argv: str, **environment: str) -> set[tuple[str, str, str]]:
        found = plain.document("images", "--json", *argv, **environment)["images"]["images"]
        return {(i["reference"], i["platform"], " ".join(i["named_at"])) for i in found}

    hub = "docker.io/library"
    assert named("--dockerfile", "a/Dockerfile", "--dockerfile", "b/Dockerfile") == {
        (f"{hub}/busybox:latest", "linux/amd64", "a/Dockerfile:3"),
        (f"{hub}/nginx:latest", "linux/amd64", "a/Dockerfile:4"),
        (f"{hub}/debian:latest", "linux/amd64", "b/Dockerfile:1"),
    }
    one = ("--dockerfile", "a/Dockerfile", "--target", "ONE")
    platforms = ("--platform", "linux/amd64", "--platform", "linux/arm64")
    assert named(*one, *platforms, "--build-arg", "BASE=arch") == {
        (f"{hub}/arch:3", "linux/amd64", "a/Dockerfile:2"),
        (f"{hub}/arch:3", "linux/arm64", "a/Dockerfile:2"),
    }
    assert named(*one, "--build-arg", "BASE", BASE="void") == {
        (f"{hub}/void:3", "linux/amd64", "a/Dockerfile:2")
    }
    assert len(named("--dockerfile", "a/Dockerfile", "--all-stages")) == 3
    result = plain.invoke("images", "--dockerfile", "a/Dockerfile", "--build-arg", "=x")
    assert result.returncode == 2
    result = plain.invoke("images", "--dockerfile", "c/Dockerfile")
    assert result.returncode == 3
    assert "c/Dockerfile" in result.stderr


def test_a_dry_run_prints_commands_and_changes_nothing(voice: Workspace) -> None:
    result = voice.invoke(
        "prefetch", "--dry-run", "build-builder", "--dry-run", "build-app", "--dry-run"
    )
    assert result.ok, result.stderr
    whole = voice.invoke("prefetch", "build-builder", "build-app", "--dry-run").stdout
    assert OF_RUN.sub("", whole) == OF_RUN.sub("", result.stdout)
    assert result.stdout.count("docker pull ") == 2
    assert result.stdout.count("docker buildx build ") == 2
    assert "--target builder" in result.stdout
    assert not (voice.root / ".bailing-tasks").exists()
    assert not voice.engine.has(voice.environment["BAILING_TASKS_APP_IMAGE"])
    # The commands are the exact ones: the run that follows binds the same digests.
    found = voice.document("prefetch", "--json", "build-builder", "--json")
    for image in found["prefetch"]["images"]:
        assert f"docker pull {image['served_from']}@{image['digest']}" in result.stdout
    assert found["build-builder"]["images"][0]["kept"] in result.stdout


def test_another_platform_and_python_have_names_of_their_own(
    workspace: Workspace, tmp_path: Path
) -> None:
    base = workspace.engine.push_tiny(
        tmp_path / "base", unique(tmp_path, "base") + ":1", "linux/amd64", "linux/arm64"
    )
    workspace.write("docker/dockerfile.dev", BUILDER.format(base=base))
    workspace.write("Dockerfile", APP.format(slim=base))
    workspace.write("lock", "one")
    workspace.write("code", "one")
    name = unique(tmp_path, "voice")
    workspace.environment["BAILING_TASKS_APP_IMAGE"] = name
    workspace.environment["BAILING_TASKS_BUILDER_IMAGE"] = f"{name}-builder"
    workspace.write("pyproject.toml", '[tool.bailing-tasks]\npython = ["3.11", "3.12"]\n')
    both = [
        part
        for task in ("prefetch", "build-builder", "build-app")
        for part in (task, "--platform", "all", "--python", "all", "--json")
    ]
    found = workspace.document(*both)
    assert found["prefetch"]["pulled"] == 2
    assert {(image["image"], image["platform"]) for image in found["build-app"]["images"]} == {
        (f"{name}:latest", "linux/amd64"),
        (f"{name}:latest-arm64", "linux/arm64"),
        (f"{name}:latest-py3.12", "linux/amd64"),
        (f"{name}:latest-arm64-py3.12", "linux/arm64"),
    }
    for image in found["build-app"]["images"]:
        assert (
            workspace.engine.must(
                "image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", image["image"]
            )
            == image["platform"]
        )


def test_one_reference_on_two_platforms_and_a_stage_named_like_an_image(
    workspace: Workspace, tmp_path: Path
) -> None:
    base = workspace.engine.push_tiny(
        tmp_path / "base", unique(tmp_path, "base") + ":1", "linux/amd64", "linux/arm64"
    )
    other = workspace.engine.push_tiny(
        tmp_path / "other", unique(tmp_path, "other"), content="the registry's"
    )
    workspace.write("lock", "one")
    workspace.write(
        "docker/dockerfile.dev",
        f"FROM --platform=linux/arm64 {base} AS foreign\n"
        f"FROM {base} AS builder\n"
        "COPY --from=foreign /file /foreign\n"
        f"COPY --from={other} /file /other\n",
    )
    workspace.write("Dockerfile", "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE}\n")
    workspace.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(tmp_path, "b")
    found = workspace.document("prefetch", "--json", "build-builder", "--json")
    assert {(i["reference"], i["platform"]) for i in found["prefetch"]["images"]} == {
        (base, "linux/amd64"),
        (base, "linux/arm64"),
        (f"{other}:latest", "linux/amd64"),
    }
    assert found["build-builder"]["images"][0]["result"] == "built"


def test_the_demo_takes_the_engine_that_can_get_the_images(
    plain: Workspace, tmp_path: Path
) -> None:
    seeds_layout(plain, tmp_path)
    plain.write(
        "pyproject.toml",
        '[tool.bailing-tasks.verify]\nabsent-commands = ["gcc"]\nuser = ""\nimports = []\n'
        "port = 0\nsmaller-than-builder = false\n",
    )
    argv = [sys.executable, "-m", "bailing_tasks.demo"]
    environment = {**plain.engine.environment, **plain.environment}
    result = process.run(argv, env=environment, cwd=plain.root)
    assert result.ok, result.stderr
    assert "taking the Docker engine that is reachable" in result.stdout
    assert "base images: 2 pulled, 0 present, 0 failed; checks: 1 of 1 passed" in result.stdout
    app = plain.environment["BAILING_TASKS_APP_IMAGE"]
    (row,) = (line for line in result.stdout.splitlines() if line.startswith(f"{app}:latest"))
    assert "linux/amd64" in row
    assert "steps" in row
    again = process.run(argv, env=environment, cwd=plain.root)
    assert "all: nothing changed" in again.stdout
    # An engine that cannot get them is left alone; there is no stand-in for images.example.
    name = f"{HOST}/{unique(tmp_path, 'gone')}:1"
    plain.write("Dockerfile", f"FROM {name}\n")
    other = process.run(argv, env=environment, cwd=plain.root)
    assert "taking the sandbox: " in other.stdout
    assert other.returncode == 2
    assert f"no stand-in for {HOST}/" in other.stderr
    forced = process.run([*argv, "--no-sandbox"], env=environment, cwd=plain.root)
    assert forced.returncode == 6
    assert "sandbox" not in forced.stdout


def test_the_sandbox_tasks_report_and_do_not_change_in_a_dry_run(plain: Workspace) -> None:
    plain.write("Dockerfile", "FROM debian:bookworm-slim\n")
    status = plain.document("sandbox-status", "--json")["sandbox-status"]
    running = [engine for engine in status["engines"] if engine["running"]]
    assert plain.engine.environment["DOCKER_HOST"] in {f"unix://{e['socket']}" for e in running}
    assert status["registry"]["address"] == plain.engine.registry
    assert Path(status["registry"]["access_log"]).is_file()
    up = plain.document("sandbox-up", "--dry-run", "--json")["sandbox-up"]
    assert up["dry_run"]
    down = plain.document("sandbox-down", "--purge", "--dry-run", "--json")["sandbox-down"]
    assert any(status["home"] in step for step in down["steps"])
    assert plain.document("sandbox-status", "--json")["sandbox-status"] == status
