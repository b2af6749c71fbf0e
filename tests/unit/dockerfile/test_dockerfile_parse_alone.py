"""Where dockerfile-parse by itself names other images than BuildKit takes, one place each.

This is why the package reads Dockerfiles by itself. Where a case here fails because the library
has become right, the case can go; when none is left, the library can do the work.
"""

from __future__ import annotations

import io

import pytest
from dockerfile_parse import DockerfileParser

from bailing_tasks.dockerfile import DockerfileError, external_images, pin_images

F = "FROM a\n"
PLACES = {
    "images in COPY --from": (f"{F}COPY --from=b x y", ["a", "b"]),
    "images in RUN --mount": (f"{F}RUN --mount=from=b,target=/b x", ["a", "b"]),
    "images in an ONBUILD that is let go": (
        "FROM a AS x\nONBUILD COPY --from=b f f\nFROM x",
        ["a", "b"],
    ),
    "heredoc bodies": (f"{F}RUN <<EOF\nFROM b\nEOF\n", ["a"]),
    "stages as bases": ("FROM a AS x\nFROM x", ["a"]),
    "stages nobody reaches": ("FROM a\nFROM b", ["b"]),
    "scratch": ("FROM scratch", []),
    "scratch through an ARG": ("ARG B=scratch\nFROM $B", []),
    "the escape directive": ("# escape=`\nFROM a\nRUN dir c:\\\nFROM b\n", ["b"]),
    "a byte order mark": ("\ufeffFROM a", ["a"]),
    "default values": ("FROM a:${V:-1}", ["a:1"]),
    "nested default values": ("FROM a:${V:-${W:-1}}", ["a:1"]),
    "patterns": ("ARG V=v1\nFROM a:${V#v}", ["a:1"]),
    "predefined arguments": ("FROM a-$TARGETARCH", ["a-amd64"]),
}


def alone(text: str) -> list[str]:
    return sorted(set(DockerfileParser(fileobj=io.BytesIO(text.encode())).parent_images))


@pytest.mark.parametrize(("text", "expected"), PLACES.values(), ids=PLACES.keys())
def test_it_names_other_images(text: str, expected: list[str]) -> None:
    images = external_images(text)
    assert [image.reference.familiar.removesuffix(":latest") for image in images] == expected
    assert alone(text) != expected


@pytest.mark.parametrize("text", ["FROM A", "FOO\nFROM a", "FROM ${X}", "ARG A=${x\nFROM a"])
def test_it_takes_files_that_buildkit_refuses(text: str) -> None:
    alone(text)
    with pytest.raises(DockerfileError):
        external_images(text)


def test_it_knows_no_platform() -> None:
    text = "FROM --platform=$BUILDPLATFORM a AS x\nFROM a\nCOPY --from=x f f"
    assert len(external_images(text, platform="linux/arm64")) == 2
    assert alone(text) == ["a"]


def test_it_cannot_read_other_bytes_than_utf_8() -> None:
    parser = DockerfileParser(fileobj=io.BytesIO(b"# \xff\nFROM a"))
    with pytest.raises(UnicodeDecodeError):
        _ = parser.parent_images
    assert len(external_images(b"# \xff\nFROM a")) == 1


def test_it_rewrites_more_than_the_image() -> None:
    text = "FROM \\\n  # why\n  a \\\n  AS x\r\nRUN y\n"
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode()))
    parser.parent_images = ["pin"]
    assert parser.content != text.replace("a \\", "pin \\")
    name = ("docker.io/library/a:latest", "linux/amd64")
    assert pin_images(text, {name: "pin"}) == text.replace("a \\", "pin \\")
