"""Which images a build takes, one small file for each of BuildKit's rules."""

from __future__ import annotations

from typing import Any

import pytest

from bailing_tasks.dockerfile import external_images
from bailing_tasks.platforms import Platform

DIGEST = "sha256:" + "0a" * 32


def named(text: str | bytes, **request: Any) -> list[str]:
    """Familiar names; the platform follows where it is not the default."""
    found = []
    for image in external_images(text, **request):
        platform = "" if str(image.platform) == "linux/amd64" else f" {image.platform}"
        found.append(image.reference.familiar.removesuffix(":latest") + platform)
    return sorted(found)


FROM = {
    "one": ("FROM alpine:3", ["alpine:3"]),
    "lower case": ("from alpine as x\ncopy --from=busybox a b", ["alpine", "busybox"]),
    "mixed case": ("FrOm alpine aS X\nFROM x", ["alpine"]),
    "tabs": ("FROM\t\talpine\tAS\tx", ["alpine"]),
    "leading space": ("  \tFROM alpine", ["alpine"]),
    "wide space around a line": ("\u2003FROM alpine\u00a0\u2003\nRUN x\u00a0", ["alpine"]),
    "digest": (f"FROM alpine@{DIGEST}", [f"alpine@{DIGEST}"]),
    "tag and digest": (f"FROM alpine:3@{DIGEST}", [f"alpine:3@{DIGEST}"]),
    "CRLF": ("FROM alpine \\\r\n  AS x\r\nFROM x\r\n", ["alpine"]),
    "BOM": (b"\xef\xbb\xbfFROM alpine", ["alpine"]),
    "no newline at the end": ("FROM alpine\nRUN x \\", ["alpine"]),
    "continuation inside the name": ("FROM al\\\npine", ["alpine"]),
    "comment in a continuation": ("FROM \\\n# note\n  alpine", ["alpine"]),
    "empty line in a continuation": ("FROM \\\n\n  alpine", ["alpine"]),
    "space after the escape": ("FROM \\ \t\n alpine", ["alpine"]),
    "escaped escape is no continuation": ("FROM a\nENV x=\\\\\nFROM b", ["b"]),
    "comment that looks like FROM": ("# FROM busybox\nFROM alpine", ["alpine"]),
    "scratch": ("FROM scratch", []),
    "scratch through an ARG": ("ARG B=scratch\nFROM $B", []),
    "scratch as a stage's name": ("FROM alpine AS scratch\nFROM scratch\nCOPY a b", ["alpine"]),
    "earlier stage": ("FROM alpine AS x\nFROM x\nFROM x", ["alpine"]),
    "stage found by its lower-case name only": ("FROM alpine AS Build\nFROM build", ["alpine"]),
    "a later stage is an image": (
        "FROM later\nFROM alpine AS later\nCOPY --from=0 a b",
        ["alpine", "later"],
    ),
    "own name is an image": ("FROM alpine AS alpine", ["alpine"]),
    "two stages of one name": ("FROM a AS x\nFROM b AS x\nFROM x", ["b"]),
    "same image twice": ("FROM a AS x\nFROM a\nCOPY --from=x f f", ["a"]),
}

ARGS = {
    "default": ("ARG V=3\nFROM alpine:$V", ["alpine:3"]),
    "braces": ("ARG V=3\nFROM alpine:${V}", ["alpine:3"]),
    "several in one ARG": ("ARG A=al B=pine C\nFROM $A$B$C", ["alpine"]),
    "earlier ones in a default": ("ARG A=3\nARG B=alpine:$A\nFROM $B", ["alpine:3"]),
    "earlier one on the same line": ("ARG A=3 B=alpine:$A\nFROM $B", ["alpine:3"]),
    "quoted default": ("ARG B=\"al\"'pine'\nFROM $B", ["alpine"]),
    "later definition counts": ("ARG V=1\nARG V=2\nFROM a:$V", ["a:2"]),
    "no default keeps the value": ("ARG V=1\nARG V\nFROM a:$V", ["a:1"]),
    "stage ARG reaches no FROM": ("ARG V=1\nFROM b\nARG V=2\nFROM a:$V", ["a:1"]),
    "stage ARG alone is unset": ("FROM b\nARG V=2\nFROM a${V}", ["a"]),
    "predefined": ("FROM --platform=$BUILDPLATFORM a-$TARGETARCH-$BUILDOS", ["a-amd64-linux"]),
    "stage of the target": ("FROM a AS x\nFROM b-$TARGETSTAGE AS last", ["b-last"]),
    "default stage": ("FROM b-$TARGETSTAGE", ["b-default"]),
    "flag of ARG is dropped": ("ARG --x V=1\nFROM a:$V", ["a:1"]),
}

