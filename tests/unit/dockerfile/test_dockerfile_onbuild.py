"""ONBUILD instructions that a base image brings from outside the file."""

from __future__ import annotations

import pytest

from bailing_tasks.dockerfile import (
    ContextInput,
    DockerfileError,
    context_inputs,
    external_images,
    instructions,
    onbuild_instructions,
    pin_images,
)

BASE = ("docker.io/library/base:1", "linux/amd64")
TEXT = "FROM base:1 AS one\nENV A=b\nFROM one\nCOPY own /\n"


def test_they_read_the_context_of_the_stage_that_stands_on_the_image() -> None:
    onbuild = {BASE: ("COPY . /app", "RUN --mount=source=conf,target=/c x")}
    assert context_inputs(TEXT, onbuild=onbuild) == (
        ContextInput(".", 1, "COPY"),
        ContextInput("conf", 1, "mount"),
        ContextInput("own", 4, "COPY"),
    )
    assert context_inputs(TEXT, onbuild={(BASE[0], "linux/arm64"): onbuild[BASE]}) == (
        ContextInput("own", 4, "COPY"),
    )
    arm = "FROM --platform=linux/arm64 base:1\n"
    (found,) = context_inputs(arm, onbuild={(BASE[0], "linux/arm64"): ("ADD ä /",)})
    assert found.pattern == "ä"


def test_stages_that_are_not_reached_bring_nothing() -> None:
    text = "FROM base:1 AS unused\nFROM scratch AS wanted\nCOPY own /\n"
    assert [each.pattern for each in context_inputs(text, onbuild={BASE: ("COPY . /",)})] == ["own"]


def test_the_images_that_they_name_are_external_and_keep_their_names() -> None:
    onbuild = {BASE: ("COPY --from=tools:2 /x /x", "RUN --mount=from=one,target=/o x")}
    text = "FROM scratch AS one\nFROM base:1\nCOPY --from=tools:2 /y /y\n"
    found = {
        image.reference.familiar: [(each.line, each.kind) for each in image.mentions]
        for image in external_images(text, onbuild=onbuild)
    }
    assert found == {"base:1": [(2, "FROM")], "tools:2": [(2, "ONBUILD"), (3, "COPY")]}
    names = {
        (str(image.reference), str(image.platform)): f"pin-{image.reference.familiar[:4]}"
        for image in external_images(text, onbuild=onbuild)
    }
    assert pin_images(text, names, onbuild=onbuild) == (
        "FROM scratch AS one\nFROM pin-base\nCOPY --from=pin-tool /y /y\n"
    )


def test_they_are_instructions_of_the_stage() -> None:
    onbuild = {BASE: ("ARG SOURCE_DATE_EPOCH",)}
    assert instructions(TEXT, onbuild=onbuild) == (
        "FROM base:1 AS one",
        "ARG SOURCE_DATE_EPOCH",
        "ENV A=b",
        "FROM one",
        "COPY own /",
    )
    assert instructions(TEXT, onbuild={}) == instructions(TEXT)


def test_a_target_holds_back_its_own_stages_onbuild_only() -> None:
    text = (
        "FROM base:1 AS one\nONBUILD COPY a /a\nFROM one\n"
        "ONBUILD COPY \\\n  . /app\nonbuild RUN <<EOF\necho\nEOF\n"
    )
    assert onbuild_instructions(text, onbuild={BASE: ("COPY x /x",)}) == (
        "COPY   . /app",
        "RUN <<EOF\necho\nEOF",
    )
    assert onbuild_instructions(text, target="one") == ("COPY a /a",)


@pytest.mark.parametrize("held_back", ["FOO x", "COPY --from=B x y", "RUN a\nRUN b", ""])
def test_what_buildkit_refuses_is_refused_at_the_from(held_back: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        context_inputs(f"# base\n{TEXT}", onbuild={BASE: (held_back,)})
    assert raised.value.line == 2
