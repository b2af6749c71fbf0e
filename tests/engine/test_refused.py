"""Services on a real engine: one cannot be read, one needs it, and one lacks a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.engine import tiny
from tests.engine.support import HOST, Workspace, unique

SETTINGS = """\
[tool.bailing-tasks]
platforms = ["linux/amd64"]
services = ["src/*/Dockerfile"]
service-image = "{name}-{{service}}"
"""
FILES = {
    "src/good/Dockerfile": "FROM {base}\nCOPY file /file\n",
    "src/good/file": "one",
    "src/bad/Dockerfile": "FROM {other}\n",
    "src/above/Dockerfile": "FROM {name}-bad\n",
    "src/lacks/Dockerfile": "FROM scratch\nCOPY nope /nope\n",
}
LACKS = "src/lacks/Dockerfile:2: COPY nope: not in the build context src/lacks"


def run(workspace: Workspace, code: int, *argv: str) -> tuple[dict[str, Any], str]:
    """Run a task with an exit code; return what it says as data, and to people."""
    result = workspace.invoke(*argv, "--json")
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    found: dict[str, Any] = (json.loads(result.stdout)["results"] or [{}])[-1]
    return found, result.stderr


def test_one_that_is_refused_ends_nothing_but_itself(plain: Workspace, tmp_path: Path) -> None:
    name = unique(tmp_path, "refused")
    images = {each: f"{HOST}/{name}-{each}:1" for each in ("base", "other")}
    for each in images.values():
        tiny.push(plain.engine.registry, f"{HOST}/{each.partition('/')[2]}", 9)
    plain.write("pyproject.toml", SETTINGS.format(name=name))
    for path, text in FILES.items():
        plain.write(path, text.format(name=name, **images))
    run(plain, 0, "lock")
    plain.write("src/bad/Dockerfile", f"FROM {images['other']}\nRUM oops\n")
    it_is_listed(plain, images)
    the_lock_loses_nothing(plain, images)
    what_can_be_pulled_is(plain, images)
    without_keep_going_nothing_is_built(plain)
    the_others_are_built(plain)
    what_is_made_before_the_build_is_not_missed(plain)


def it_is_listed(workspace: Workspace, images: dict[str, str]) -> None:
    found, said = run(workspace, 3, "images")
    assert [each["reference"] for each in found["images"]] == [images["base"]]
    assert "error: src/bad/Dockerfile:2: " in said
    found, _ = run(workspace, 3, "status")
    reasons = {each["target"]: each["reason"] for each in found["images"]}
    assert reasons["bad"].startswith("src/bad/Dockerfile:2: ")
    assert reasons["above"] == "it needs bad"
    assert set(reasons) == {"above", "bad", "good", "lacks"}
    found, said = run(workspace, 3, "plan")
    steps = {(each["step"], each["target"]): each["action"] for each in found["steps"]}
    assert steps == {
        ("prefetch", "good"): "do",
        ("prefetch", "lacks"): "skip",
        ("prefetch", "above"): "skip",
        ("build", "good"): "do",
        ("build", "lacks"): "do",
        ("build", "bad"): "refuse",
        ("build", "above"): "leave out",
    }
    assert f"warning: {LACKS}\n" in said
    assert [(each["target"], each["needs"]) for each in found["refused"]] == [
        ("bad", []),
        ("above", ["bad"]),
    ]


def the_lock_loses_nothing(workspace: Workspace, images: dict[str, str]) -> None:
    """What the one that cannot be read needs stays locked."""
    before = (workspace.root / "images.lock").read_text()
    assert images["other"] in before
    _, said = run(workspace, 3, "lock", "--update", images["base"])
    assert "nothing has changed" in said
    assert (workspace.root / "images.lock").read_text() == before


def what_can_be_pulled_is(workspace: Workspace, images: dict[str, str]) -> None:
    found, said = run(workspace, 3, "prefetch")
    assert [each["status"] for each in found["images"]] == ["pulled"]
    assert f"warning: {LACKS}\n" in said
    assert said.index("warning: src/bad/Dockerfile:2: ") < said.index("==> prefetch: 1 images")
    assert said.rstrip().rpartition("error: ")[2].startswith("src/bad/Dockerfile:2: ")
    place = f"{workspace.engine.registry}/mirror"
    found, _ = run(workspace, 3, "mirror-push", place, "--dry-run")
    assert len(found["commands"]) == 1
    run(workspace, 3, "pull-all", place, "--dry-run")


def without_keep_going_nothing_is_built(workspace: Workspace) -> None:
    for argv in (["build-all"], ["build-service", "good", "bad", "lacks"]):
        result = workspace.invoke(*argv)
        assert result.returncode == 3
        assert "error: src/bad/Dockerfile:2: " in result.stderr
        assert LACKS in result.stderr
        assert result.stdout == ""
    run(workspace, 3, "build-service", "above")
    run(workspace, 3, "bundle-save", "file.tar")
    assert not (workspace.root / "file.tar").exists()


def the_others_are_built(workspace: Workspace) -> None:
    found, said = run(workspace, 3, "build-all", "--keep-going")
    results = {each["target"]: each["result"] for each in found["images"]}
    assert results == {"good": "built", "bad": "refused", "above": "left out", "lacks": "refused"}
    assert "4 images: 1 built, 2 refused, 1 left out" in said
    assert f"lacks linux/amd64: refused, 0.0 s: {LACKS}\n" in said
    run(workspace, 0, "build-service", "good")


def what_is_made_before_the_build_is_not_missed(workspace: Workspace) -> None:
    pyproject = workspace.root / "pyproject.toml"
    command = 'before-build = [["cp", "src/good/file", "src/lacks/nope"]]\n'
    pyproject.write_text(pyproject.read_text() + command)
    workspace.write("src/bad/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    _, said = run(workspace, 0, "plan")
    assert f"warning: {LACKS}, unless `before-build` makes it\n" in said
    run(workspace, 0, "build-all", "--dry-run")
    found, _ = run(workspace, 0, "build-all")
    assert {each["result"] for each in found["images"]} == {"built", "skipped"}
    pyproject.write_text(pyproject.read_text().replace("src/lacks/nope", "src/lacks/other"))
    (workspace.root / "src/lacks/nope").unlink()
    _, said = run(workspace, 3, "build-all")
    assert f"error: {LACKS}\n" in said
