"""Large and hostile files take the time that their length takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from bailing_tasks.dockerfile import DockerfileError, external_images

F = "FROM a\n"


def nested(opening: str, closing: str, size: int) -> str:
    """An expression that deep, on lines that are not too long."""
    lines = [opening * 1000] * (size // 1000) + ["x"] + [closing * 1000] * (size // 1000)
    return "ARG A=" + "\\\n".join(lines) + "\n" + F


GROWING: dict[str, Callable[[int], str]] = {
    "ARGs": lambda n: "".join(f"ARG A{i}=$A{i - 1}x\n" for i in range(n // 10)) + F,
    "one ARG": lambda n: "ARG \\\n" + " \\\n".join(f"A{i}=v" for i in range(n)) + "\n" + F,
    "lines": lambda n: F + "RUN x\n" * n,
    "continuations": lambda n: F + "RUN x \\\n" * n + "y",
    "comments in a continuation": lambda n: F + "RUN x \\\n" + "# y\n" * n,
    "stages": lambda n: "FROM a AS s\n" * n,
    "a chain of stages": lambda n: (
        "FROM a AS s0\n"
        + "".join(f"FROM s{i} AS s{i + 1}\nENV A{i}=x B=$A\n" for i in range(n // 4))
    ),
    "copies in a chain": lambda n: (
        "FROM a AS s0\n"
        + "".join(f"FROM a AS s{i + 1}\nCOPY --from=s{i} a b\n" for i in range(n // 4))
    ),
    "images": lambda n: F + "".join(f"COPY --from=i{i} a b\n" for i in range(n // 4)),
    "mounts": lambda n: F + "RUN \\\n" + "--mount=from=i,target=/a \\\n" * (n // 4) + "x",
    "nested braces": lambda n: nested("${B:-y", "}", n // 4),
    "nested quotes": lambda n: nested('"${B:-', '}"', n // 4),
    "nested patterns": lambda n: nested("${B#", "}", n // 4),
    "open braces": lambda n: nested("${B:-", "", n // 4),
    "heredocs": lambda n: F + "RUN <<A\nx\nA\n" * (n // 4),
    "heredocs in one line": lambda n: (
        F + "RUN \\\n" + " \\\n".join(["<<A"] * (n // 4)) + "\n" + "A\n" * (n // 4)
    ),
    "a heredoc's lines": lambda n: F + "COPY <<A b\n" + "$x ${y:-z}\n" * (n // 4) + "A\n",
    "an open heredoc": lambda n: F + "RUN <<A\n" * n,
    "ONBUILDs": lambda n: "FROM a AS x\n" + "ONBUILD RUN x\n" * (n // 4) + "FROM x",
    "brackets": lambda n: F + "RUN " + " \\\n".join(["[" * 1000] * (n // 1000)),
    "strings": lambda n: F + "RUN [" + ", \\\n".join(['"a"'] * n) + "]",
    "stars": lambda n: (
        "ARG A=" + "\\\n".join(["a" * 1000] * (n // 1000)) + "\nARG B=${A##*a*a*a*a*b}\n" + F
    ),
    "a malformed name": lambda n: "FROM " + "\\\n".join(["a-./" * 250] * (n // 1000)) + "!",
    "spaces": lambda n: F + "RUN \\\n" + "\u2003" * (n // 2) + "x" + "\u2003" * (n // 2),
    "names before a quote": lambda n: (
        "ARG A=" + "\\\n".join(["$ABCDEFGH" * 100] * (n // 500)) + "'\n" + F
    ),
    "spaces in a directive": lambda n: "# syntax=x" + " " * (n * 6) + "y\n" + F,
    "quotes": lambda n: F + "ENV A=" + " \\\n".join(["'x\"" * 100] * (n // 100)),
    "zeros": lambda n: "\0" * n,
}


def seconds(text: str) -> float:
    began = time.process_time()
    with contextlib.suppress(DockerfileError):
        external_images(text)
    return time.process_time() - began


@pytest.mark.parametrize("make", GROWING.values(), ids=GROWING.keys())
def test_ten_times_the_text_takes_about_ten_times_as_long(make: Callable[[int], str]) -> None:
    small = min(seconds(make(1_000)) for _ in range(3))
    large = min(seconds(make(10_000)) for _ in range(2))
    assert large < max(0.3, 30 * small)


def test_a_megabyte_of_args_is_read() -> None:
    text = "".join(f"ARG NAME_{i}=value-{i}\n" for i in range(40_000)) + "FROM a:$NAME_39999"
    assert len(text) > 1_000_000
    (image,) = external_images(text)
    assert image.reference.tag == "value-39999"


def test_variables_that_multiply_are_refused_at_once() -> None:
    text = "ARG A0=xxxxxxxx\n" + "".join(f"ARG A{i + 1}={f'$A{i}' * 10}\n" for i in range(50)) + F
    with pytest.raises(DockerfileError) as caught:
        external_images(text)
    assert caught.value.line < 12
