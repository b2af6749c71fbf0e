"""Bake files are read by buildx itself, the sandbox's where Docker has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bailing_tasks import sandbox
from bailing_tasks.engine import bake
from bailing_tasks.engine.connect import ask_buildx
from bailing_tasks.errors import EngineError
from bailing_tasks.workflows.contexts import BakeCall
from bailing_tasks.workflows.expressions import UNKNOWN
from tests.engine.support import Engine

FILE = """\
variable "TAG" { default = "none" }
target "docker-metadata-action" { tags = ["local"] }
target "app" {
  inherits = ["docker-metadata-action"]
  platforms = ["linux/amd64", "linux/arm64"]
  args = { TAG = TAG }
}
"""


def call(*files: str, sets: tuple[str, ...] = ()) -> BakeCall:
    variables = {"TAG": "v1", "DARK": UNKNOWN}
    return BakeCall(files, ("app",), sets, "images", variables, "w.yml:7")


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    """Another test may have found buildx already."""
    ask_buildx.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a bake file in a folder."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "docker-bake.hcl").write_text(FILE)
    return tmp_path


@pytest.mark.parametrize("own", [True, False])
def test_a_bake_file_is_resolved(
    containerd: Engine, root: Path, own: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if own:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        for name, value in containerd.environment.items():
            monkeypatch.setenv(name, value)
    tags = json.dumps({"target": {"docker-metadata-action": {"tags": ["x:1"]}}})
    (found,) = bake.targets(root, call("docker-bake.hcl", tags, sets=("app.target=b",))).values()
    assert found["tags"] == ["x:1"]
    assert found["args"] == {"TAG": "v1"}
    assert found["target"] == "b"
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]


def test_without_buildx_or_with_a_bad_file_the_step_is_named(
    containerd: Engine, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"w\.yml:7: buildx refuses the bake file"):
        bake.targets(root, call("other.hcl"))
    monkeypatch.setattr(sandbox, "buildx", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"w\.yml:7 uses a bake file, which only buildx reads"):
        bake.targets(root, call("docker-bake.hcl"))
