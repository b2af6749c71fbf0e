"""Variables expand as in BuildKit's shell lexer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks.dockerfile.shell import Budget, Lexer
from bailing_tasks.dockerfile.text import Refused

ENV = {
    "V": "value",
    "EMPTY": "",
    "DOTS": "a.b.a.b",
    "STAR": "a*b",
    "TWO": "x  y",
    "N_1": "n",
    "LINES": "a1\nb1",
    "\xc3\xa9": "accent",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("plain", "plain"),
        ("$V", "value"),
        ("${V}", "value"),
        ("$V$V", "valuevalue"),
        ("$V-x", "value-x"),
        ("$Vx", ""),
        ("${UNSET}", ""),
        ("$N_1", "n"),
        ("$\xc3\xa9", "accent"),
        ("${\xc3\xa9}", "accent"),
        ("$V\xc3\xa9", ""),
        ("$V\xe2\x82\xac", "value\xe2\x82\xac"),
        ("\xff", "\xef\xbf\xbd"),
        ("\xef\xbb\xbfx$V", "xvalue"),
        ("${V:-w}", "value"),
        ("${UNSET:-w}", "w"),
        ("${EMPTY:-w}", "w"),
        ("${EMPTY-w}", ""),
        ("${UNSET-w}", "w"),
        ("${V:+w}", "w"),
        ("${EMPTY:+w}", ""),
        ("${EMPTY+w}", "w"),
        ("${UNSET+w}", ""),
        ("${V:?m}", "value"),
        ("${EMPTY?m}", ""),
        ("${V#v}", "alue"),
        ("${V#x}", "value"),
        ("${DOTS#*.}", "b.a.b"),
        ("${DOTS##*.}", "b"),
        ("${DOTS%.*}", "a.b.a"),
        ("${DOTS%%.*}", "a"),
        ("${DOTS##*}", ""),
        ("${DOTS#*}", "a.b.a.b"),
        ("${DOTS%b}", "a.b.a."),
        ("${DOTS%%*a}", "a.b.a.b"),
        ("${DOTS#*a*a}", ".b"),
        ("${DOTS##*b*b}", ""),
        ("${DOTS##*x*b}", "a.b.a.b"),
        ("${DOTS#*b*x}", "a.b.a.b"),
        ("${DOTS#?.}", "b.a.b"),
        ("${DOTS/b/c}", "a.c.a.b"),
        ("${DOTS//b/c}", "a.c.a.c"),
        ("${DOTS/x/c}", "a.b.a.b"),
        ("${DOTS//x/c}", "a.b.a.b"),
        ("${DOTS/./_}", "a_b.a.b"),
        ("${DOTS/b*/c}", "a.c"),
        ("${DOTS//*/c}", "c"),
        ("${DOTS/b*x/c}", "a.b.a.b"),
        ("${DOTS//a?/_}", "_b._b"),
        ("${V///_}", "_v_a_l_u_e_"),
        ("${V/a\\/b/x}", "value"),
        ("${STAR#a\\*}", "b"),
        ("${STAR#a\\?}", "a*b"),
        ("${STAR#\\}}", "a*b"),
        ("${V//l/\\$0\\$0}", "valluea"[:2] + "\\l\\l" + "ue"),
        ("${LINES#*1}", "\nb1"),
        ("${LINES##*1}", "\nb1"),
        ("${LINES//a*/_}", "_\nb1"),
        ("${LINES/b*/_}", "a1\n_"),
        ("${LINES/1*b/_}", "a1\nb1"),
        ("${UNSET#x}", ""),
        ("${UNSET/x/y}", ""),
        ("${UNSET:-${V}}", "value"),
        ("${UNSET:-${ALSO:-${V%e}}}", "valu"),
        ("${UNSET:-'a}b'}", "a}b"),
        ('${UNSET:-"$V"}', "value"),
        ("${UNSET:-a\\}b}", "a}b"),
        ('"$V"', "value"),
        ("'$V'", "$V"),
        ('"\\$V"', "$V"),
        ('"a\\"b"', 'a"b'),
        ('"a\\b"', "a\\b"),
        ("\\$V", "$V"),
        ("a\\b", "ab"),
        ("a$", "a$"),
        ("$1x", "x"),
        ("$@x", "x"),
        ("$-", ""),
        ("${1}", ""),
        ("\\", ""),
        ("a\\", "a"),
    ],
)
def test_expression_becomes(expression: str, expected: str) -> None:
    assert Lexer(budget=Budget()).expand(expression, ENV).text == expected


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [("$0", "[a]"), ("${0}", "[a]"), ("$$", "[$]"), ("$1", "[]"), ("$x", "[]"), ("$", "[$]")],
)
def test_group_names_count_where_every_match_is_replaced(replacement: str, expected: str) -> None:
    assert Lexer().expand("${V//a/$R}", {"V": "[a]", "R": replacement}).text == expected


@pytest.mark.parametrize(
    "expression",
    [
        "'open",
        '"open',
        "${",
        "${V",
        "${V:-w",
        "${V/a",
        "${V/a/b",
        "${}",
        "${:-a}",
        "${{V}}",
        "${V!x}",
        "${V:x}",
        "${V,}",
        "${UNSET:?m}",
        "${UNSET?}",
        "${EMPTY:?}",
        "${V#\\x}",
        '${UNSET:-"}',
    ],
)
def test_malformed_expression_is_refused_with_cause_and_remedy(expression: str) -> None:
    with pytest.raises(Refused) as caught:
        Lexer().expand(expression, ENV)
    assert caught.value.cause
    assert caught.value.remedy


def test_the_message_of_a_question_mark_is_told() -> None:
    with pytest.raises(Refused, match="V: set it value"):
        Lexer().expand("${V1:?${X-V: set it} $V}".replace("V1", "NO"), ENV)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a`$V", "a$V"),
        ("a\\b", "a\\b"),
        ('"a`"b"', 'a"b'),
        ("${UNSET:-a`}b}", "a}b"),
    ],
)
def test_another_escape_character(expression: str, expected: str) -> None:
    assert Lexer("`").expand(expression, ENV).text == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("it's $V", "it's value"), ('"$V"', '"value"'), ("\\$V", "$V")],
)
def test_quotes_mean_nothing_in_a_heredoc_s_body(expression: str, expected: str) -> None:
    assert Lexer(quotes=False).expand(expression, ENV).text == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a b", ("a", "b")),
        (" a\t b\n", ("a", "b")),
        ("'a b' c", ("a b", "c")),
        ('a" "b', ("a b",)),
        ("a\\ b", ("a b",)),
        ("$TWO", ("x", "y")),
        ('"$TWO"', ("x  y",)),
        ("z$TWO", ("zx", "y")),
        ("'' a", ("a",)),
        ("$EMPTY", ()),
        ("", ()),
        ("a\xc2\xa0b", ("a", "b")),
        ("a\x1cb", ("a\x1cb",)),
    ],
)
def test_words_part_at_white_space_that_is_not_quoted(
    expression: str, expected: tuple[str, ...]
) -> None:
    assert Lexer(budget=Budget()).split(expression, ENV) == expected


@pytest.mark.parametrize(
    "expression", ["$X", "${X}", "${X:-a}", "${X-$Y}", "${X/a/b}", "'a'", '"a"', "a\\b", '"a\\"b"']
)
def test_unset_names_quotes_and_escapes_can_be_kept(expression: str) -> None:
    lexer = Lexer(raw_quotes=True, raw_escapes=True, keep_unset=True)
    assert lexer.split(expression, {}) == (expression,)


def test_the_names_asked_for_are_told() -> None:
    assert Lexer().expand("$A ${B:-$C}", {}).names == {"A", "B", "C"}
    assert Lexer().expand("$A-${B}", {}).names == {"A", "B"}


@pytest.mark.parametrize("form", ["${A:-%s}", '"${A:-%s}"', "${A#%s}", "${A/%s/b}", "${A:?%s}"])
def test_depth_has_no_limit(form: str) -> None:
    before, _, after = form.partition("%s")
    depth = 20_000
    text = Lexer(budget=Budget()).expand(before * depth + "x" + after * depth, {"A": "v"}).text
    assert text in ("v", "b", "")


def test_variables_that_multiply_are_refused() -> None:
    env = {"A": "x" * 1_000_000}
    with pytest.raises(Refused, match="more text"):
        Lexer(budget=Budget()).expand("$A" * 100, env)
    with pytest.raises(Refused, match="more text"):
        Lexer(budget=Budget()).expand('"$A$A"' * 100, env)


@given(st.text(alphabet="ab*", max_size=6), st.text(alphabet="ab", max_size=8))
def test_what_a_prefix_pattern_leaves_ends_the_value(pattern: str, value: str) -> None:
    for operator in ("#", "##"):
        left = Lexer().expand(f"${{V{operator}{pattern}}}", {"V": value}).text
        assert value.endswith(left)
    for operator in ("%", "%%"):
        left = Lexer().expand(f"${{V{operator}{pattern}}}", {"V": value}).text
        assert value.startswith(left)


@given(st.text(alphabet="ab*?", min_size=1, max_size=6), st.text(alphabet="ab", max_size=8))
def test_patterns_agree_with_regular_expressions(pattern: str, value: str) -> None:
    for greedy, operator in ((True, "##"), (False, "#")):
        star = ".*" if greedy else ".*?"
        text = "".join({"*": star, "?": "."}.get(char, char) for char in pattern)
        match = re.match(text, value)
        expected = value[match.end() :] if match else value
        assert Lexer().expand(f"${{V{operator}{pattern}}}", {"V": value}).text == expected
    greedy_text = "".join({"*": ".*", "?": "."}.get(char, char) for char in pattern)
    found = Lexer().expand(f"${{V/{pattern}/_}}", {"V": value}).text
    assert found == re.sub(greedy_text, "_", value, count=1)
