"""`.env` files: what they hold, and how one follows its example."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailing_tasks import env_file
from bailing_tasks.errors import UsageError


@pytest.mark.parametrize(
    ("text", "values"),
    # Measured on Docker Compose 2.26, but for the last four (see the module).
    [
        ("", {}),
        ("\n  \n# only a comment", {}),
        ("A=b", {"A": "b"}),
        ("  A = b c  ", {"A": "b c"}),
        ("A=", {"A": ""}),
        ("A=b # c", {"A": "b"}),
        ("A=b# c", {"A": "b# c"}),
        ("A=#c", {"A": "#c"}),
        ("A==b", {"A": "=b"}),
        ("A=\\n`x`\\", {"A": "\\n`x`\\"}),
        ("A=x'y", {"A": "x'y"}),
        ("A: b", {"A": "b"}),
        ("export A=b", {"A": "b"}),
        ("exportA=b\nexport=c", {"exportA": "b", "export": "c"}),
        ("A-B=1\nA.B=2\n1A=3", {"A-B": "1", "A.B": "2", "1A": "3"}),
        ("A=1\nB=2\nA=3", {"A": "3", "B": "2"}),
        ("\ufeffA=b", {"A": "b"}),
        ("A=b\r\nB='c'\r\n", {"A": "b", "B": "c"}),
        ("A=\xa0b", {"A": "b"}),
        ("A='x # $y' # z\nB=2", {"A": "x # $y", "B": "2"}),
        ("A='it\\'s \\n \\\\'", {"A": "it's \\n \\\\"}),
        ("A='x\n# y\n'\nB=2", {"A": "x\n# y\n", "B": "2"}),
        ('A="a\\nb\\tc\\\\d\\"e\\$HOME \\0123 \\0777 \\x"', {"A": 'a\nb\tc\\d"e$HOME S ?7 \\x'}),
        ("B=1\nA=$B-${B}x", {"B": "1", "A": "1-1x"}),
        ('B=1\nA="$B"', {"B": "1", "A": "1"}),
        ("A=$$x $1", {"A": "$x $1"}),
        ("A=${B:-d}", {"A": "d"}),
        ("A=\udcff\udcfe", {"A": "\udcff\udcfe"}),
        ("A", {}),
        ("A= # c", {"A": ""}),
        ("A=b\t# c", {"A": "b"}),
    ],
)
def test_values_are_those_of_compose(text: str, values: dict[str, str]) -> None:
    assert env_file.read(text, {}) == values


def test_the_environment_goes_first() -> None:
    text = "A=file\nB=$A\nBARE\nNONE\nC=${UNSET}"
    assert env_file.read(text, {"A": "shell", "BARE": "b", "C": "c", "OTHER": "o"}) == {
        "A": "shell",
        "B": "shell",
        "BARE": "b",
        "C": "c",
    }


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (f"A=1\n\n{SECRET} {SECRET}", "x/.env:3", "no NAME=value"),
        (f"={SECRET}", "x/.env:1", "no NAME=value"),
        (f"# c\nA B={SECRET}", "x/.env:2", "no NAME=value"),
        (f"A='1\n2'\nB='{SECRET}", "x/.env:3", "quote that opens the value of B"),
        (f'B="{SECRET}\\"', "x/.env:1", "quote that opens the value of B"),
        (f"B='{SECRET}' C=2", "x/.env:1", "behind the closing quote of B"),
        (f"A=1\r\nB={SECRET}$x\r\nC=${{y}}\nD=$C", "x/.env:2: B: a $", "x/.env:3: C: a $"),
        (f"B={SECRET}${{", "x/.env:1", "no name follows"),
    ],
)
def test_a_malformed_line_is_named_and_its_value_is_not_shown(
    text: str, place: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        env_file.read(text, {}, path="x/.env")
    message = str(caught.value)
    assert place in message
    assert said in message
    assert "D" not in message.split()
    assert SECRET not in message
    assert caught.value.remedy


def test_what_names_a_refused_value_is_refused_once() -> None:
    with pytest.raises(UsageError, match=r"^1 values"):
        env_file.read("A=$NO\nB=$A", {})


TEXT = "# mine\r\nA = 'kept'   # why\r\nOLD=1\nexport B=2"
EXAMPLE = """\
# Everything
# about A
A=1

# A section

# New one:
# it has two lines
NEW='x
y'
B=b
LAST=z # end"""


def test_new_names_come_at_the_end_with_their_comments() -> None:
    followed = env_file.follow(TEXT, EXAMPLE)
    assert followed.added == ("NEW", "LAST")
    assert followed.removed == ("OLD",)
    assert followed.text == (f"{TEXT}\n# New one:\n# it has two lines\nNEW='x\ny'\nLAST=z # end\n")


def test_a_file_that_has_all_names_stays_as_it_is() -> None:
    text = "A=1 \nB=2"  # no end of line either
    assert env_file.follow(text, "B=\nA=\n") == env_file.Followed(text=text, added=(), removed=())


def test_the_malformed_file_is_the_one_that_is_named() -> None:
    with pytest.raises(UsageError, match=r"\.env:1: "):
        env_file.follow("a b", "c d")
    with pytest.raises(UsageError, match=r"\.env\.example:1: "):
        env_file.follow("a=b", "c d")


LINES = st.lists(
    st.one_of(
        st.just(""),
        st.text("# abc='", max_size=6).map(lambda text: f"#{text}"),
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["A", "B", "C", "export D", " E "]),
            st.sampled_from(["=", ": ", " = "]),
            st.sampled_from(["", "x", "x # y", "'a\nb' # c", '"a\\"b"', "$$", "${A:-d}"]),
        ),
    ),
    max_size=8,
).flatmap(
    lambda lines: st.builds(
        "{}{}".format, st.just("\n".join(lines)), st.sampled_from(["", "\n", "\r\n"])
    )
)


@given(LINES, LINES)
@example("A=1", "")
def test_following_keeps_what_is_there_and_is_done_once(text: str, wanted: str) -> None:
    followed = env_file.follow(text, wanted)
    assert followed.text.startswith(text)
    before, after = env_file.read(text, {}), env_file.read(followed.text, {})
    assert {name: after[name] for name in before} == before
    assert set(after) == set(before) | set(env_file.read(wanted, {}))
    assert tuple(after)[len(before) :] == followed.added
    again = env_file.follow(followed.text, wanted)
    assert (again.text, again.added, again.removed) == (followed.text, (), followed.removed)
