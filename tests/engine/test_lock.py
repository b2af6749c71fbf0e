"""images.lock, tags that move, mirrors that disagree, and runs that may ask no registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.support import HOST, Workspace, unique

LOCK = "images.lock"


@pytest.fixture
def name(tmp_path: Path) -> str:
    """The name of a tiny image that no other test has."""
    return unique(tmp_path, "base") + ":1"


@pytest.fixture
def locking(plain: Workspace, tmp_path: Path, name: str) -> Workspace:
    """A workspace whose builder is made on that image, for two platforms."""
    image = plain.engine.push_tiny(tmp_path / "base", name, "linux/amd64", "linux/arm64")
    plain.write("docker/dockerfile.dev", f"FROM {image} AS builder\nCOPY main.py /\n")
    plain.write("Dockerfile", "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE}\n")
    plain.write("main.py", "1")
    plain.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(tmp_path, "b")
    plain.environment["BAILING_TASKS_APP_IMAGE"] = unique(tmp_path, "a")
    return plain


def move(workspace: Workspace, folder: Path, name: str, *platforms: str) -> None:
    """Push another image under a tag."""
    platforms = platforms or ("linux/amd64", "linux/arm64")
    workspace.engine.push_tiny(folder / "moved", name, *platforms, content="moved")


def test_lock_binds_every_platform_until_it_is_updated(
    locking: Workspace, tmp_path: Path, name: str
) -> None:
    locking.document("prefetch", "--json")
    pinned = json.loads((locking.root / ".bailing-tasks/pins.json").read_text())[0]["digest"]
    first = locking.document("lock", "--json")["lock"]
    assert [(each["reference"], each["platform"]) for each in first["added"]] == [
        (f"{HOST}/{name}", "linux/amd64"),
        (f"{HOST}/{name}", "linux/arm64"),
    ]
    assert first["images"][0]["digest"] == pinned
    text = (locking.root / LOCK).read_text()
    assert locking.document("lock", "--json")["lock"]["added"] == []
    move(locking, tmp_path, name)
    assert "nothing has changed" in locking.invoke("lock").stdout
    assert (locking.root / LOCK).read_text() == text
    # A machine without state is bound by it all the same.
    (locking.root / ".bailing-tasks/pins.json").unlink()
    image = locking.document("prefetch", "--refresh", "--json")["prefetch"]["images"][0]
    assert image["digest"] == pinned
    assert image["moved_to"]
    assert "lock --update" in image["remedy"]
    wrong = locking.invoke("lock", "--update", "other")
    assert wrong.returncode == 2
    dry = locking.document("lock", "--update", "--json", "--dry-run")["lock"]
    assert len(dry["moved"]) == 2
    assert (locking.root / LOCK).read_text() == text
    moved = locking.invoke("lock", "--update", f"{HOST}/{name}")
    assert f"moved    {HOST}/{name} (linux/amd64): {pinned[:19]} -> sha256:" in moved.stdout
    image = locking.document("prefetch", "--json")["prefetch"]["images"][0]
    assert image["status"] == "pulled"
    assert image["digest"] != pinned


def test_a_lock_that_cannot_be_completed_stays_as_it_was(locking: Workspace) -> None:
    locking.document("lock", "--json")
    text = (locking.root / LOCK).read_text()
    locking.write("Dockerfile", f"FROM {HOST}/not/there:1\n")
    result = locking.invoke("lock")
    assert result.returncode == 5
    assert "images.lock stays as it is" in result.stderr
    assert (locking.root / LOCK).read_text() == text


def test_frozen_takes_only_what_is_locked(locking: Workspace) -> None:
    result = locking.invoke("prefetch", "--frozen")
    assert result.returncode == 2
    assert "there is no images.lock" in result.stderr
    locking.invoke("lock")
    assert locking.invoke("prefetch", "build-builder", "--frozen").ok
    locking.write("Dockerfile", f"FROM {HOST}/other:1\n")
    for task in ("prefetch", "build-app"):
        result = locking.invoke(task, "--frozen")
        assert result.returncode == 2
        assert f"{HOST}/other:1 (linux/amd64), named at Dockerfile:1" in result.stderr


def test_a_tag_that_moved_is_reported_and_followed_only_when_asked(
    locking: Workspace, tmp_path: Path, name: str
) -> None:
    first = locking.document("prefetch", "--json")["prefetch"]["images"][0]
    move(locking, tmp_path, name)
    told = locking.invoke("prefetch")
    assert "its tag stands for sha256:" in told.stdout
    assert "`invoke prefetch --refresh` follows it" in told.stdout
    same = locking.document("prefetch", "--json")["prefetch"]["images"][0]
    assert (same["status"], same["digest"]) == ("present", first["digest"])
    followed = locking.document("prefetch", "--refresh", "--json")["prefetch"]["images"][0]
    assert followed["status"] == "pulled"
    assert followed["moved_from"]
    assert followed["digest"] != first["digest"]
    assert "tag stands for" not in locking.invoke("prefetch").stdout


def test_offline_asks_no_registry(locking: Workspace, tmp_path: Path, name: str) -> None:
    result = locking.invoke("prefetch", "--offline", "--strict")
    assert result.returncode == 5
    assert "--offline forbids" in result.stderr
    result = locking.invoke("build-builder", "--offline")
    assert result.returncode == 5
    assert f"{HOST}/{name} is not prefetched" in result.stderr
    locking.document("prefetch", "--json")
    move(locking, tmp_path, name)
    result = locking.invoke("prefetch", "build-builder", "build-app", "--offline")
    assert result.ok, result.stderr
    assert "tag stands for" not in result.stdout


def test_two_workspaces_keep_their_own_digests_of_one_tag(
    locking: Workspace, tmp_path: Path, name: str
) -> None:
    locking.document("prefetch", "--json")
    move(locking, tmp_path, name)
    pins = locking.root / ".bailing-tasks/pins.json"
    before = pins.read_text()
    pins.unlink()
    locking.document("prefetch", "--json")
    pins.write_text(before)
    engine = locking.engine
    first = json.loads(before)[0]
    engine.docker("rmi", f"{first['served_from']}@{first['digest']}")
    assert locking.document("prefetch", "--offline", "--json")["prefetch"]["present"] == 1


@pytest.mark.parametrize("trusted", [False, True])
def test_a_mirror_that_has_something_else_is_passed_over_unless_it_is_trusted(
    locking: Workspace, tmp_path: Path, name: str, trusted: bool
) -> None:
    move(locking, tmp_path, f"mirror/{HOST}/{name}", "linux/amd64")
    registry = locking.engine.registry
    source = f"{registry}/{HOST}"
    locking.write("docker/dockerfile.dev", f"FROM {source}/{name} AS builder\n")
    locking.environment["BAILING_TASKS_MIRRORS"] = json.dumps(
        {registry: [f"http://{registry}/{HOST}/mirror"]}
    )
    locking.environment["BAILING_TASKS_PREFETCH_TRUST_MIRRORS"] = str(trusted).lower()
    result = locking.invoke("prefetch", "--json")
    image = json.loads(result.stdout)["results"][0]["images"][0]
    assert image["status"] == "pulled"
    assert ("/mirror/" in image["served_from"]) is trusted
    assert ("has another" in result.stderr) is not trusted


def test_many_images_come_at_once_each_once(plain: Workspace, tmp_path: Path) -> None:
    names = [
        plain.engine.push_tiny(tmp_path / "base", unique(tmp_path, f"base{number}") + ":1")
        for number in range(4)
    ]
    stages = [f"FROM {name} AS s{number}" for number, name in enumerate(names)]
    copies = [f"COPY --from=s{number} /file /{number}" for number in range(4)]
    plain.write("Dockerfile", "\n".join([*stages, "FROM scratch", *copies]) + "\n")
    result = plain.invoke("prefetch", "--jobs", "3", BAILING_TASKS_PREFETCH_JOBS_PER_HOST="2")
    assert result.ok, result.stderr
    assert [line[:5] for line in result.stdout.splitlines() if line.startswith("[")] == [
        f"[{number}/4]" for number in range(1, 5)
    ]
    assert "prefetch: 4 pulled, 0 present, 0 failed" in result.stdout
