"""Nothing that a person may write ends in a traceback, or never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks.errors import UsageError
from bailing_tasks.workflows import model, samples, scripts
from bailing_tasks.workflows.expressions import evaluate

WORDS = st.sampled_from(
    [
        *("if ", "then ", "elif ", "else ", "fi ", "for ", "in ", "do ", "done ", "case ", "esac "),
        *(
            "while ",
            "{ ",
            "} ",
            "( ",
            ") ",
            "[ ",
            "] ",
            "[[ ",
            "]] ",
            "! ",
            "= ",
            "=~ ",
            "-n ",
            "&& ",
        ),
        *(
            "|| ",
            "; ",
            ";; ",
            "\n",
            "\\\n",
            "<<E\n",
            "E\n",
            "> ",
            "2>&1 ",
            "x",
            "y=1 ",
            "x=(",
            "$x ",
        ),
        *(
            "${x",
            "}",
            "$(",
            "`",
            "'",
            '"',
            "# ",
            "docker ",
            "f() ",
            "exit ",
            "echo ",
            "$GITHUB_ENV ",
        ),
    ]
)
MARKS = st.sampled_from(
    [
        *(
            "github",
            ".",
            "ref",
            "[",
            "]",
            "(",
            ")",
            "'a'",
            "1",
            "==",
            "!=",
            "<",
            "&&",
            "||",
            "!",
            ",",
        ),
        *(" ", "format", "'{0}'", "*", "contains", "fromJSON", "'['", "null", "true", "-1", "0x1"),
    ]
)


@given(st.lists(WORDS, max_size=30))
def test_any_script_is_followed_to_its_end(words: list[str]) -> None:
    scripts.run("".join(words), {"x": "a b"})


@given(st.lists(MARKS, max_size=20))
def test_any_expression_has_a_value(marks: list[str]) -> None:
    evaluate("".join(marks), {"github": {"ref": "x"}})


@given(st.text(max_size=40), st.text(alphabet="av*?+[]!\\/.1-", max_size=12))
def test_any_text_is_a_workflow_or_refused(text: str, pattern: str) -> None:
    quoted = pattern.replace("'", "''")
    for each in (
        text,
        f"on: {{push: {{tags: ['{quoted}'], branches: ['{quoted}']}}}}\njobs: {{a: {{b: c}}}}",
    ):
        try:
            workflow = model.read(each, "w.yml")
        except UsageError:
            continue
        list(samples.samples(workflow, "main"))
