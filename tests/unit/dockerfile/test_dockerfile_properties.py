"""Whatever a file holds: the answers agree, and nothing but a refusal is raised."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailing_tasks.dockerfile import (
    DockerfileError,
    context_inputs,
    declared_args,
    external_images,
    instructions,
    pin_images,
    stages,
    syntax_frontend,
)
from bailing_tasks.dockerfile.dockerignore import DockerIgnore, matches_source
from bailing_tasks.errors import UsageError

_PIECES = st.sampled_from(
    [
        "FROM ", "FROM a AS x\n", "FROM x\n", "FROM b:1\n", "ARG A=1\n", "ARG ", "ENV A=$A\n",
        "ENV ",
        "COPY --from=", "COPY --from=x a b\n", "COPY --from=0 a b\n", "COPY <<EOF /x\n", "ADD ",
        "RUN ", "RUN <<EOF\n", "RUN --mount=from=", "RUN --mount=type=bind,from=c,target=/c x\n",
        "EOF\n", "ONBUILD ", "EXPOSE ", "VOLUME ", "LABEL ", "HEALTHCHECK ", "STOPSIGNAL ", "USER ",
        "WORKDIR ", "CMD ", "SHELL ", "# escape=`\n", "# syntax=", "# check=", "#", "\\\n", "`\n",
        "\\", "`", "\n", "\r\n", " ", "\t", "\u00a0", "\u2003", "\ufeff", "\u00e9", "\x00", "\x1c",
        "a", "b:1", "x", "A", "1", "/", ":", ",", "=", "-", "--", "@sha256:", "<<", "<<-", "<",
        "$A", "${A}", "${A:-", "${A#", "${A/", "${", "}", "$", "'", '"', "[", "]", '["a", "b"]',
        "{", "1s", "80", "linux/arm64", "--platform=$BUILDPLATFORM ", " AS ", "*", "?", "..", "!",
    ]
)  # fmt: skip
_TEXT = st.lists(_PIECES, max_size=24).map("".join)
_BYTES = st.one_of(_TEXT.map(str.encode), st.binary(max_size=40))
_HEADS = st.sampled_from(
    [b"FROM a\n", b"FROM scratch\n", b"# check=error=true;experimental=all\nFROM scratch\n"]
)
_FILES = st.one_of(_TEXT, _BYTES, st.builds(lambda head, body: head + body, _HEADS, _BYTES))
_ARGS = st.dictionaries(st.sampled_from(["A", "B", "TARGETARCH"]), st.sampled_from(["", "v", "$A"]))


def refusal(ask: Callable[..., object], *args: object, **request: object) -> DockerfileError | None:
    """The refusal that a question ends in, if it ends in one."""
    try:
        ask(*args, **request)
    except DockerfileError as error:
        return error
    return None


@settings(max_examples=1500, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(_FILES, _ARGS)
def test_nothing_but_a_refusal_is_raised(text: str | bytes, build_args: dict[str, str]) -> None:
    refusals = [
        refusal(ask, text, build_args=build_args)
        for ask in (external_images, context_inputs, instructions)
    ]
    refusals += [refusal(ask, text) for ask in (stages, declared_args, syntax_frontend)]
    for error in filter(None, refusals):
        assert error.cause
        assert error.remedy
        assert 0 <= error.line <= len(text) + 1


@settings(max_examples=500, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(_FILES)
def test_a_pinned_copy_names_the_pins_and_nothing_else(text: str | bytes) -> None:
    try:
        images = external_images(text, platform="linux/arm64")
    except DockerfileError:
        return
    names = {
        (str(image.reference), str(image.platform)): f"pin-{number}"
        for number, image in enumerate(images)
    }
    copy = pin_images(text, names, platform="linux/arm64")
    assert type(copy) is type(text)
    assert len(copy.splitlines()) == len(text.splitlines())
    pinned = external_images(copy, platform="linux/arm64")
    assert {(i.reference.familiar, i.platform, i.mentions) for i in pinned} == {
        (f"pin-{number}:latest", i.platform, i.mentions) for number, i in enumerate(images)
    }
    assert pin_images(text, {}) == text


@given(_FILES)
def test_text_and_its_bytes_name_the_same(text: str | bytes) -> None:
    if isinstance(text, bytes):
        return
    try:
        images = external_images(text)
    except DockerfileError:
        images = ()
    try:
        assert external_images(text.encode()) == images
    except DockerfileError:
        assert images == ()


@given(st.text(alphabet="ab*?[]^-!\\/. \n#", max_size=20), st.text(alphabet="ab/.", max_size=8))
def test_patterns_end_in_an_answer_or_a_refusal(text: str, path: str) -> None:
    matches_source(text, path)
    with contextlib.suppress(UsageError):
        DockerIgnore.parse(text).ignores(path.strip("/"))
