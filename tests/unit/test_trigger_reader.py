"""What builds each target in CI, where the settings leave that to its Dockerfile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.configuration import resolve
from bailing_tasks.errors import DockerfileError
from bailing_tasks.target_triggers import TargetTriggers
from bailing_tasks.trigger_reader import TriggerReader

WORKFLOW = ".github/workflows/docker-build-{}.yml"
OWN = ("images.lock", "pyproject.toml")


def put(root: Path, **files: str) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def of(root: Path, name: str, folder: str = "", **document: Any) -> TargetTriggers:
    found = resolve(
        root,
        document={key.replace("_", "-"): value for key, value in document.items()},
        environment={},
        overrides={},
    )
    target = next(target for target in found.targets if target.name == name)
    return TriggerReader(found, folder).of(target)


def service(root: Path, text: str, **table: Any) -> TargetTriggers:
    put(root, Dockerfile=text)
    return of(root, "x", service={"x": {"dockerfile": "Dockerfile", **table}})


def test_bailings_layout_has_what_its_own_workflows_have_and_the_locks_for_the_app(
    tmp_path: Path,
) -> None:
    put(
        tmp_path,
        **{
            "docker/dockerfile.dev": "FROM a AS builder\nCOPY pyproject.toml uv.lock ./\n",
            "Dockerfile": "ARG BUILDER_IMAGE\nFROM $BUILDER_IMAGE AS builder\nFROM b\n"
            "COPY --from=builder /opt /opt\nCOPY bailing/ bailing/\nCOPY config/ config/\n"
            "COPY plugins/ plugins/\nCOPY server/ server/\nCOPY main.py ./\n",
            **dict.fromkeys(("pyproject.toml", "uv.lock", "main.py"), ""),
            **dict.fromkeys(("bailing/a", "config/a", "plugins/a", "server/a"), ""),
        },
    )
    builder = (
        "docker/dockerfile.dev",
        "docker/dockerfile.dev.dockerignore",
        ".dockerignore",
        *("pyproject.toml", "uv.lock", "images.lock", WORKFLOW.format("builder")),
    )
    assert of(tmp_path, "builder").paths == builder
    app = (
        *("Dockerfile", "Dockerfile.dockerignore", ".dockerignore"),
        *("bailing/**", "config/**", "plugins/**", "server/**", "main.py"),
        *(*OWN, WORKFLOW.format("app")),
    )
    assert of(tmp_path, "app").paths == tuple(dict.fromkeys((*app, *builder)))
    # What the settings say of one leaves the other as it is.
    written = of(tmp_path, "app", app={"triggers": ["src/**", "!src/*.md"]}).paths
    assert written == ("src/**", "!src/*.md", *builder)
    written = of(tmp_path, "app", builder={"triggers": ["x", "!y"]}).paths
    assert written == (*app, "x")


def test_a_service_in_its_folder_is_built_for_that_folder(tmp_path: Path) -> None:
    put(tmp_path, **{"src/backend/Dockerfile": "FROM a\nCOPY . /x\n"})
    put(tmp_path, **{"src/web/Dockerfile": "FROM w-backend\nCOPY [w]eb /x\n"})
    document: dict[str, Any] = {"services": ["src/*/Dockerfile"], "service_image": "w-{service}"}
    backend = ("src/backend/**", *OWN, WORKFLOW.format("backend"))
    assert of(tmp_path, "backend", **document).paths == backend
    assert of(tmp_path, "web", **document).paths == (
        *("src/web/Dockerfile", "src/web/Dockerfile.dockerignore", "src/web/.dockerignore"),
        *("src/web/web", "src/web/web/**", *OWN, WORKFLOW.format("web"), *backend[:1], backend[-1]),
    )
    # A workspace may be a folder of the repository; its workflows are at the root.
    inner = of(tmp_path, "backend", "voice/a", **document)
    assert inner.paths == (
        *("voice/a/src/backend/**", "voice/a/images.lock", "voice/a/pyproject.toml"),
        WORKFLOW.format("backend"),
    )
    assert inner.decide(["voice/a/src/backend/x"], 1).runs
    assert not inner.decide(["src/backend/x"], 1).runs


@pytest.mark.parametrize("context", ["..", "../other"])
def test_a_context_outside_of_the_repository_has_no_files_of_it(
    tmp_path: Path, context: str
) -> None:
    root = tmp_path / "one"
    (tmp_path / "other").mkdir()
    root.mkdir()
    found = service(root, "FROM a\nCOPY . /x\n", context=context)
    assert not found.decide(["src/x"], 1).runs
    assert found.decide(["Dockerfile"], 1).runs
    assert not any(".." in path for path in found.paths)
    put(root, Dockerfile="FROM a\nCOPY . /x\n")
    document = {"service": {"x": {"dockerfile": "Dockerfile", "context": ".."}}}
    inner = of(root, "x", "one", **document)
    assert inner.paths == ("**",)
    assert inner.decide(["other/x"], 1).runs


def test_another_image_under_a_name_is_built_for_the_settings(tmp_path: Path) -> None:
    found = of(tmp_path, "redis", service={"redis": {"from-image": "redis:7"}})
    assert found.paths == (*OWN, WORKFLOW.format("redis"))


def test_what_git_keeps_changes_with_each_commit(tmp_path: Path) -> None:
    found = service(tmp_path, "FROM a\nRUN --mount=source=.git,target=/g git describe\n")
    assert found.paths == ("**",)
    assert found.decide(["docs/x"], 1).runs
    assert service(tmp_path, "FROM a\nCOPY .git/refs /x\n").paths == ("**",)
    put(tmp_path, **{".dockerignore": ".git\n"})
    assert not service(tmp_path, "FROM a\nCOPY . /x\nCOPY docs /y").decide([".git/x"], 1).runs
    whole = service(tmp_path, "FROM a\nCOPY . /x\n")
    assert whole.paths == ("**",)
    assert whole.decide(["docs/x"], 1).runs
    put(tmp_path, **{".dockerignore": ".git\ndocs\n"})
    assert not service(tmp_path, "FROM a\nCOPY . /x\n").decide(["docs/x"], 1).runs


def test_a_module_of_another_repository_is_one_file_to_git(tmp_path: Path) -> None:
    put(tmp_path, **{"libs/one/.git": "gitdir: x", "libs/one/file": "1"})
    found = service(tmp_path, "FROM a\nCOPY libs/one /x\n")
    assert {"libs/one", "libs/one/**"} <= set(found.paths)
    assert found.decide(["libs/one"], 1).runs
    assert service(tmp_path, "FROM a\nCOPY libs/one/file /x\n").decide(["libs/one"], 1).runs


def test_a_template_builds_what_is_made_of_it(tmp_path: Path) -> None:
    put(tmp_path, **{"conf.tpl": "{{X}}", "other.tpl": "{{X}}", ".env.example": "X=1\n"})
    put(tmp_path, Dockerfile="FROM a\nCOPY conf /x\n")
    table = {"x": {"dockerfile": "Dockerfile"}}
    found = of(tmp_path, "x", templates=["*.tpl"], service=table)
    assert {"conf.tpl", ".env.example", ".env"} <= set(found.paths)
    assert found.decide(["conf.tpl"], 1).file == "conf.tpl"
    assert not found.decide(["other.tpl"], 1).runs
    # A template that is gone is known by its name.
    (tmp_path / "conf.tpl").unlink()
    assert of(tmp_path, "x", templates=["*.tpl"], service=table).decide(["conf.tpl"], 1).runs
    excluded = of(tmp_path, "x", templates=["*.tpl", "!c*.tpl"], service=table)
    assert not excluded.decide(["conf.tpl"], 1).runs


def test_numbers_decide_before_files_do(tmp_path: Path) -> None:
    found = service(tmp_path, "FROM a\n")
    assert found.decide([], 1).reason == "no file has changed"
    assert found.decide(["x"], 1001).reason == "more than 1000 commits (1001)"
    assert found.decide(["x", "Dockerfile"], 1000).pattern == "Dockerfile"


def test_a_dockerfile_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DockerfileError, match="the Dockerfile of app is not there"):
        of(tmp_path, "app")


def test_a_whole_context_is_pointed_out_with_what_to_leave_out(tmp_path: Path) -> None:
    put(tmp_path, **{"Dockerfile": "FROM a\n\nCOPY . /x\n", "README.md": "", "docs/x": "", "a": ""})
    put(tmp_path, **{"tests/x": "", ".git/HEAD": "", ".dockerignore": "tests\n"})
    table = {"x": {"dockerfile": "Dockerfile"}}
    found = resolve(tmp_path, document={"service": table}, environment={}, overrides={})
    (target,) = found.services
    (note,) = TriggerReader(found).notes(target)
    assert note == (
        "Dockerfile:3 copies the whole context: x depends on each of its 8 files and folders; "
        "lines for .dockerignore to consider: .git, docs, *.md"
    )
    put(tmp_path, **{".dockerignore": ".git\ntests\n*.md\ndocs\n"})
    (note,) = TriggerReader(found).notes(target)
    assert note.endswith("its 3 files and folders")
    put(tmp_path, Dockerfile="FROM a\nCOPY a /x\n")
    assert TriggerReader(found).notes(target) == ()
