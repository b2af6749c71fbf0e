"""ONBUILD of a base copies files of what is built on it."""

from __future__ import annotations

from pathlib import Path

from tests.engine import tiny
from tests.engine.eight import files
from tests.engine.support import HOST, Workspace, unique

SETTINGS = """\
[tool.bailing-tasks]
platforms = ["linux/amd64"]
services = ["src/*/Dockerfile"]
service-image = "{name}-{{service}}"
"""


def test_what_a_base_copies_of_its_children_builds_them_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    name = unique(tmp_path, "ob")
    outside = f"{HOST}/{name}-outside:1"
    contents = {"linux/amd64": {"file": b"outside"}}
    tiny.push_index(workspace.engine.registry, outside, contents, onbuild=["COPY conf /conf"])
    for path, text in {
        "pyproject.toml": SETTINGS.format(name=name),
        "src/base/Dockerfile": "FROM scratch\nCOPY own /\nONBUILD COPY conf /conf\n",
        "src/base/own": "own",
        "src/web/Dockerfile": f"FROM {name}-base\nLABEL of=web\n",
        "src/outside/Dockerfile": f"FROM {outside}\n",
        **dict.fromkeys(("src/web/conf", "src/outside/conf"), "one"),
    }.items():
        workspace.write(path, text)

    def build() -> dict[str, str]:
        found = workspace.document("build-all", "--json")
        return {image["target"]: image["result"] for image in found["build-all"]["images"]}

    def copied(service: str) -> str:
        return files(workspace, f"{name}-{service}")["conf"]

    assert set(build().values()) == {"built"}
    assert copied("web") == copied("outside") == "one"
    assert set(build().values()) == {"skipped"}
    for service in ("web", "outside"):
        workspace.write(f"src/{service}/conf", "two")
    assert build() == {"base": "skipped", "web": "built", "outside": "built"}
    assert copied("web") == copied("outside") == "two"