COPY = {
    "image": ("FROM a\nCOPY --from=b:1 x y", ["a", "b:1"]),
    "stage": ("FROM a AS x\nFROM b\nCOPY --from=x f f", ["a", "b"]),
    "stage in another case": ("FROM a AS x\nFROM b\nCOPY --from=X f f", ["a", "b"]),
    "number": ("FROM a\nFROM b\nCOPY --from=0 f f", ["a", "b"]),
    "number with a sign": ("FROM a\nFROM b\nCOPY --from=+0 f f", ["a", "b"]),
    "number of an image named before": ("FROM a\nCOPY --from=b f f\nCOPY --from=1 f f", ["a", "b"]),
    "huge number is an image": (f"FROM a\nCOPY --from={'9' * 25} f f", ["9" * 25, "a"]),
    "blank": ("FROM a\nCOPY --from= f f", ["a"]),
    "scratch": ("FROM a\nCOPY --from=scratch f f", ["a"]),
    "quoted flag": ("FROM a\nCOPY --from=\"b\" 'c' d", ["a", "b"]),
    "escape in a flag": ("FROM a\nCOPY --from=\\b c d", ["a", "b"]),
    "ADD takes no --from, its paths do": ("FROM a\nADD x --from=b y", ["a"]),
    "unreached image": ("FROM a AS x\nCOPY --from=b f f\nFROM c", ["c"]),
    "same image in two stages": (
        "FROM a AS x\nCOPY --from=b f f\nFROM a\nCOPY --from=b f f\nCOPY --from=x f f",
        ["a", "b"],
    ),
    "word after -- is no flag": ("FROM a\nCOPY -- --from=b c", ["a"]),
}

MOUNT = {
    "image": ("FROM a\nRUN --mount=from=b,target=/b x", ["a", "b"]),
    "all of one RUN": (
        "FROM a\nRUN --mount=from=b,target=/b --mount=type=bind,from=c:1,dst=/c x",
        ["a", "b", "c:1"],
    ),
    "stage": ("FROM a AS x\nFROM b\nRUN --mount=from=x,target=/x y", ["a", "b"]),
    "cache from a stage": (
        "FROM a AS x\nFROM b\nRUN --mount=type=cache,from=x,target=/x y",
        ["a", "b"],
    ),
    "cache without one": ("FROM a\nRUN --mount=type=cache,target=/x y", ["a"]),
    "upper-case key": ("FROM a\nRUN --mount=FROM=b,target=/b x", ["a", "b"]),
    "quoted field": ('FROM a\nRUN --mount=type=bind,\\"from=b\\",target=/b x', ["a", "b"]),
    "last from counts": ("FROM a\nRUN --mount=from=b,from=c,target=/b x", ["a", "c"]),
    "number is an image's name": ("FROM a\nRUN --mount=from=0,target=/b x", ["0", "a"]),
    "on the next line": ("FROM a\nRUN \\\n  --mount=from=b,target=/b \\\n  x", ["a", "b"]),
    "bind without from": ("FROM a\nRUN --mount=target=/b x", ["a"]),
}

