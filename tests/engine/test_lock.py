"""images.lock, tags that move, mirrors that disagree, and runs that may ask no registry."""

from __future__ import annotations

import fcntl
import json
import threading
from pathlib import Path

import pytest

from bailing_tasks.names import kept_name
from tests.engine import tiny
from tests.engine.proxy import Fault, RegistryProxy
from tests.engine.support import HOST, Workspace, unique

LOCK = "images.lock"


@pytest.fixture
def name(tmp_path: Path) -> str:
    """The name of a tiny image that no other test has."""
    return unique(tmp_path, "base") + ":1"


@pytest.fixture
def locking(plain: Workspace, tmp_path: Path, name: str) -> Workspace:
    """A workspace whose builder is made on that image, for two platforms."""
    push(plain, name, "1")
    image = f"{HOST}/{name}"
    plain.write("docker/dockerfile.dev", f"FROM {image} AS builder\nCOPY main.py /\n")
    plain.write("Dockerfile", "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE}\n")
    plain.write("main.py", "1")
    plain.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(tmp_path, "b")
    plain.environment["BAILING_TASKS_APP_IMAGE"] = unique(tmp_path, "a")
    return plain


def push(workspace: Workspace, name: str, content: str) -> None:
    """Push an image for two platforms under a tag."""
    files = {"file": f"{name} {content}".encode()}
    contents = {"linux/amd64": files, "linux/arm64": {**files, "arm": b""}}
    tiny.push_index(workspace.engine.registry, f"{HOST}/{name}", contents)


def forget(workspace: Workspace, name: str) -> None:
    """Remove an image from the engine, by all its names."""
    for pin in pins(workspace):
        names = workspace.engine.must("image", "inspect", "--format={{json .RepoTags}}", pin)
        for tag in json.loads(names):
            workspace.engine.must("rmi", tag)
        workspace.engine.docker("rmi", pin)
    assert name not in workspace.engine.must("image", "ls")


def pins(workspace: Workspace) -> list[str]:
    """Return what a workspace's images are pinned to, by the names that the engine knows."""
    found = json.loads((workspace.root / ".bailing-tasks/pins.json").read_text())
    return [f"{pin['served_from']}@{pin['digest']}" for pin in found]


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
    push(locking, name, "2")
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
    push(locking, name, "2")
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
    push(locking, name, "2")
    result = locking.invoke("prefetch", "build-builder", "build-app", "--offline")
    assert result.ok, result.stderr
    assert "tag stands for" not in result.stdout
    forget(locking, name)
    result = locking.invoke("prefetch", "--offline", "--strict")
    assert result.returncode == 5
    assert "--offline forbids" in result.stderr
    assert "docker pull" not in locking.invoke("prefetch", "--offline", "--dry-run").stdout


def test_a_dry_run_names_nothing(locking: Workspace, name: str) -> None:
    locking.document("prefetch", "--json")
    (pinned,) = pins(locking)
    forget(locking, name)
    locking.engine.must("pull", pinned)
    assert "all present" in locking.invoke("prefetch", "--dry-run").stdout
    tags = locking.engine.must("image", "inspect", "--format={{json .RepoTags}}", pinned)
    assert json.loads(tags) == []


def test_what_a_chain_has_locked_binds_the_rest_of_it(locking: Workspace) -> None:
    result = locking.invoke("lock", "prefetch", "--frozen", "build-builder")
    assert result.ok, result.stderr


def test_the_lock_is_the_same_on_every_machine(locking: Workspace, name: str) -> None:
    locking.write("Dockerfile", f"FROM --platform=$BUILDPLATFORM {HOST}/{name}\n")
    locking.write("docker/dockerfile.dev", "FROM scratch AS builder\nCOPY main.py /\n")
    found = locking.document("lock", "--json")["lock"]
    assert [each["platform"] for each in found["images"]] == ["linux/amd64", "linux/arm64"]


def test_a_tag_that_cannot_be_followed_is_a_failure(locking: Workspace, name: str) -> None:
    with RegistryProxy(locking.engine.registry) as registry:
        mirrors = json.dumps({HOST: [f"http://{registry.address}/{HOST}"]})
        locking.environment["BAILING_TASKS_MIRRORS"] = mirrors
        locking.document("prefetch", "--json")
        push(locking, name, "2")
        registry.fault(Fault.CORRUPT, on="manifests")  # a HEAD is answered well
        result = locking.invoke("prefetch", "--refresh", "--strict", "--timeout", "3")
    assert result.returncode == 5
    assert "has moved from" not in result.stdout


