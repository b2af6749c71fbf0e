"""Which images the services of Compose files run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bailing_tasks import compose
from bailing_tasks.compose import ComposeImage
from bailing_tasks.configuration import resolve
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.extra_images import NAMED_AT, extra_wanted
from bailing_tasks.platforms import Platform
from bailing_tasks.refusals import check
from bailing_tasks.settings import Settings

AMD64 = Platform.parse("linux/amd64")
KNOWN = {"V": "7", "EMPTY": "", "_n1": "x"}


def read(
    files: Mapping[str, str], variables: Mapping[str, str] = KNOWN, path: str = "compose.yaml"
) -> dict[str, str]:
    """Return the image of each service."""
    return {each.service: each.name for each in found(files, variables, path)}


def found(
    files: Mapping[str, str], variables: Mapping[str, str] = KNOWN, path: str = "compose.yaml"
) -> tuple[ComposeImage, ...]:
    return compose.images(path, variables, read=files.__getitem__)


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("redis:$V", "redis:7"),
        ("redis:${V}-$_n1", "redis:7-x"),
        ("redis:${NONE:-1}${EMPTY:-2}${EMPTY-3}${V:-4}${V-5}", "redis:1277"),
        ("redis${V:+:a}${EMPTY:+:b}${NONE+:c}", "redis:a"),
        ("redis:${V:?no}${EMPTY?no}", "redis:7"),
        ("redis:${NONE:-${NONE:-$V}-${V}}x", "redis:7-7x"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, image: str) -> None:
    assert read({"compose.yaml": f"services: {{a: {{image: '{text}'}}}}"}) == {"a": image}


def test_each_service_has_its_image_with_its_line() -> None:
    text = """\
x-common: &common
  image: redis:${V}
  platform: linux/amd64
services:
  cache:
    <<: *common
    profiles: [debug]
  web:
    build: .
    image: web:1
  plain: {build: {context: .}}
  arm: {image: "nginx", platform: "linux/arm64"}
  override:
    ports: [80]
  nothing:
"""
    cache, web, arm = found({"compose.yaml": text})
    assert cache == ComposeImage(
        service="cache",
        name="redis:7",
        platform="linux/amd64",
        built=False,
        path="compose.yaml",
        line=2,
    )
    assert (web.name, web.built, web.place) == ("web:1", True, "compose.yaml:10")
    assert (arm.name, arm.platform, arm.built) == ("nginx", "linux/arm64", False)


def test_a_service_has_the_image_of_the_one_that_it_extends() -> None:
    files = {
        "d/compose.yaml": """\
services:
  own: {extends: {service: base}, image: "own:1"}
  short: {extends: base}
  base: {image: "base:1", platform: linux/arm64}
  far: {extends: {file: ../common.yaml, service: far}}
  built: {extends: {file: ../common.yaml, service: built}, image: "built:1"}
  git: {extends: {file: "https://git.example/a.git", service: a}}
""",
        "common.yaml": """\
services:
  far: {extends: farther}
  farther: {image: "far:1"}
  built: {build: .}
  unused: {image: "unused:1"}
""",
    }
    images = {each.service: each for each in found(files, path="d/compose.yaml")}
    assert {name: each.name for name, each in images.items()} == {
        "own": "own:1",
        "short": "base:1",
        "base": "base:1",
        "far": "far:1",
        "built": "built:1",
    }
    assert images["far"].place == "common.yaml:3"
    assert images["own"].platform == "linux/arm64"
    assert images["built"].built


def test_what_is_included_is_read_once() -> None:
    files = {
        "compose.yaml": """\
include:
  - a/b.yaml
  - {path: [a/b.yaml, "${V}.yaml"], env_file: x}
  - oci://images.example/stack:1
  - git@git.example:a.git
services:
  web: {image: web}
""",
        "a/b.yaml": "include: ../compose.yaml\nservices: {db: {image: postgres}}\n",
        "7.yaml": "services: {seven: {image: seven}}",
    }
    assert read(files) == {"db": "postgres", "seven": "seven", "web": "web"}


@pytest.mark.parametrize("text", ["", "services:\n", "volumes: {}\n"])
def test_a_file_without_services_has_no_images(text: str) -> None:
    assert read({"compose.yaml": text}) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "compose.yaml:1: this is no Compose file"),
        ("version: '3'\nservices: [a]", "compose.yaml:2: this is no Compose file"),
        ("services: a", "compose.yaml:1: this is no Compose file"),
        ("a: [", "is not YAML"),
        ("services: {a: {extends: b}}", "'b' cannot be read\n  cause: it is not there"),
        (
            "services: {a: {extends: a}}",
            "the service 'a' cannot be read\n  cause: it extends itself",
        ),
        ("services:\n  a:\n    image: x\n    image: y\n", "compose.yaml:4: 'image' stands there"),
        ("services:\n  a:\n    image: x:$NONE\n", "compose.yaml:3: 'x:$NONE' cannot be filled in"),
        ("services: {a: {image: 'x:${NONE?say it}'}}", "say it"),
        ("services: {a: {image: 'x:${V'}}", "is not closed"),
    ],
)
def test_a_file_that_is_no_compose_file_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read({"compose.yaml": text})
    assert message in str(refused.value)


def settings_of(root: Path, *names: str, files: tuple[str, ...] = ()) -> Settings:
    return resolve(
        root,
        document={
            "platforms": ["linux/amd64", "linux/arm64"],
            "app": {"image": "mine"},
            "extra-images": list(names),
            "compose-files": list(files),
        },
        environment={},
        overrides={"platforms": ["all"]},
    )


def wanted(root: Path, *names: str, files: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    images, refused = extra_wanted(settings_of(root, *names, files=files), AMD64, KNOWN)
    check(refused)
    return [(image.reference.familiar, str(image.platform), *image.named_at) for image in images]


def test_extra_images_are_wanted_for_each_platform_and_those_of_compose_beside_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "compose.yaml").write_text(
        "\ufeffservices:\n"
        "  db: {image: 'postgres:${V}', platform: linux/arm64}\n"
        "  web: {image: 'made:1', build: .}\n"
        "  same: {image: 'made:1'}\n"
        "  own: {image: 'mine:1'}\n"
        "  cache: {image: redis}\n",
        encoding="utf-8",
    )
    assert wanted(tmp_path, "redis:latest", "mine", files=("compose.yaml",)) == [
        ("postgres:7", "linux/arm64", "compose.yaml:2"),
        ("redis:latest", "linux/amd64", NAMED_AT, "compose.yaml:6"),
        ("redis:latest", "linux/arm64", NAMED_AT, "compose.yaml:6"),
    ]


def test_what_names_no_image_or_platform_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("services: {a: {image: 'a b'}}")
    (tmp_path / "b").write_text("services: {a: {image: b, platform: linux/none/of/it}}")
    with pytest.raises(UsageError, match="a:1: 'a b' is not an image reference"):
        wanted(tmp_path, files=("a",))
    with pytest.raises(UsageError, match=r"b:1: .*linux/none/of/it"):
        wanted(tmp_path, files=("b",))
    with pytest.raises(SettingsError, match=r"the Compose file c\.yaml cannot be read") as absent:
        wanted(tmp_path, files=("c.yaml",))
    assert "compose-files" in absent.value.remedy


def test_a_file_that_nests_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match=r"compose\.yaml cannot be read") as caught:
        found({"compose.yaml": "[" * 50_000})
    assert "nests" in caught.value.cause
