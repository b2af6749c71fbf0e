"""A release from a laptop: checked, shown, asked for, published, written down, taken back."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import process
from bailing_tasks.image_index import is_image
from tests.engine.support import Workspace
from tests.engine.voice import commit, published, revision, tags, voice_application
from tests.unit.repository import Repository

ALL = ("--platform", "all")
BUILD = ("prefetch", *ALL, "build-builder", *ALL, "build-app", *ALL)
ANNOTATION = "org.opencontainers.image."


@pytest.fixture
def voice(plain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A Git repository with builder and app for two platforms, published in the sandbox."""
    return voice_application(plain, tmp_path, monkeypatch)


def build(voice: Workspace) -> None:
    result = voice.invoke(*BUILD)
    assert result.ok, result.stderr


def git(voice: Workspace, *argv: str) -> str:
    return Repository(voice.root).git(*argv)


def released(voice: Workspace, *argv: str, **environment: str) -> dict[str, Any]:
    """Run a task that publishes, which has to succeed; return what it says of the release."""
    return dict(voice.document(*argv, "--yes", "--json", **environment)["release"])


def results(release: Mapping[str, Any]) -> dict[str, str]:
    """Return what a release made of each tag."""
    return {tag["name"].rpartition(":")[2]: tag["result"] for tag in release["tags"]}


def test_a_release_and_what_comes_after_it(voice: Workspace, tmp_path: Path) -> None:
    build(voice)
    first = git(voice, "rev-parse", "HEAD")
    git(voice, "tag", "v1.0.0")
    git(voice, "push", "-q", "origin", "v1.0.0")
    # Nobody can be asked, so nothing is published.
    result = voice.invoke("push")
    assert result.returncode == 2
    assert "--yes publishes without asking" in result.stderr
    assert tags(voice) == set()

    page = tmp_path / "summary.md"
    release = released(voice, "push", GITHUB_STEP_SUMMARY=str(page))
    order = [tag["name"].rpartition(":")[2] for tag in release["tags"]]
    assert order == ["builder-1.0.0", "1.0.0", "main-builder", "main", "latest", "latest"]
    assert {tag["result"] for tag in release["tags"]} == {"moved"}
    for tag in ("1.0.0", "main", "latest"):
        assert revision(voice, tag) == first
    index = published(voice, "1.0.0")
    assert index
    assert index["annotations"][f"{ANNOTATION}version"] == "v1.0.0"
    # The summary tells what there is to pull.
    app = next(image for image in release["images"] if image["target"] == "app")
    name = voice.environment["BAILING_TASKS_REPOSITORY"]
    text = page.read_text()
    assert f"docker pull {name}:1.0.0" in text
    for platform, found in app["platforms"].items():
        assert f"| {platform} | " in text
        assert found["digest"] in text
    assert {entry["digest"] for entry in index["manifests"] if is_image(entry)} == {
        found["digest"] for found in app["platforms"].values()
    }
    status = voice.document("release-status", "--json")["release-status"]["release"]
    assert status["finished"]
    assert {tag["status"] for tag in status["tags"]} == {"done"}

    # The same again sends nothing, and moves nothing.
    again = released(voice, "push")
    assert not any(upload["sent"] for upload in again["uploads"])
    assert {tag["result"] for tag in again["tags"]} == {"there"}

    # The next version, then one that is older and comes late.
    second = commit(voice, "code", code__main="two")
    git(voice, "tag", "v1.1.0")
    git(voice, "push", "-q", "origin", "v1.1.0")
    build(voice)
    released(voice, "push-app")
    assert {revision(voice, tag) for tag in ("1.1.0", "main", "latest")} == {second}
    git(voice, "checkout", "-q", "--detach", first)
    git(voice, "tag", "-d", "v1.0.0")
    git(voice, "tag", "v1.0.1")
    git(voice, "push", "-q", "origin", "v1.0.1")
    build(voice)
    late = released(voice, "push-app")
    assert revision(voice, "1.0.1") == first
    assert revision(voice, "latest") == second
    assert results(late)["1.0.1"] == "moved"

    # Back to the first version, whatever is checked out.
    git(voice, "checkout", "-q", "main")
    back = voice.document("rollback", "--to", "1.0.0", "--yes", "--json")["release"]
    assert {revision(voice, tag) for tag in ("main", "latest")} == {first}
    assert published(voice, "latest") == published(voice, "1.0.0")
    assert published(voice, "1.1.0") != published(voice, "1.0.0")
    assert {tag["kind"] for tag in back["tags"]} == {"branch", "latest"}
    result = voice.invoke("rollback", "--to", "7.7.7", "--yes")
    assert result.returncode == 8
    assert "7.7.7 is not published" in result.stderr


