"""Generated and mutated Dockerfiles, by the million: no exception but a refusal, and no hang.

``BAILING_FUZZ_COUNT`` says how many, ``BAILING_FUZZ_SEED`` where to begin.
"""

from __future__ import annotations

import os
import random
import re
import time

from bailing_tasks.dockerfile import (
    DockerfileError,
    context_inputs,
    external_images,
    pin_images,
    syntax_frontend,
)

COUNT = int(os.environ.get("BAILING_FUZZ_COUNT", "3000"))
SEED = int(os.environ.get("BAILING_FUZZ_SEED", "1"))
SLOWEST = 2.0

SEEDS = [
    b"""# syntax=docker/dockerfile:1
ARG PYTHON=3.11 BASE=python:${PYTHON}-slim
FROM --platform=$BUILDPLATFORM ${BASE} AS Builder
ARG TARGETARCH
ENV VENV=/opt/venv PATH="/opt/venv/bin:$PATH"
RUN --mount=type=cache,target=/root/.cache,sharing=locked \\
    --mount=type=bind,from=ghcr.io/astral-sh/uv:0.5,source=/uv,target=/bin/uv \\
    # why
    uv sync && \\

    rm -rf /tmp/x
COPY --from=busybox:1 --chown=1:1 --chmod=u=rwX,go=rX /bin/sh /bin/
""",
    b"""# escape=`
FROM mcr.microsoft.com/windows:ltsc AS win
COPY ["a b", "C:\\\\x"]
RUN dir `
  C:\\
FROM win
""",
    b"""FROM a AS x
ONBUILD COPY --from=b:1 --link f g
ONBUILD RUN <<-EOT cat <<"B C"
\tone
\tEOT
two
B C
FROM x
EXPOSE 80 8000-8010/udp
HEALTHCHECK --interval=30s --retries=3 CMD ["curl", "-f", "x"]
STOPSIGNAL SIGTERM
VOLUME ["/a", "/b"]
LABEL a="b c" d='e' f=g\\ h
SHELL ["/bin/sh", "-c"]
""",
    b"""ARG A=a.b.c B=${A#*.} C=${A%%.*} D=${A//./-} E=${X:-${Y:-"$A"}} F=${A:?no}
FROM scratch
COPY <<A <<'B' /x/
${A:+y} $B
A
$C
B
ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://a/b c
ADD https://example.com/a.git?ref=v1#main:sub /src
WORKDIR a/$A/../b
USER ${U:-1000}
CMD x
""",
]
LINES = [
    b"FROM a AS x\nARG A=2\nFROM b\n",
    b"FROM x\n",
    b"ARG A=1\n",
    b"ENV B=$A\n",
    b"COPY --from=x a b\n",
    b"COPY --from=0 a b\n",
    b"COPY --from=b:1 a b\n",
    b"COPY <<E /x\n$A\nE\n",
    b"RUN <<E\nFROM z\nE\n",
    b"RUN --mount=from=c,target=/c x\n",
    b"ONBUILD COPY --from=d e f\n",
    b"EXPOSE $A\n",
    b"# note\n",
    b"\n",
]
PIECES = re.split(
    rb"\|",
    (
        "FROM |ARG |ENV |COPY |COPY --from=|ADD |RUN |ONBUILD |EXPOSE |LABEL |VOLUME |USER |CMD "
        "|SHELL |HEALTHCHECK |STOPSIGNAL |MAINTAINER |--mount=|type=|from=|target=/x|source=| AS "
        "|--platform=|$BUILDPLATFORM|linux/arm64|<<EOF|<<-|<<|\nEOF\n|# escape=`\n|# syntax="
        "|# check=skip=all|#|${A:-|${A#|${A%|${A/|${|}|$A|$|'|\"|\\\n|`\n|\\|`|\n|\r\n|\r| |\t"
        '|=|,|:|/|@|-|--|*|?|.|..|[|]|["a"]|{|1|9999999999|a|A|~|!|\0|\v|\x1c|\xe9|\u2003|\ufeff'
    ).encode(),
)
PIECES += [b"|", b"\x85", b"\xa0", b"\xff", b"\xed\xa0\x80", b"x" * 300, b"${A:-" * 50, b"[" * 50]


def generated(chance: random.Random) -> bytes:
    """A file of pieces, of lines with some pieces, or a seed with some of it changed."""
    kind = chance.random()
    if kind < 0.2:
        head = chance.choice([b"", b"FROM a\n", b"ARG A=1\nFROM a AS x\n"])
        return head + b"".join(chance.choices(PIECES, k=chance.randrange(1, 25)))
    text = chance.choice(SEEDS)
    if kind < 0.6:
        text = b"FROM a AS y\nFROM b:2\n" + b"".join(
            chance.choices(LINES, k=chance.randrange(1, 12))
        )
    for _ in range(chance.choice([0, 1, 1, 2, 3, 6])):
        text = mutated(text, chance)
    return text


def mutated(text: bytes, chance: random.Random) -> bytes:
    """A text with one place changed."""
    start = chance.randrange(len(text) + 1)
    end = min(len(text), start + chance.randrange(1, 30))
    kind = chance.randrange(5)
    if kind == 0:
        return text[:start] + text[end:]
    if kind == 1:
        return text[:end] + text[start:]
    if kind == 2:
        other = chance.choice(SEEDS)
        at = chance.randrange(len(other))
        return text[:start] + other[at : at + chance.randrange(1, 60)] + text[end:]
    if kind == 3:
        return text[:start] + bytes([chance.randrange(256)]) + text[start + 1 :]
    return text[:start] + chance.choice(PIECES) + text[start:]


def tried(text: bytes, chance: random.Random) -> None:
    """Every question that a file can be asked; a copy with pins has to name the pins."""
    request = {
        "target": chance.choice([None] * 7 + ["x", "0", "1"]),
        "platform": chance.choice(["linux/amd64", "linux/arm64"]),
        "build_args": chance.choice([{}, {"A": "$A 'b"}, {"PYTHON": "3", "U": "x"}]),
        "all_stages": chance.random() < 0.2,
    }
    images = external_images(text, **request)  # type: ignore[arg-type]
    names = {(str(i.reference), str(i.platform)): f"pin-{n}" for n, i in enumerate(images)}
    copy = pin_images(text, names, **request)  # type: ignore[arg-type]
    pinned = external_images(copy, **request)  # type: ignore[arg-type]
    assert sorted(i.reference.familiar for i in pinned) == sorted(
        f"{name}:latest" for name in names.values()
    )
    context_inputs(text, **request)  # type: ignore[arg-type]


def refusal(text: bytes, chance: random.Random) -> DockerfileError | None:
    """The refusal that a file ends in, if it ends in one."""
    try:
        tried(text, chance)
        syntax_frontend(text)
    except DockerfileError as error:
        return error
    except Exception as error:
        raise AssertionError(f"{text!r} ends in {error!r}") from error
    return None


def test_nothing_but_refusals_and_no_hang() -> None:
    refused = 0
    for number in range(SEED, SEED + COUNT):
        chance = random.Random(number)
        text = generated(chance)
        began = time.process_time()
        error = refusal(text, chance)
        assert time.process_time() - began < SLOWEST, (number, text)
        if error is not None:
            assert error.cause, (number, text)
            assert error.remedy, (number, text)
            refused += 1
    print(f"{COUNT} inputs: {refused} refused, {COUNT - refused} read")
    assert 0 < refused < COUNT
