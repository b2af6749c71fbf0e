"""Shell scripts: which commands they run, with which words."""

from __future__ import annotations

import pytest

from bailing_tasks.workflows import scripts
from bailing_tasks.workflows.expressions import UNKNOWN, Truth

VARIABLES = {
    "REF": "refs/tags/v1.2",
    "NAME": "Voice",
    "EMPTY": "",
    "LIST": "a b",
    "PWD": "/here",
    "DARK": UNKNOWN,
}


def commands(text: str) -> list[tuple[str, Truth]]:
    """What is run, and whether; commands that are not are left out."""
    found = scripts.run(text, VARIABLES).commands
    return [(" ".join(each.argv), each.runs) for each in found if each.runs is not False]


def ran(text: str) -> list[str]:
    """What is run for sure."""
    return [words for words, runs in commands(text) if runs]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a b # c", ["a b"]),
        ("# a b\na#b", ["a#b"]),
        ("a \\\n  b\nc", ["a b", "c"]),
        ("a; b & c && d | e |& f", ["a", "b", "c", "d", "e", "f"]),
        ("a '$REF' \"$NAME\" $REF", ["a $REF Voice refs/tags/v1.2"]),
        ('a $LIST "$LIST" \'x y', ["a a b a b x y"]),
        ('a "x\\"y" x\\ y "', ['a x"y x y ']),
        ("a $EMPTY b", ["a b"]),
        ("a $NOTHING", [f"a {UNKNOWN}"]),
        ("a ${NAME} ${NAME,,} ${EMPTY:-x} ${NAME:-x}", ["a Voice voice x Voice"]),
        ("a ${REF#refs/tags/} ${REF##*/} ${REF%.*} ${REF%%/*}", ["a v1.2 v1.2 refs/tags/v1 refs"]),
        ("a ${REF#x} ${NAME:+y}${EMPTY:+z} ${DARK:-x}", [f"a refs/tags/v1.2 y {UNKNOWN}"]),
        ("a ${NAME/a/b} ${NAME!}", [f"a {UNKNOWN} {UNKNOWN}"]),
        ("a $(git describe) `date` $(pwd) $1", [f"a {UNKNOWN} {UNKNOWN} /here {UNKNOWN}"]),
        ("a $(x (y) $(z))b", [f"a {UNKNOWN}b"]),
        ("X=1 Y=2\na $X$Y", ["a 12"]),
        ("X=1; X+=2; export Z=$X; readonly; a $X $Z", ["a 12 12"]),
        ("N+=1; a $N", [f"a {UNKNOWN}1"]),
        ("X=(a b); a ${X[@]} $X", [f"a {UNKNOWN} {UNKNOWN}"]),
        ("X=1 sudo env Y=2 a b", ["a b"]),
        ("sudo", []),
        ("cat <<EOF > file 2>&1\ndocker push x\nEOF\na", ["cat", "a"]),
        ("cat <<-'A' <<B\nx\n\tA\ny\nB\na", ["cat", "a"]),
        ("cat <<A\nx", ["cat"]),
        ("a > b 2> c < d &> e >> f", ["a"]),
        ("a >", ["a"]),
        ("if [ $NAME = Voice ]; then a; else b; fi", ["a"]),
        ("if [ $NAME != Voice ]\nthen\na\nelif [ -n x ]\nthen b\nelse c\nfi", ["b"]),
        ("if [ $NAME == x ]; then a; fi; b", ["b"]),
        ("[ -z $EMPTY ] && a", ["a"]),
        ('[ -z "$EMPTY" ] && a', ["a"]),
        ('[ -n "$NAME" ] || a', []),
        ("test $NAME = Voice && a || b", ["a"]),
        ("test $NAME = x && a || b", ["b"]),
        ('[ "$NAME" ] && a', ["a"]),
        ("[ ! $NAME = x ] && a", ["a"]),
        ("! [ $NAME = x ] && a", ["a"]),
        ("[ $NAME = x -o $NAME = Voice ] && a", ["a"]),
        ("[ $NAME = Voice -a $NAME = x ] || a", ["a"]),
        ("[[ $REF == refs/tags/* && -n $NAME ]] && a", ["a"]),
        ("[[ $REF == 'refs/tags/*' || $NAME = x ]] || a", ["a"]),
        ("[[ $REF =~ ^refs/(tags|x)/ ]] && a", ["a"]),
        ("[[ $REF =~ '[' ]] && a", []),
        ("false || a", ["a"]),
        ("false && a", []),
        ("exit 0; a", []),
        ("[ $NAME = x ] && exit; a", ["a"]),
        ("for X in 1 $LIST; do a $X; done", ["a 1", "a a", "a b"]),
        ("for X in 1\ndo\na $X\ndone; b", ["a 1", "b"]),
        ("for X; do a; done; b", ["b"]),
        ("while a; do b; done; c", ["c"]),
        ("until a\ndo b; done", []),
        ("case $NAME in\n Voice) a ;;\n x|y) b;; esac; c", ["c"]),
        ("case x in", []),
        ("{ a; b; }; (c; d)", ["a", "b", "c", "d"]),
        ("f() { a $1; }\nf x; b", [f"a {UNKNOWN}", "b"]),
        ("f()\n{\n f\n}\nf", ["f"]),
        ("if", []),
        ("for", []),
        ("> ( a", ["a"]),
        ("fi; a", ["a"]),
        ("done a", ["a"]),
        ("a <<<x", ["a"]),
        ("&& a", ["a"]),
        ("a\r\nb", ["a", "b"]),
        ("a &&\n\n b", ["a", "b"]),
        ("a '", ["a "]),
        ('a "', ["a "]),
        ("a \\", ["a "]),
        ("a $", ["a $"]),
        ("a b)", ["a b"]),
    ],
)
def test_commands_are_run_with_their_words(text: str, found: list[str]) -> None:
    assert ran(text) == found


