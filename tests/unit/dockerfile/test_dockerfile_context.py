"""Which paths of the build context the stages that a target reaches do read."""

from __future__ import annotations

import pytest

from bailing_tasks.dockerfile import ContextInput, context_inputs

F = "FROM a\n"


def patterns(text: str) -> list[str]:
    return [each.pattern for each in context_inputs(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY a b /x", ["a", "b"]),
        ("ADD a /x", ["a"]),
        ("COPY . /x", ["."]),
        ("COPY ./ /x", ["."]),
        ("COPY / /x", ["."]),
        ("COPY .. /x", ["."]),
        ("COPY ../a /x", ["a"]),
        ("COPY /a//b/ /x", ["a/b"]),
        ('COPY ["a b", "/x"]', ["a b"]),
        ("COPY a\\ b /x", ["a", "b"]),
        ("COPY *.py d/?[ab] /x", ["*.py", "d/?[ab]"]),
        ("COPY d/**/x /x", ["d/*/x"]),
        ("COPY --parents d/**/x ./e/./f /x", ["d/**/x", "e/f"]),
        ("COPY --exclude=*.pyc a /x", ["a"]),
        ("COPY --from=b a /x", []),
        ("COPY <<EOF a /x\nEOF\n", ["a"]),
        ("COPY <<EOF /x\nEOF\n", []),
        ("ADD http://a/b https://a/b.git c /x", ["c"]),
        ("ARG D=src\nCOPY $D/a /x", ["src/a"]),
        ("ENV D=src\nCOPY ${D}/a $D/b /x", ["src/a", "src/b"]),
        ("COPY ${D:-src} /x", ["."]),
        ("COPY $PATH /x", ["."]),
        ("ENV D=$FROM_IMAGE/src\nCOPY $D /x", ["."]),
        ("ENV D=$FROM_IMAGE\nENV E=$D\nARG G=$E\nCOPY $G /x", ["."]),
        ("ENV D=$FROM_IMAGE\nENV D=src\nCOPY $D /x", ["src"]),
        ("RUN --mount=target=/x y", ["."]),
        ("RUN --mount=source=a/b,target=/x y", ["a/b"]),
        ("RUN --mount=source=a*,target=/x y", ["a\\*"]),
        ("ARG S=a\nRUN --mount=source=$S,target=/x y", ["a"]),
        ("RUN --mount=source=$S,target=/x y", ["."]),
        ("RUN --mount=from=b,source=c,target=/x y", []),
        ("RUN --mount=type=cache,target=/x --mount=type=tmpfs,target=/y z", []),
        ("RUN cp a b", []),
    ],
)
def test_the_inputs_are(text: str, expected: list[str]) -> None:
    assert patterns(F + text) == expected


def test_variables_of_scratch_are_known() -> None:
    assert patterns("FROM scratch\nCOPY ${D:-src} $PATH /x") == [
        "src",
        "usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]


def test_a_stage_has_the_variables_of_its_base() -> None:
    text = "FROM a AS x\nENV D=src\nARG E=lib\nFROM x\nENV D=$D/2\nCOPY $D $E /x"
    assert patterns(text) == ["src/2", "lib"]


def test_stages_on_one_base_do_not_share_their_variables() -> None:
    text = (
        "FROM scratch AS x\nENV A=1\nENV B=1\nFROM x AS y\nENV A=2\nCOPY $A$B /\nFROM x AS z\n"
        "COPY $A$B /\nENV B=3\nFROM z\nCOPY $A$B /\nCOPY --from=y / /"
    )
    assert patterns(text) == ["21", "11", "13"]


def test_a_long_chain_of_stages_hands_its_variables_on() -> None:
    stages = "".join(f"FROM s{n} AS s{n + 1}\nENV A{n}={n} LAST={n}\n" for n in range(40))
    assert patterns(f"FROM scratch AS s0\nENV LAST=x\n{stages}COPY $A0-$A20-$LAST /") == ["0-20-39"]


def test_a_stage_sees_global_args_only_if_it_declares_them() -> None:
    assert patterns("ARG D=src\nFROM scratch\nCOPY x$D /\nARG D\nCOPY x$D /") == ["x", "xsrc"]


def test_a_build_argument_is_what_a_stage_s_arg_holds() -> None:
    text = f"{F}ARG D=src\nCOPY $D /"
    assert [each.pattern for each in context_inputs(text, build_args={"D": "lib"})] == ["lib"]


def test_only_what_the_target_reaches_counts() -> None:
    text = "FROM a AS one\nCOPY x /\nFROM b\nCOPY y /"
    assert context_inputs(text) == (ContextInput("y", 4, "COPY"),)
    assert context_inputs(text, target="one") == (ContextInput("x", 2, "COPY"),)
    assert len(context_inputs(text, all_stages=True)) == 2


def test_each_input_tells_where_it_is_read() -> None:
    text = f"{F}COPY a /\nADD b /\nRUN --mount=source=c,target=/x \\\n y\nCOPY a a /"
    assert context_inputs(text) == (
        ContextInput("a", 2, "COPY"),
        ContextInput("b", 3, "ADD"),
        ContextInput("c", 4, "mount"),
        ContextInput("a", 6, "COPY"),
    )


def test_what_an_onbuild_reads_counts_where_it_is_let_go() -> None:
    text = "FROM a AS x\nONBUILD COPY pyproject.toml /\nFROM x\n"
    assert context_inputs(text) == (ContextInput("pyproject.toml", 2, "COPY"),)
