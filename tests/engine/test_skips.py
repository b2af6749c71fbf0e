"""A build is skipped only if nothing it is made from has changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bailing_tasks.names import BUILDER_LABEL
from tests.engine.support import Workspace, unique


@pytest.fixture
def app(plain: Workspace, tmp_path: Path) -> Workspace:
    """A workspace whose app is all there is."""
    plain.environment["BAILING_TASKS_APP_IMAGE"] = unique(tmp_path, "a")
    plain.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(tmp_path, "b")
    return plain


def build(workspace: Workspace, *argv: str) -> str:
    """Build the app; return what was done."""
    (image,) = workspace.document("build-app", *argv, "--json")["build-app"]["images"]
    return str(image["result"])


def files(workspace: Workspace, folder: Path) -> dict[str, str]:
    """Return the files of the app image, and folders with a slash."""
    name = workspace.environment["BAILING_TASKS_APP_IMAGE"]
    container = workspace.engine.must("create", name, "none")
    target = folder / f"files-{container[:8]}"
    workspace.engine.must("cp", f"{container}:/x", str(target))
    workspace.engine.must("rm", container)
    return {
        path.relative_to(target).as_posix() + ("/" if path.is_dir() else ""): path.read_text()
        if path.is_file()
        else ""
        for path in target.rglob("*")
    }


def link_target(root: Path) -> None:
    (root / "real" / "f").write_text("two")


def link_itself(root: Path) -> None:
    (root / "ln").unlink()
    (root / "ln").symlink_to("other")


def empty_folder(root: Path) -> None:
    (root / "d" / "new").mkdir()


def folder_mode(root: Path) -> None:
    (root / "d").chmod(0o700)


def file_mode(root: Path) -> None:
    (root / "d" / "f").chmod(0o755)


def same_size(root: Path) -> None:
    file = root / "d" / "f"
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def instruction(root: Path) -> None:
    with (root / "Dockerfile").open("a") as file:
        file.write("LABEL a=b\n")


CHANGES = [link_target, link_itself, empty_folder, folder_mode, file_mode, same_size, instruction]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_that_the_image_would_show_is_built(
    app: Workspace, change: Callable[[Path], None]
) -> None:
    for path in ("real/f", "other/f", "d/f"):
        app.write(path, "one")
    (app.root / "ln").symlink_to("real")
    app.write("Dockerfile", "FROM scratch\nCOPY ln /x/ln\nCOPY d /x/d\n")
    assert build(app) == "built"
    assert build(app) == "skipped"
    change(app.root)
    assert build(app) == "built"
    assert build(app) == "skipped"


def test_what_no_stage_reads_changes_nothing(app: Workspace) -> None:
    app.write("Dockerfile", "FROM scratch AS other\nCOPY b /b\nFROM scratch\n# note\nCOPY a /x/a\n")
    app.write(".dockerignore", "*.log\n")
    app.write("a/f", "one")
    assert build(app) == "built"
    app.write("b", "two")
    app.write("a/x.log", "two")
    app.write("Dockerfile", "FROM scratch AS other\nCOPY b /c\nFROM scratch\nCOPY a /x/a\n")
    app.write(".dockerignore", "*.log\n**/*.log\n")
    assert build(app) == "skipped"


def test_the_state_is_no_part_of_a_context_that_is_copied_whole(
    app: Workspace, tmp_path: Path
) -> None:
    app.write("Dockerfile", "FROM scratch\nCOPY . /x\n")
    assert build(app) == "built"
    assert build(app) == "skipped"
    assert set(files(app, tmp_path)) == {"Dockerfile", "tasks.py"}


def test_an_image_that_is_not_pinned_may_have_moved(app: Workspace, tmp_path: Path) -> None:
    name = unique(tmp_path, "moving") + ":1"
    reference = f"{app.engine.registry}/{app.engine.push_tiny(tmp_path / 'one', name)}"
    app.write("Dockerfile", f"FROM {reference}\nCOPY a /x/a\n")
    app.write("a", "one")
    assert build(app) == "built"
    assert build(app) == "built"
    app.document("prefetch", "--json")
    assert build(app) == "built"
    assert build(app) == "skipped"


def test_a_url_without_a_checksum_may_have_changed(app: Workspace, tmp_path: Path) -> None:
    class Answer(BaseHTTPRequestHandler):
        body = b"one"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(Answer.body)))
            self.end_headers()
            self.wfile.write(Answer.body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        app.write("Dockerfile", f"FROM scratch\nADD http://127.0.0.1:{server.server_port}/f /x/f\n")
        assert build(app) == "built"
        Answer.body = b"two"
        assert build(app) == "built"
        assert files(app, tmp_path) == {"f": "two"}
        server.shutdown()


def test_an_app_is_built_on_a_builder_that_was_built_anew(app: Workspace) -> None:
    app.write("docker/dockerfile.dev", "FROM scratch AS builder\nCOPY a /a\n")
    app.write("Dockerfile", "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE}\nCOPY a /x/a\n")
    app.write("a", "one")
    first = app.document("build-builder", "--json", "build-app", "--json")
    its_builder = app.engine.labels(first["build-app"]["images"][0]["kept"])[BUILDER_LABEL]
    assert build(app) == "skipped"
    again = app.document("build-builder", "--no-cache", "--json", "build-app", "--json")
    assert again["build-builder"]["images"][0]["reason"] == "forced"
    assert again["build-builder"]["images"][0]["cached"] == 0
    app_image = again["build-app"]["images"][0]
    label = app.engine.labels(app_image["kept"])[BUILDER_LABEL]
    assert label.startswith(again["build-builder"]["images"][0]["kept"] + "@")
    assert label != its_builder
    assert build(app) == "skipped"


def test_a_file_that_changes_during_a_build_is_no_reason_to_skip_the_next(
    app: Workspace,
) -> None:
    app.write("Dockerfile", "FROM scratch\n" + "".join(f"COPY a /x/{n}\n" for n in range(60)))
    app.write("a", "one")
    environment = {**app.engine.environment, **app.environment}
    child = subprocess.Popen(
        [sys.executable, "-m", "invoke", "build-app"],
        cwd=app.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "building" in line:
            break
    app.write("a", "two")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 6, errors
    assert "1 files changed while it was built: a" in errors
    app.write("a", "one")
    assert build(app) == "built"


def test_a_frontend_is_prefetched_and_pinned(app: Workspace, tmp_path: Path) -> None:
    frontend = app.engine.push_tiny(tmp_path / "frontend", unique(tmp_path, "frontend") + ":1")
    app.write("Dockerfile", f"# syntax={frontend}\nFROM scratch\nCOPY tasks.py /x/\n")
    app.write("docker/dockerfile.dev", "FROM scratch AS builder\nCOPY tasks.py /x/\n")
    (listed,) = app.document("images", "--json")["images"]["images"]
    assert (listed["reference"], listed["named_at"]) == (frontend, ["Dockerfile:1"])
    found = app.document("prefetch", "--json")["prefetch"]
    assert found["pulled"] == 1
    commands = app.invoke("build-app", "--dry-run").stdout
    (kept,) = re.findall(
        r"--build-arg BUILDKIT_SYNTAX=(localhost/bailing-tasks/kept:\S+)", commands
    )
    pinned = f"{found['images'][0]['served_from']}@{found['images'][0]['digest']}"
    ids = app.engine.must("image", "inspect", "--format={{.Id}}", kept, pinned).split()
    assert ids[0] == ids[1]