def test_what_is_not_known_is_neither_run_nor_left_out() -> None:
    assert commands("[ -f file ] && a; b") == [("a", None), ("b", True)]
    assert commands("if [ $DARK = x ]; then X=1; else X=2; fi; a $X") == [(f"a {UNKNOWN}", True)]
    assert commands("[ $DARK ] && a") == [("a", None)]
    assert commands("[ -n $DARK ] && a") == [("a", None)]
    assert commands("[[ $DARK =~ x ]] && a") == [("a", None)]
    assert commands("[ a -nt b ] && a") == [("a", None)]
    assert commands("for X in $DARK; do a; done") == [("a", None)]
    assert commands("[ $DARK = x ] && exit; a") == [("a", None)]
    assert commands("while true; do a; done")[-1] == ("a", None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("if ./test; then a; else b; fi", [("./test", True), ("a", None), ("b", None)]),
        ("if ! ./test; then a; fi", [("./test", True), ("a", None)]),
        ("if x && ./test; then a; fi", [("x", True), ("./test", None), ("a", None)]),
        ("if [ $NAME = x ] && ./test; then a; fi", []),
        ("if [ $NAME = Voice ] || ./test; then a; fi", [("a", True)]),
        ("if docker push x; then a; fi", [("docker push x", True), ("a", True)]),
        ("if true; then a; fi; if false; then b; fi", [("a", True)]),
        # Where a job fails, nothing more is of interest; where it ends well, that is not known.
        ("if ! ./test; then exit 1; fi; a", [("./test", True), ("a", True)]),
        ("if ./test; then exit 0; fi; a", [("./test", True), ("a", None)]),
        # Elsewhere what is run succeeds.
        ("./test && a", [("./test", True), ("a", True)]),
        ("if [ $NAME = Voice ]; then ./test && a; fi", [("./test", True), ("a", True)]),
    ],
)
def test_what_a_program_answers_is_not_known(text: str, found: list[tuple[str, Truth]]) -> None:
    assert commands(text) == found


def test_lines_are_those_of_the_file() -> None:
    found = scripts.run("a\n\nb \\\n c\nd <<E\nx\nE\ne 'x\ny' && f", {}, 10).commands
    assert [(each.argv[0], each.line) for each in found] == [
        *(("a", 10), ("b", 12), ("d", 14), ("e", 17), ("f", 18)),
    ]


def test_what_is_written_for_later_steps_is_known() -> None:
    text = """
    echo "tag=${REF##*/}" >> "$GITHUB_OUTPUT"
    echo NAME=x >> ${GITHUB_ENV}
    [ $DARK ] && echo dark=1 >> $GITHUB_OUTPUT
    [ $NAME = x ] && echo never=1 >> $GITHUB_OUTPUT
    echo only text >> $GITHUB_OUTPUT
    echo text
    """
    assert scripts.run(text, VARIABLES).written == {
        "GITHUB_OUTPUT": {"tag": "v1.2", "dark": UNKNOWN},
        "GITHUB_ENV": {"NAME": "x"},
    }