def test_each_thing_in_the_way_is_named_before_anything_is_sent(voice: Workspace) -> None:
    def refused(*argv: str) -> process.Completed:
        result = voice.invoke("push", "--yes", *argv)
        assert not result.ok
        assert tags(voice) == tags(voice, "-builder") == set()
        return result

    result = refused()
    assert result.returncode == 7
    assert "builder linux/arm64 (Python 3.11) is not here as this commit makes it" in result.stdout
    assert "build-all --platform all" in result.stderr
    build(voice)
    voice.write("code/main.py", "changed")
    result = refused()
    assert result.returncode == 2
    assert "there are uncommitted changes" in result.stderr
    assert "FAIL  working tree" in result.stdout
    assert "code/main.py" in result.stderr
    git(voice, "checkout", "-q", ".")
    voice.write(".git/info/exclude", ".env\n")
    secret = voice.write("code/.env", "TOKEN=secret")
    result = refused()
    assert result.returncode == 2
    assert "files that Git ignores get into the image" in result.stderr
    assert "1 files: code/.env" in result.stderr
    secret.unlink()
    git(voice, "commit", "-q", "--allow-empty", "-m", "here alone")
    result = refused()
    assert result.returncode == 2
    assert "the remote's branch main does not have the commit" in result.stderr
    git(voice, "tag", "v2.0.0")
    result = refused("--event", "tag:v2.0.0", "--allow-dirty", "--event", "push:other")
    assert "there is no branch other to publish" in result.stderr
    git(voice, "push", "-q", "origin", "HEAD:refs/heads/there")
    result = refused("--event", "tag:v2.0.0")
    assert "the remote has no Git tag v2.0.0" in result.stderr
    result = refused("--event", "pr:12")
    assert "is never published" in result.stderr
    release = released(voice, "push", "--allow-dirty", "--event", "push:main")
    assert results(release)["main"] == "moved"


def test_a_dry_run_prints_commands_and_tags_and_sends_nothing(
    voice: Workspace, tmp_path: Path
) -> None:
    build(voice)
    result = voice.invoke("push", "--dry-run")
    assert result.ok, result.stderr
    app = voice.environment["BAILING_TASKS_REPOSITORY"]
    lines = result.stdout.splitlines()
    for suffix, tag in (("-builder", "main-builder"), ("", "main"), ("", "latest")):
        assert any(
            "imagetools create" in line and f"--tag {app}{suffix}:{tag} " in line for line in lines
        )
        assert any(line.startswith(f"# {app}{suffix}:{tag} (") for line in lines)
    pushed = [line for line in lines if line.startswith("docker push ")]
    assert len(pushed) == 4
    # The containerd store knows the digest of each image before it is pushed.
    for image in ("builder linux/amd64", "app linux/arm64"):
        (line,) = [line for line in lines if line.startswith(f"# {image}")]
        assert "is there: sha256:" in line
    assert tags(voice) == set()
    assert not (voice.root / ".bailing-tasks" / "releases").exists()

    # Invoke's own `--dry` is the same, for every task.
    voice.write(".env.example", "A=1\n")
    bundle = tmp_path / "bundle.tar"
    before = seen(voice)
    chain = "prefetch lock build-builder --force build-app --force verify build-all --overwrite"
    chain += " clean --all --yes configure render ci-write --overwrite"
    chain += " ci-run --force --push --allow-dirty push --yes --allow-dirty"
    chain += f" mirror-push {app} pull-all {app} bundle-save {bundle} sandbox-down --purge"
    install = {"BAILING_TASKS_CI_INSTALL": "pip install ./tools"}
    result = voice.invoke("--dry", *chain.split(), **install)
    assert result.ok, result.stderr
    assert f"# writes {bundle}" in result.stdout
    assert seen(voice) == before
    assert not bundle.exists()


def seen(voice: Workspace) -> tuple[dict[str, int], set[str], set[str]]:
    """Return the files of a workspace, the images of its engine and what it has published."""
    paths = [path for path in voice.root.rglob("*") if ".git" not in path.parts]
    files = {str(path): path.stat().st_mtime_ns for path in paths}
    images = voice.engine.must("image", "ls", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
    name = voice.environment["BAILING_TASKS_APP_IMAGE"]
    return files, {line for line in images.splitlines() if name in line}, tags(voice)


def test_a_person_is_asked_once_with_the_whole_list(voice: Workspace) -> None:
    build(voice)
    for answer, published_tags in (("no\n", set[str]()), ("\nyes\n", {"main", "latest"})):
        ours, theirs = pty.openpty()
        os.write(ours, answer.encode())
        environment = {**voice.engine.environment, **voice.environment}
        with subprocess.Popen(
            [sys.executable, "-m", "invoke", "push-app"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=voice.root,
            text=True,
        ) as child:
            said, _ = child.communicate(timeout=120)
        os.close(ours)
        os.close(theirs)
        table, _, after = said.partition("publish 2 images under 2 tags? [yes/no]")
        assert "main" in table
        assert "latest" in table
        assert {tag for tag in tags(voice) if not tag.startswith("fp-")} == published_tags
        assert child.returncode == (0 if published_tags else 130), after


def test_without_a_release_there_is_no_status(voice: Workspace) -> None:
    found = voice.document("release-status", "--json")["release-status"]
    assert found["release"] is None


def test_the_journal_holds_every_step(voice: Workspace) -> None:
    build(voice)
    released(voice, "push-app")
    (journal,) = (voice.root / ".bailing-tasks" / "releases").glob("*.jsonl")
    steps = [json.loads(line) for line in journal.read_text().splitlines()]
    names = [step["step"] for step in steps]
    sent, moved = ["send", "uploaded"] * 2, ["move", "tag"] * 2
    assert names == ["begin", *sent, "index", *moved, "end"]
    assert all(step["at"] for step in steps)
    assert all(
        step["digest"].startswith("sha256:")
        for step in steps
        if step["step"] in ("uploaded", "tag")
    )