HEREDOC = {
    "body is no instruction": ("FROM a\nRUN <<EOF\nFROM b\nEOF\n", ["a"]),
    "two in one line": ("FROM a\nRUN <<A cat <<B\nFROM b\nA\nFROM c\nB\nFROM d", ["d"]),
    "dash": ("FROM a\nRUN <<-EOF\nFROM b\n\t\tEOF\nFROM c", ["c"]),
    "quotes": ("FROM a\nRUN <<'E F'\nFROM b\nE F\nFROM c", ["c"]),
    "partly quoted": ('FROM a\nRUN <<E"F"\nFROM b\nEF\nFROM c', ["c"]),
    "file descriptor": ("FROM a\nRUN 3<<EOF\nFROM b\nEOF\nFROM c", ["c"]),
    "COPY": ("FROM a\nCOPY <<EOF /x\nFROM b\nEOF\nFROM c", ["c"]),
    "ADD": ("FROM a\nADD <<EOF /x\nFROM b\nEOF\nFROM c", ["c"]),
    "behind a continuation": ("FROM a\nRUN cat \\\n <<EOF\nFROM b\nEOF\nFROM c", ["c"]),
    "CRLF": ("FROM a\r\nRUN <<EOF\r\nFROM b\r\nEOF\r\nFROM c\r\n", ["c"]),
    "inside quotes it is none": ("FROM a\nRUN echo '<<EOF'\nFROM b", ["b"]),
    "here-string": ("FROM a\nRUN cat <<<EOF\nFROM b", ["b"]),
    "not in ENV": ("FROM a\nENV x=<<EOF\nFROM b", ["b"]),
    "not in JSON": ('FROM a\nRUN ["cat", "<<EOF"]\nFROM b', ["b"]),
    "empty name": ("FROM a\nRUN cat <<''\nFROM b", ["b"]),
    "dash alone": ("FROM a\nRUN cat <<-\nFROM b", ["b"]),
    "two words in quotes are one": ('FROM a\nRUN <<"A B"\nA B\nFROM b', ["b"]),
    "an open quote in the line hides it": ("FROM a\nRUN echo it's <<EOF\nFROM b", ["b"]),
    "an unset variable stays": ("FROM a\nRUN <<$X\n$X\nFROM b", ["b"]),
}

ONBUILD = {
    "held back": ("FROM a\nONBUILD COPY --from=b x y", ["a"]),
    "let go by a later stage": ("FROM a AS x\nONBUILD COPY --from=b f f\nFROM x", ["a", "b"]),
    "mount": ("FROM a AS x\nONBUILD RUN --mount=from=b,target=/b y\nFROM x", ["a", "b"]),
    "heredoc": ("FROM a AS x\nONBUILD RUN <<EOF\nFROM b\nEOF\nFROM x", ["a"]),
    "of a stage": ("FROM a AS x\nFROM b AS y\nONBUILD COPY --from=x f f\nFROM y", ["a", "b"]),
    "not by a grandchild": (
        "FROM a AS x\nONBUILD RUN y\nFROM x AS z\nFROM z\nONBUILD RUN z",
        ["a"],
    ),
    "not by a copy": (
        "FROM a AS x\nONBUILD COPY --from=b f f\nFROM c\nCOPY --from=x f f",
        ["a", "c"],
    ),
}

DIRECTIVES = {
    "escape": ("# escape=`\nFROM `\n alpine", ["alpine"]),
    "escape with space and case": ("#  EsCaPe = `  \nFROM `\n alpine", ["alpine"]),
    "escape below syntax": ("# syntax=x/y\n# escape=`\nFROM `\n alpine", ["alpine"]),
    "escape below a comment is none": ("# note\n# escape=`\nFROM \\\n alpine", ["alpine"]),
    "escape below an empty line is none": ("\n# escape=`\nFROM \\\n alpine", ["alpine"]),
    "escape below an instruction is none": ("ARG X\n# escape=`\nFROM \\\n alpine", ["alpine"]),
    "unknown directive ends them": ("# other=1\n# escape=`\nFROM \\\n alpine", ["alpine"]),
    "escape in a flag": ("# escape=`\nFROM a\nCOPY --from=`b x y", ["a", "b"]),
    "escape in an expansion": ("# escape=`\nARG A=`b\\\nFROM a:${A%\\\\}`c", ["a:bc"]),
    "check is a directive": ("# check=skip=all\n# escape=`\nFROM `\n a", ["a"]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(*case, id=f"{group}: {name}")
        for group, cases in (
            ("FROM", FROM),
            ("ARG", ARGS),
            ("COPY", COPY),
            ("mount", MOUNT),
            ("heredoc", HEREDOC),
            ("ONBUILD", ONBUILD),
            ("directive", DIRECTIVES),
        )
        for name, case in cases.items()
    ],
)
def test_the_images_are(text: str | bytes, expected: list[str]) -> None:
    assert named(text) == expected


