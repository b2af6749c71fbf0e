"""What CI does for an event, done here: decided, built or pulled, verified, and published."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.remote import remote
from tests.engine.support import Engine, Workspace
from tests.engine.voice import commit, published, revision, tags, voice_application
from tests.unit.repository import Repository


@pytest.fixture
def voice(plain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A Git repository with builder and app for two platforms, published in the sandbox."""
    return voice_application(plain, tmp_path, monkeypatch)


def ci(workspace: Workspace, *argv: str) -> dict[str, list[dict[str, Any]]]:
    """Run ci-run, which has to succeed; return the results of each task in it."""
    result = workspace.invoke("ci-run", *argv, "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for item in json.loads(result.stdout)["results"]:
        found.setdefault(item["task"], []).append(item)
    return found


def results(found: dict[str, list[dict[str, Any]]], task: str) -> list[str]:
    return [image["result"] for item in found.get(task, []) for image in item["images"]]


def test_events_are_decided_built_and_published_as_ci_does(voice: Workspace) -> None:
    first = Repository(voice.root).git("rev-parse", "HEAD")
    found = ci(voice, "--event", "push:main", "--push")
    assert results(found, "build-builder") == ["built", "built"]
    assert results(found, "build-app") == ["built", "built"]
    assert len(found["verify"]) == 2
    assert {revision(voice, tag) for tag in ("latest", "main")} == {first}
    assert {revision(voice, tag, "-builder") for tag in ("latest", "main-builder")} == {first}
    # Each image and each architecture leaves a cache of its own.
    for suffix in ("", "-builder"):
        assert {"cache-linux-amd64", "cache-linux-arm64"} <= tags(voice, suffix)
    # Code alone has changed: the builder is neither built nor published.
    second = commit(voice, "code", code__main="two", code__other="two")
    found = ci(voice, "--event", "push:main", "--push")
    assert not found["changed"][0]["targets"]["builder"]["runs"]
    assert results(found, "build-builder") == ["skipped", "skipped"]
    assert results(found, "build-app") == ["built", "built"]
    assert {item["target"] for item in found["release"][0]["tags"]} == {"app"}
    assert revision(voice, "latest") == second
    assert revision(voice, "latest", "-builder") == first
    # What no trigger covers builds nothing.
    commit(voice, "words", README="words")
    assert set(ci(voice, "--event", "push:main", "--push")) == {"changed"}
    # A version gets its tags, and nothing is built for it.
    Repository(voice.root).git("tag", "v1.2.3")
    Repository(voice.root).git("push", "-q", "origin", "v1.2.3")
    third = Repository(voice.root).git("rev-parse", "HEAD")
    found = ci(voice, "--event", "tag:v1.2.3", "--push")
    assert results(found, "build-builder") + results(found, "build-app") == ["skipped"] * 4
    assert revision(voice, "1.2.3") == revision(voice, "latest") == third
    assert revision(voice, "builder-1.2.3", "-builder") == third
    # A run for an older commit that ends after a newer one's does not take latest back.
    Repository(voice.root).git("checkout", "-q", "-B", "main", second)
    found = ci(voice, "--event", "push:main", "--base", first, "--push")
    assert revision(voice, "main") == second
    assert revision(voice, "latest") == third
    assert "latest" not in {tag["tag"] for tag in found["tags"][0]["targets"]["app"]["tags"]}


def test_latest_does_not_go_back_to_a_run_that_ends_last(voice: Workspace, tmp_path: Path) -> None:
    older = Repository(voice.root).git("rev-parse", "HEAD")
    newer = commit(voice, "code", code__main="two")
    Repository(voice.root).git("checkout", "-q", "-B", "main", older)
    # While the run for the older commit builds, the one for the newer commit publishes.
    docker = tmp_path / "bin" / "docker"
    publish = f"""
from tests.engine import tiny
for suffix in ("", "-builder"):
    host, _, path = {voice.environment["BAILING_TASKS_REPOSITORY"]!r}.partition("/")
    tiny.push_index(
        host,
        f"{{path}}{{suffix}}:latest",
        {{"linux/amd64": {{"a": b"a"}}, "linux/arm64": {{"a": b"a"}}}},
        annotations={{"org.opencontainers.image.revision": {newer!r}}},
    )
"""
    docker.parent.mkdir()
    docker.with_name("publish.py").write_text(publish)
    docker.write_text(
        f"""#!/bin/sh
if [ "$1 $2" = "buildx build" ] && mkdir {docker.parent}/once 2>/dev/null; then
    PYTHONPATH={Path(__file__).parents[2]} {sys.executable} {docker.parent}/publish.py || exit 1
fi
PATH=${{PATH#{docker.parent}:}} exec docker "$@"
"""
    )
    docker.chmod(0o755)
    voice.environment["PATH"] = f"{docker.parent}:{voice.engine.environment['PATH']}"
    ci(voice, "--event", "push:main", "--base", older, "--target", "app", "--push")
    assert revision(voice, "main") == older
    assert revision(voice, "latest") == newer


def test_a_pull_request_is_built_and_never_published(voice: Workspace) -> None:
    Repository(voice.root).git("checkout", "-q", "-b", "topic")
    commit(voice, "code", code__main="two")
    found = ci(voice, "--event", "pr:12", "--push")
    assert results(found, "build-app") == ["built", "built"]
    assert found["tags"][0]["targets"]["app"]["tags"] == []
    assert "release" not in found
    assert published(voice, "latest") is None
    assert tags(voice) == set()


def test_the_app_of_another_machine_takes_the_builder_by_its_fingerprint(voice: Workspace) -> None:
    found = ci(voice, "--event", "push:main", "--push", "--target", "builder")
    builders = found["build-builder"][0]["images"]
    assert "build-app" not in found
    leave(voice, builders)
    found = ci(voice, "--event", "push:main", "--push", "--target", "app")
    assert results(found, "build-builder") == ["pulled", "pulled"]
    assert results(found, "build-app") == ["built", "built"]
    assert {tag["target"] for tag in found["release"][0]["tags"]} == {"app"}
    # And a third one takes the app itself, with nothing else; that is checked as well.
    leave(voice, found["build-builder"][0]["images"] + found["build-app"][0]["images"])
    file = voice.root / "pyproject.toml"
    file.write_text(file.read_text().replace("smaller-than-builder = false\n", ""))
    found = ci(voice, "--event", "push:main", "--target", "app")
    assert results(found, "build-app") == ["pulled", "pulled"]
    assert {"prefetch", "build-builder"}.isdisjoint(found)
    checks = {check["name"]: check for check in found["verify"][0]["checks"]}
    assert checks["smaller than the builder"]["detail"] == "no builder is here to compare with"


def leave(workspace: Workspace, images: list[dict[str, Any]]) -> None:
    """Take images and state away, as they are not there on another machine."""
    workspace.engine.must("rmi", "--force", *{image["digest"] for image in images})
    shutil.rmtree(workspace.root / ".bailing-tasks")


def test_what_a_fingerprint_cannot_tell_is_published_as_it_was_verified(voice: Workspace) -> None:
    ci(voice, "--event", "push:main", "--push")
    before = published(voice, "latest")
    found = ci(voice, "--event", "push:main", "--push", "--target", "app", "--force")
    after = published(voice, "latest")
    assert before
    assert after
    assert {image["result"] for image in found["build-app"][0]["images"]} == {"built"}
    assert after["manifests"] == before["manifests"]
    # From BuildKit's cache it is the same image, which is there under its fingerprint.
    assert not [tag for tag in tags(voice) if tag.startswith("id-")]


def test_a_part_of_the_matrix_is_not_published(voice: Workspace) -> None:
    result = voice.invoke("ci-run", "--event", "push:main", "--push", "--platform", "linux/amd64")
    assert result.returncode == 2
    assert "--push publishes every platform and Python" in result.stderr
    assert tags(voice) == set()


def test_only_the_commit_of_the_event_is_published(voice: Workspace) -> None:
    repository = Repository(voice.root)
    voice.write("code/main.py", "two")
    result = voice.invoke("ci-run", "--event", "push:main", "--push")
    assert result.returncode == 2
    assert "uncommitted changes" in result.stderr
    repository.git("stash", "-q")
    repository.git("branch", "other")
    commit(voice, "code", code__main="three")
    result = voice.invoke("ci-run", "--event", "push:other", "--target", "app", "--push")
    assert result.returncode == 2
    assert "is checked out" in result.stderr
    result = voice.invoke("ci-run", "--event", "tag:v7.7.7", "--push")
    assert result.returncode == 2
    assert "there is no Git tag v7.7.7 to publish" in result.stderr
    assert published(voice, "latest") is None


def test_a_dry_run_prints_every_command_and_tag(voice: Workspace) -> None:
    result = voice.invoke("ci-run", "--event", "push:main", "--push", "--dry-run")
    assert result.returncode == 0, result.stderr
    app = voice.environment["BAILING_TASKS_REPOSITORY"]
    for text in ("pull ", "buildx build ", f"push {app}:fp-", f"--tag {app}:latest "):
        assert text in result.stdout, text
    assert published(voice, "latest") is None
    assert not voice.engine.has(voice.environment["BAILING_TASKS_APP_IMAGE"])


def test_a_failed_check_publishes_nothing(voice: Workspace) -> None:
    file = voice.root / "pyproject.toml"
    file.write_text(file.read_text() + 'absent-commands = ["main.py"]\n')
    commit(voice, "stricter")
    voice.write("Dockerfile", (voice.root / "Dockerfile").read_text() + "COPY code /bin\n")
    commit(voice, "code in a bin folder")
    result = voice.invoke("ci-run", "--event", "push:main", "--push")
    assert result.returncode == 7, result.stderr
    assert published(voice, "latest") is None
    assert published(voice, "latest", "-builder") is None


def test_a_builder_of_buildx_does_the_same_as_in_a_workflow(
    voice: Workspace, containerd: Engine, tmp_path: Path
) -> None:
    """As `ci-write` has it: a BuildKit of its own builds, the machine's Docker engine verifies."""
    docker = containerd.environment["DOCKER_HOST"]
    (tmp_path / "buildx").mkdir()
    with remote(containerd, tmp_path / "buildx") as engine:
        voice.engine = replace(engine, environment={**engine.environment, "DOCKER_HOST": docker})
        found = ci(voice, "--event", "push:main", "--push")
        assert results(found, "build-builder") + results(found, "build-app") == ["built"] * 4
        assert [item["ok"] for item in found["verify"]] == [True, True]
        head = Repository(voice.root).git("rev-parse", "HEAD")
        assert revision(voice, "latest") == revision(voice, "latest", "-builder") == head
        # Another machine: nothing is there but what was published.
        shutil.rmtree(voice.root / ".bailing-tasks")
        found = ci(voice, "--event", "push:main", "--target", "app", "--platform", "linux/amd64")
        assert results(found, "build-app") == ["pulled"]
    image = f"{voice.environment['BAILING_TASKS_REPOSITORY']}:latest"
    containerd.must("run", "--rm", "--pull=always", image)
