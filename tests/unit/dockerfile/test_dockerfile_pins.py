"""External images get other names; nothing else changes."""

from __future__ import annotations

import pytest

from bailing_tasks.dockerfile import external_images, pin_images
from bailing_tasks.errors import UsageError

A = ("docker.io/library/a:latest", "linux/amd64")
B = ("docker.io/library/b:1", "linux/amd64")
NAMES = {A: "pin-a", B: "pin-b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a", "FROM pin-a"),
        ("from\ta  as  X\r\nRUN x\r\n", "from\tpin-a  as  X\r\nRUN x\r\n"),
        ("FROM --platform=linux/amd64 a", "FROM --platform=linux/amd64 pin-a"),
        ("ARG V=1\nFROM b:${V}", "ARG V=1\nFROM pin-b"),
        ("FROM a AS a\nFROM a", "FROM pin-a AS a\nFROM a"),
        ("FROM c AS x\nFROM a\nCOPY --from=0 f f", "FROM c AS x\nFROM pin-a\nCOPY --from=0 f f"),
        ("FROM a\nCOPY --from=b:1 x y", "FROM pin-a\nCOPY --from=pin-b x y"),
        (
            'FROM a\nCOPY --chown=1 --from="b":1 x y',
            'FROM pin-a\nCOPY --chown=1 --from=""pin-b x y',
        ),
        ("FROM a\nCOPY --from=\\b:1 x y", "FROM pin-a\nCOPY --from=pin-b x y"),
        (
            "FROM a\nRUN --mount=type=bind,from=b:1,target=/b x",
            "FROM pin-a\nRUN --mount=type=bind,from=pin-b,target=/b x",
        ),
        (
            'FROM a\nRUN --mount="from=b:1",target=/b --mount=from=a,dst=/a x',
            'FROM pin-a\nRUN --mount="from=pin-b",target=/b --mount=from=pin-a,dst=/a x',
        ),
        (
            'FROM a\nRUN --mount=\\"from=b:1\\",target=/b x',
            'FROM pin-a\nRUN --mount=\\"from=pin-b\\",target=/b x',
        ),
        ("FROM \\\n# note\n  a AS x\n\nFROM x", "FROM \\\n# note\n  pin-a AS x\n\nFROM x"),
        ("FROM b\\\n:\\\n1\nRUN y", "FROM \\\n\\\npin-b\nRUN y"),
        (
            "FROM a AS x\nONBUILD COPY --from=b:1 f f\nFROM x",
            "FROM pin-a AS x\nONBUILD COPY --from=pin-b f f\nFROM x",
        ),
        (
            "FROM a AS x\n ONBUILD  RUN \\\n --mount=from=b:1,target=/b y\nFROM x\nFROM x",
            "FROM pin-a AS x\n ONBUILD  RUN \\\n --mount=from=pin-b,target=/b y\nFROM x\nFROM x",
        ),
        ("FROM a\nONBUILD COPY --from=b:1 f f", "FROM pin-a\nONBUILD COPY --from=b:1 f f"),
        ("FROM a AS x\nFROM c", "FROM a AS x\nFROM c"),
        ("\ufeffFROM a\nRUN \u00e9", "\ufeffFROM pin-a\nRUN \u00e9"),
    ],
)
def test_the_copy_is(text: str, expected: str) -> None:
    assert pin_images(text, NAMES) == expected
    assert pin_images(text.encode(), NAMES) == expected.encode()


def test_a_stage_called_like_an_image_stays_a_stage() -> None:
    text = "FROM a AS one\nFROM c AS a\nCOPY --from=one x y\nFROM a\n"
    assert pin_images(text, NAMES) == text.replace("FROM a AS one", "FROM pin-a AS one")


def test_one_reference_may_have_two_platforms_and_two_names() -> None:
    text = "FROM --platform=$BUILDPLATFORM a AS x\nFROM a\nCOPY --from=x f f\nCOPY --from=a g g\n"
    names = {A: "pin-1", (A[0], "linux/arm64"): "pin-2"}
    assert pin_images(text, names, platform="linux/arm64") == (
        "FROM --platform=$BUILDPLATFORM pin-1 AS x\nFROM pin-2\nCOPY --from=x f f\n"
        "COPY --from=pin-2 g g\n"
    )


def test_bytes_that_are_not_utf_8_stay() -> None:
    assert pin_images(b"# \xff\nFROM a", NAMES) == b"# \xff\nFROM pin-a"


def test_lone_surrogates_stay() -> None:
    assert pin_images("# \ud800\nFROM a", NAMES) == "# \ud800\nFROM pin-a"


def test_stages_nobody_reaches_are_pinned_if_asked_for() -> None:
    assert pin_images("FROM a\nFROM b:1", NAMES, all_stages=True) == "FROM pin-a\nFROM pin-b"
    assert pin_images("FROM a AS x\nFROM b:1", NAMES, target="x") == "FROM pin-a AS x\nFROM b:1"


def test_build_arguments_count() -> None:
    text = "ARG V\nFROM b:$V"
    assert pin_images(text, NAMES, build_args={"V": "1"}) == "ARG V\nFROM pin-b"


def test_a_stage_s_name_cannot_be_an_image_s() -> None:
    with pytest.raises(UsageError):
        pin_images("FROM a AS Pin-A\nFROM pin-a", NAMES)


def test_what_is_pinned_is_what_is_named_afterwards() -> None:
    text = "FROM a AS x\nFROM b:1\nCOPY --from=x f f\nRUN --mount=from=a,target=/a y"
    found = external_images(pin_images(text, NAMES))
    assert [image.reference.familiar for image in found] == ["pin-a:latest", "pin-b:latest"]