THREE = "FROM a AS one\nFROM b AS Two\nCOPY --from=one f f\nFROM c\n"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, ["c"]),
        ("", ["c"]),
        ("one", ["a"]),
        ("two", ["a", "b"]),
        ("TWO", ["a", "b"]),
    ],
)
def test_only_what_the_target_reaches_counts(target: str | None, expected: list[str]) -> None:
    assert named(THREE, target=target) == expected


def test_all_stages_count_if_asked_for() -> None:
    assert named(THREE, all_stages=True) == ["a", "b", "c"]


def test_a_build_argument_beats_a_default() -> None:
    assert named("ARG V=1\nFROM a:$V", build_args={"V": "2"}) == ["a:2"]


def test_a_build_argument_is_not_expanded() -> None:
    text = "ARG A=1\nARG V\nFROM a:${V#x}"
    assert named(text, build_args={"V": "x2"}) == ["a:2"]


def test_a_build_argument_nobody_declares_does_nothing() -> None:
    assert named("FROM a:${V:-1}", build_args={"V": "2"}) == ["a:1"]


def test_a_build_argument_beats_what_is_predefined() -> None:
    text = "FROM --platform=$TARGETPLATFORM a"
    assert named(text, build_args={"TARGETPLATFORM": "linux/s390x"}) == ["a linux/s390x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a", ["a linux/arm64"]),
        ("FROM --platform=linux/arm/v6 a", ["a linux/arm/v6"]),
        ("FROM --platform=$BUILDPLATFORM a", ["a"]),
        ("FROM --platform=$TARGETPLATFORM a", ["a linux/arm64"]),
        ("ARG P=linux/riscv64\nFROM --platform=$P a", ["a linux/riscv64"]),
        ("FROM --platform=linux a", ["a"]),
        # A stage's platform is its base's; an image named directly takes the target's.
        ("FROM --platform=linux/386 a AS x\nFROM --platform=linux/arm x", ["a linux/386"]),
        ("FROM --platform=linux/386 a\nCOPY --from=b f f", ["a linux/386", "b linux/arm64"]),
        (
            "FROM --platform=linux/386 a\nRUN --mount=from=b,target=/b f",
            ["a linux/386", "b linux/arm64"],
        ),
        # One reference on two platforms is two images.
        (
            "FROM --platform=$BUILDPLATFORM a AS x\nFROM a\nCOPY --from=x f f",
            ["a", "a linux/arm64"],
        ),
        ("FROM a:$TARGETARCH-$TARGETVARIANT-$TARGETOS", ["a:arm64--linux linux/arm64"]),
    ],
)
def test_each_image_has_its_platform(text: str, expected: list[str]) -> None:
    assert named(text, platform="linux/arm64") == expected


def test_platforms_may_be_given_as_objects() -> None:
    arm = Platform("linux", "arm64")
    text = "FROM --platform=$BUILDPLATFORM a"
    assert named(text, platform="amd64", build_platform=arm) == ["a linux/arm64"]


def test_an_image_tells_where_it_is_named() -> None:
    text = (
        "\nFROM a AS x\nRUN --mount=from=b,target=/b \\\n  y\nFROM c\nCOPY --from=b f f\n"
        "COPY --from=x f f"
    )
    found = {
        image.reference.familiar: [(each.line, each.kind) for each in image.mentions]
        for image in external_images(text)
    }
    assert found == {
        "a:latest": [(2, "FROM")],
        "b:latest": [(3, "mount"), (6, "COPY")],
        "c:latest": [(5, "FROM")],
    }
