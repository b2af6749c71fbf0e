"""What a workspace's Dockerfiles name, and what a failed build of them means."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import context, needs
from bailing_tasks.configuration import resolve
from bailing_tasks.diagnosis import diagnose
from bailing_tasks.dockerfile import remote_inputs
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.errors import DockerfileError, SettingsError
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe, image_key, on_bases, read_recipe
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings
from bailing_tasks.variants import Variant
from bailing_tasks.wanted import wanted_images

AMD64 = Platform.parse("linux/amd64")
BUILDER = """\
ARG PYTHON_VERSION=3.9
FROM ghcr.io/astral-sh/uv:python${PYTHON_VERSION}-bookworm AS builder
RUN apt-get install -y gcc g++ libc6-dev libasound2-dev
COPY uv.lock ./
"""
APP = """\
ARG BUILDER_IMAGE=ghcr.io/your-username/bailing-builder:latest
FROM ${BUILDER_IMAGE} AS builder
FROM --platform=$BUILDPLATFORM docker.io/library/alpine:3.20 AS tool
FROM alpine:3.20
COPY --from=builder /opt/venv /opt/venv
COPY --from=tool /x /x
"""


def workspace(root: Path, **document: Any) -> Settings:
    (root / "docker").mkdir(exist_ok=True)
    (root / "docker" / "dockerfile.dev").write_text(BUILDER)
    (root / "Dockerfile").write_text(APP)
    return resolve(root, document={"name": "bailing", **document}, environment={}, overrides={})


def recipe(settings: Settings, name: str, python: str = "3.11") -> Recipe:
    target = getattr(settings, name)
    variant = Variant(target=target, platform=Platform.parse("linux/arm64"), python=python)
    return read_recipe(settings, variant, AMD64)


def test_the_python_of_the_run_chooses_the_base_image(tmp_path: Path) -> None:
    found = recipe(workspace(tmp_path), "builder", "3.13")
    assert [str(image.reference) for image in found.images] == [
        "ghcr.io/astral-sh/uv:python3.13-bookworm"
    ]
    assert found.build_args == {"PYTHON_VERSION": "3.13"}
    assert str(found.variant) == "builder linux/arm64 (Python 3.13)"


def test_arguments_that_the_file_does_not_declare_are_not_passed(tmp_path: Path) -> None:
    settings = workspace(tmp_path, app={"build-args": {"EXTRA": "1"}})
    assert recipe(settings, "app").build_args == {
        "EXTRA": "1",
        "BUILDER_IMAGE": "localhost/bailing-builder:latest",
    }


@pytest.mark.parametrize(
    "name",
    ["localhost/bailing-builder:latest", "bailing-builder", "ghcr.io/a/b-builder:main-builder"],
)
def test_the_workspaces_own_builder_is_not_external(tmp_path: Path, name: str) -> None:
    settings = workspace(tmp_path, repository="ghcr.io/a/b")
    (tmp_path / "Dockerfile").write_text(APP.replace("${BUILDER_IMAGE}", name))
    found = recipe(settings, "app")
    assert len(found.own) == 1
    assert [(str(image.reference), str(image.platform)) for image in found.images] == [
        ("docker.io/library/alpine:3.20", "linux/amd64"),
        ("docker.io/library/alpine:3.20", "linux/arm64"),
    ]


def test_an_image_is_wanted_once_a_platform_with_all_places_that_name_it(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "docker" / "dockerfile.dev").write_text("FROM alpine:3.20 AS builder\n")
    found = needs.wanted(settings, AMD64)
    assert [(image.key, image.named_at, image.targets) for image in found] == [
        (
            ("docker.io/library/alpine:3.20", "linux/amd64"),
            ("docker/dockerfile.dev:1", "Dockerfile:3", "Dockerfile:4"),
            ("builder", "app"),
        )
    ]


def test_an_app_that_needs_no_builder_can_do_without_its_dockerfile(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "docker" / "dockerfile.dev").unlink()
    with pytest.raises(DockerfileError, match="the Dockerfile of builder is not there"):
        needs.wanted(settings, AMD64)
    (tmp_path / "Dockerfile").write_text("FROM alpine:3.20\n")
    assert [str(image.reference) for image in needs.wanted(settings, AMD64)] == [
        "docker.io/library/alpine:3.20"
    ]
    named = workspace(tmp_path, builder={"dockerfile": "no/such"})
    (tmp_path / "Dockerfile").write_text("FROM alpine:3.20\n")
    with pytest.raises(DockerfileError, match=r"^no/such: the Dockerfile of builder"):
        needs.wanted(named, AMD64)


def test_what_the_sandbox_has_to_stand_in_for(tmp_path: Path) -> None:
    references, _ = needs.standin_needs(workspace(tmp_path))
    assert list(references) == [
        "docker.io/library/alpine:3.20",
        "ghcr.io/astral-sh/uv:python3.11-bookworm",
    ]


def test_a_dockerfile_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "Dockerfile").unlink()
    with pytest.raises(DockerfileError, match=r"^Dockerfile: the Dockerfile of app is not there"):
        recipe(settings, "app")
    (tmp_path / "Dockerfile").mkdir()
    with pytest.raises(DockerfileError, match=r"^Dockerfile: the Dockerfile of app cannot be read"):
        recipe(settings, "app")


def test_a_build_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = workspace(tmp_path, app={"context": "not/there"})
    with pytest.raises(SettingsError, match="'not/there' of app is no folder"):
        recipe(settings, "app")


def test_a_frontend_is_wanted_for_the_platform_that_builds(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "Dockerfile").write_text("# syntax=docker/dockerfile:1.7\nFROM scratch\n")
    (image,) = recipe(settings, "app").external
    assert str(image.reference) == "docker.io/docker/dockerfile:1.7"
    assert image.platform == AMD64
    assert recipe(settings, "app").images == ()


def test_what_is_added_from_elsewhere_without_a_checksum_may_change(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    checksum = "sha256:" + "0" * 64
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch AS other\nADD https://files.example/other /\n"
        "FROM scratch\nARG V=1\nADD https://files.example/$V.tgz /\n"
        f"ADD --checksum={checksum} https://files.example/fixed /\nADD main.py /\n"
        "ADD https://github.com/a/b.git#main /b\n"
    )
    found = recipe(settings, "app")
    assert [each.pattern for each in remote_inputs(found.text, **found.selection)] == [
        "https://files.example/1.tgz",
        "https://github.com/a/b.git#main",
    ]


def test_an_unknown_stage_is_answered_with_those_there_are(tmp_path: Path) -> None:
    settings = workspace(tmp_path, builder={"stage": "compile"})
    with pytest.raises(DockerfileError) as caught:
        recipe(settings, "builder")
    assert "compile" in str(caught.value)
    assert "builder" in caught.value.remedy


# What a failed build means


def test_a_compiler_that_fails_is_answered_with_what_was_checked(tmp_path: Path) -> None:
    found = diagnose("error: command '/usr/bin/gcc' failed", recipe(workspace(tmp_path), "builder"))
    assert found.cause == "a C extension does not compile"
    assert found.advice == (
        "ok: the lock file is compiled in the builder, not in what is built on it",
        "ok: the builder is built with its own stage (`--target builder`)",
        "CHECK: compilers and audio headers are installed in that stage: portaudio19-dev missing",
    )


def test_an_app_that_compiles_although_it_has_a_builder_is_told_so(tmp_path: Path) -> None:
    found = diagnose("portaudio.h: No such file", recipe(workspace(tmp_path), "app"))
    assert found.cause == "a C extension does not compile: PyAudio"
    assert found.advice[0].startswith("CHECK: the lock file is compiled in the builder")


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("write /x: no space left on device", "the engine's disk is full"),
        ("exec /bin/sh: exec format error", "this machine cannot run linux/arm64"),
        ("#7 0.3 E: Unable to locate package x\n#8 done", "E: Unable to locate package x"),
        ("#7 ERROR: process did not complete\nERROR: failed to solve: x", "ERROR: failed to"),
        (
            '#6 ERROR: failed to calculate checksum of ref rku6::yq6z: "/a b/c": not found',
            "'a b/c' is not there to be copied",
        ),
        ("nothing of note", "BuildKit did not say why"),
    ],
)
def test_other_failures_are_told_by_their_log(tmp_path: Path, log: str, cause: str) -> None:
    assert diagnose(log, recipe(workspace(tmp_path), "builder")).cause.startswith(cause)


# The files of a context


def test_only_files_that_a_stage_reads_are_found(tmp_path: Path) -> None:
    for path in ("a.txt", "b/c.py", "b/d/e.py", "b/f.log", "g.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "link").symlink_to("nowhere")
    ignore = DockerIgnore.parse("**/*.log\n")
    (tmp_path / "empty").mkdir()
    assert context.files(tmp_path, ignore, ["b"]) == ("b", "b/c.py", "b/d", "b/d/e.py")
    assert context.files(tmp_path, ignore, ["*.py", "b/d"]) == ("b/d", "b/d/e.py", "g.py")
    assert context.files(tmp_path, ignore, ["not-there", "a.txt"]) == ("a.txt",)
    assert context.files(tmp_path, ignore, ["."]) == (
        "a.txt",
        "b",
        "b/c.py",
        "b/d",
        "b/d/e.py",
        "empty",
        "g.py",
        "link",
    )
    assert context.files(tmp_path, ignore, []) == ()


def test_a_link_that_a_pattern_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "f").write_text("f")
    (tmp_path / "ln").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "out").symlink_to("/etc/hostname")
    nothing = DockerIgnore.parse("")
    assert context.files(tmp_path, nothing, ["ln"]) == ("ln", "real", "real/deep", "real/deep/f")
    assert "real/deep/f" in context.files(tmp_path, nothing, ["ln/deep"])
    assert context.files(tmp_path, nothing, ["loop", "out"]) == ("loop", "out")
    # The context is the root of absolute links, and nothing leads out of it.
    for link, to in {"abs": "/real/deep", "up": "../../real/deep/f", "odd": "[f]"}.items():
        (tmp_path / link).symlink_to(to)
    for name in ("f", "[f]"):
        (tmp_path / name).write_text(name)
    found = context.files(tmp_path, nothing, ["abs"])
    assert found == ("abs", "real/deep", "real/deep/f")
    assert context.files(tmp_path, nothing, ["up"]) == ("real/deep/f", "up")
    assert context.files(tmp_path, nothing, ["odd"]) == ("[f]", "odd")
    (tmp_path / "real" / "root").symlink_to("/")
    assert "f" in context.files(tmp_path, nothing, ["real/root"])


def test_folders_that_can_hold_nothing_are_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("a/b/x.py", "a/c/x.py", "data/x.py", "keep/x.py", "x.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    entered: list[str] = []
    listed = os.scandir

    def scandir(folder: str) -> Any:
        entered.append(Path(folder).relative_to(tmp_path).as_posix())
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    ignore = DockerIgnore.parse("data\n")
    assert context.files(tmp_path, ignore, ["*.py"]) == ("x.py",)
    assert entered == ["."]
    entered.clear()
    assert context.files(tmp_path, ignore, ["a/*/x.py"]) == ("a/b/x.py", "a/c/x.py")
    assert sorted(entered) == ["a", "a/b", "a/c"]
    entered.clear()
    assert "data/x.py" not in context.files(tmp_path, ignore, ["."])
    assert "data" not in entered
    back = DockerIgnore.parse("*\n!keep/x.py\n")
    assert context.files(tmp_path, back, ["."]) == ("keep/x.py",)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DockerfileError, match="gone in the build context cannot be read"):
        context.digest(tmp_path, "gone")


def test_a_files_digest_is_of_content_permissions_and_kind(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("one")
    digests = [context.digest(tmp_path, "x")]
    file.write_text("two")
    digests.append(context.digest(tmp_path, "x"))
    file.chmod(0o755)
    digests.append(context.digest(tmp_path, "x"))
    file.unlink()
    file.symlink_to("two")
    digests.append(context.digest(tmp_path, "x"))
    assert len(set(digests)) == 4


def test_the_ignore_file_beside_the_dockerfile_comes_first(tmp_path: Path) -> None:
    dockerfile = tmp_path / "docker" / "Dockerfile"
    dockerfile.parent.mkdir()
    assert context.ignore_text(dockerfile, tmp_path) == ""
    (tmp_path / ".dockerignore").write_bytes(b"a\xe9")
    assert context.ignore_text(dockerfile, tmp_path).encode(errors="surrogateescape") == b"a\xe9"
    beside = tmp_path / "docker" / "Dockerfile.dockerignore"
    beside.write_text("*")
    assert context.ignore_text(dockerfile, tmp_path) == "*"


def test_a_scanner_is_brought_for_the_machine_that_builds(tmp_path: Path) -> None:
    settings = workspace(tmp_path, sbom="registry.example/scanner:2")
    found = recipe(settings, "builder")
    assert found.scanner in found.external
    assert found.scanner
    assert str(found.scanner.reference) == "registry.example/scanner:2"
    assert found.scanner.platform == AMD64
    assert recipe(workspace(tmp_path), "builder").scanner is None


def test_a_recipe_is_read_again_once_its_builder_is_known(tmp_path: Path) -> None:
    app = recipe(workspace(tmp_path), "app")
    (builder,) = app.needs
    on_builder = on_bases(workspace(tmp_path), app, {builder.key: "localhost/bailing-builder:fp-1"})
    assert on_builder.build_args["BUILDER_IMAGE"] == "localhost/bailing-builder:fp-1"
    assert str(on_builder.images[0].reference) == "docker.io/library/alpine:3.20"


def test_a_recipe_that_takes_no_argument_stays_as_it_is(tmp_path: Path) -> None:
    builder = recipe(workspace(tmp_path), "builder")
    bases = {("base", "linux/amd64", ""): "localhost/base:fp-1"}
    assert on_bases(workspace(tmp_path), builder, bases) == replace(builder, bases=bases)


def test_a_builder_may_be_built_on_an_image_with_the_apps_name(tmp_path: Path) -> None:
    settings = workspace(tmp_path)
    (tmp_path / "docker" / "dockerfile.dev").write_text("FROM bailing:base AS builder\n")
    assert not recipe(settings, "builder").own


def test_a_target_that_is_an_image_is_named_by_the_settings(tmp_path: Path) -> None:
    cache = {"from-image": "redis:7.4"}
    found = workspace(tmp_path, service={"cache": cache})
    (service,) = found.services
    variant = Variant(target=service, platform=AMD64, python="")
    (wanted,) = wanted_images([read_recipe(found, variant, AMD64)])
    assert wanted.named_at == ("service.cache.from-image in pyproject.toml",)
    assert image_key(read_recipe(found, variant, AMD64).images[0]) == wanted.key
    assert not service.is_named(Reference.parse("redis:7.4"))