def test_a_silent_registry_holds_up_no_other(locking: Workspace, tmp_path: Path, name: str) -> None:
    with RegistryProxy(locking.engine.registry) as registry:
        registry.silent()
        silent = f"{registry.address}/x/silent:1"
        locking.write("Dockerfile", f"FROM {silent}\n")
        result = locking.invoke("prefetch", "--timeout", "15", "--json")
    status = {
        image["reference"]: image["status"]
        for image in json.loads(result.stdout)["results"][0]["images"]
    }
    assert status == {silent: "failed", f"{HOST}/{name}": "pulled"}


def test_the_time_of_a_prefetch_begins_when_it_begins(locking: Workspace) -> None:
    state = locking.root / ".bailing-tasks"
    state.mkdir()
    with (state / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(12, lambda: fcntl.flock(held, fcntl.LOCK_UN)).start()
        result = locking.invoke("prefetch", "--timeout", "10", "--strict")
    assert result.ok, result.stderr
    assert "waiting for it" in result.stdout


def test_two_workspaces_keep_their_own_digests_of_one_tag(
    locking: Workspace, tmp_path: Path, name: str
) -> None:
    locking.document("prefetch", "--json")
    push(locking, name, "2")
    pins = locking.root / ".bailing-tasks/pins.json"
    before = pins.read_text()
    pins.unlink()
    locking.document("prefetch", "--json")
    pins.write_text(before)
    engine = locking.engine
    first = json.loads(before)[0]
    engine.docker("rmi", f"{first['served_from']}@{first['digest']}")
    assert locking.document("prefetch", "--offline", "--json")["prefetch"]["present"] == 1


def test_a_base_is_believed_for_its_content_and_not_for_its_tag(
    workspace: Workspace, tmp_path: Path
) -> None:
    base, other = (f"{unique(tmp_path, name)}:1" for name in ("base", "other"))
    push(workspace, base, "as locked")
    push(workspace, other, "planted")
    engine, app = workspace.engine, unique(tmp_path, "app")
    workspace.environment["BAILING_TASKS_APP_IMAGE"] = app
    workspace.write("Dockerfile", f"FROM {HOST}/{base}\nCOPY main.py /\n")
    workspace.write("main.py", "1")
    locked = workspace.document("lock", "--json", "prefetch")["lock"]["images"]
    binding = next(each for each in locked if each["platform"] == "linux/amd64")
    tag = kept_name(binding["reference"], binding["platform"], binding["digest"])
    identity = engine.must("image", "inspect", "--format={{.Id}}", tag)
    assert identity == binding["config_digest" if engine.store == "classic" else "digest"]
    # Where nothing but the lock file says what it is, its tag will do.
    engine.must("rmi", *pins(workspace))
    (workspace.root / ".bailing-tasks/pins.json").unlink()
    found = workspace.document("prefetch", "--offline", "--json")["prefetch"]
    assert found["present"] == 1
    engine.must("rmi", f"{HOST}/{base}", tag)
    planted = f"{engine.registry}/{HOST}/{other}"
    engine.must("pull", "-q", planted)
    engine.must("tag", planted, tag)
    refused = workspace.invoke("build-app", "--offline")
    assert refused.returncode == 5
    assert f"{tag} does not name the image that" in refused.stderr
    result = workspace.invoke("prefetch", "build-app")
    assert result.ok, result.stderr
    assert f"{tag} does not name the image that" in result.stderr + result.stdout
    assert "1 pulled, 0 present" in result.stdout
    assert engine.must("image", "inspect", "--format={{.Id}}", tag) == identity
    container = engine.must("create", f"{app}:latest", "-")
    engine.must("cp", f"{container}:/file", str(tmp_path / "file"))
    engine.must("rm", container)
    assert (tmp_path / "file").read_text() == f"{base} as locked"


@pytest.mark.parametrize("trusted", [False, True])
def test_a_mirror_that_has_something_else_is_passed_over_unless_it_is_trusted(
    locking: Workspace, tmp_path: Path, name: str, trusted: bool
) -> None:
    push(locking, f"mirror/{HOST}/{name}", "2")
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
    names = [f"{HOST}/{unique(tmp_path, f'base{number}')}:1" for number in range(4)]
    for name in names:
        tiny.push(plain.engine.registry, name, 100)
    stages = [f"FROM {name} AS s{number}" for number, name in enumerate(names)]
    copies = [f"COPY --from=s{number} /0 /{number}" for number in range(4)]
    plain.write("Dockerfile", "\n".join([*stages, "FROM scratch", *copies]) + "\n")
    result = plain.invoke("prefetch", "--jobs", "3", BAILING_TASKS_PREFETCH_JOBS_PER_HOST="2")
    assert result.ok, result.stderr
    assert [line[:5] for line in result.stdout.splitlines() if line.startswith("[")] == [
        f"[{number}/4]" for number in range(1, 5)
    ]
    assert "prefetch: 4 pulled, 0 present, 0 failed" in result.stdout
