"""Stages, arguments, the frontend, and the recipe of a target."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bailing_tasks.dockerfile import (
    DockerfileError,
    declared_args,
    instructions,
    labels,
    stages,
    syntax_frontend,
)


def test_stages_have_numbers_names_and_lines() -> None:
    text = "ARG X\nFROM a AS Build\nRUN x\nFROM b\nFROM build as last"
    assert stages(text) == ((0, "build", 2), (1, None, 4), (2, "last", 5))


def test_every_arg_is_declared_wherever_it_stands() -> None:
    text = 'ARG A B=1\nFROM a\nARG C="x y"\nENV D=1\nFROM b\nARG A \\\n  E'
    assert declared_args(text) == {"A", "B", "C", "E"}


def test_labels_are_those_of_the_stage_and_of_what_it_is_built_on() -> None:
    text = """\
FROM a AS base
LABEL one=1 "two"="2"
FROM b AS tools
LABEL tool=1
FROM base AS last
COPY --from=tools /x /x
RUN y
LABEL three 3 and more
FROM base AS other
"""
    assert labels(text, target="last") == {"one", "two", "three"}
    assert labels(text) == {"one", "two"}
    assert labels("FROM scratch") == frozenset()


@pytest.mark.parametrize("ask", [stages, declared_args, instructions])
def test_a_file_buildkit_cannot_read_is_refused(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(DockerfileError):
        ask("FROM")


@pytest.mark.parametrize(
    ("text", "frontend"),
    [
        ("FROM a", None),
        ("", None),
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("#syntax = docker/dockerfile:1 and more\nFROM a", "docker/dockerfile:1"),
        ("# SYNTAX=x/y\r\nFROM a", "x/y:latest"),
        ("\ufeff# syntax=x/y\nFROM a", "x/y:latest"),
        ("#!/usr/bin/x\n# syntax=x/y\nFROM a", "x/y:latest"),
        ("#!/usr/bin/x", None),
        ("# escape=`\n# syntax=x/y", "x/y:latest"),
        ("// syntax=x/y\n{}", "x/y:latest"),
        ('{"syntax": "x/y"}', "x/y:latest"),
        ('{"syntax": 1}', None),
        ('{"other": 1}', None),
        ("{", None),
        ("{" * 100_000, None),
        ("# note\n# syntax=x/y\nFROM a", None),
        ("\n# syntax=x/y\nFROM a", None),
        (" # syntax=x/y\nFROM a", None),
        ("FROM a\n# syntax=x/y", None),
    ],
)
def test_the_frontend_is(text: str, frontend: str | None) -> None:
    found = syntax_frontend(text)
    assert (found.familiar if found else None) == frontend


def test_a_frontend_that_is_no_image_is_refused_at_its_line() -> None:
    with pytest.raises(DockerfileError) as caught:
        syntax_frontend("# escape=`\n# syntax=X Y\n")
    assert caught.value.line == 2
    assert caught.value.remedy


TEXT = """\
# A comment.
ARG V=1
from a:$V as one
run <<EOF
  x
EOF
FROM b AS other
RUN y
FROM c
COPY --from=one \\
    # why
    a \\

    b
"""


def test_the_recipe_of_a_target_is_what_it_reaches_without_comments() -> None:
    assert instructions(TEXT) == (
        "ARG V=1",
        "FROM a:$V as one",
        "RUN <<EOF\n  x\nEOF",
        "FROM c",
        "COPY --from=one     a     b",
    )


def test_the_recipe_differs_by_target() -> None:
    assert instructions(TEXT, target="other") == ("ARG V=1", "FROM b AS other", "RUN y")
    assert len(instructions(TEXT, all_stages=True)) == 7


def test_an_image_named_directly_adds_nothing_to_the_recipe() -> None:
    assert instructions("FROM a\nCOPY --from=b c d") == ("FROM a", "COPY --from=b c d")


def test_comments_do_not_change_the_recipe() -> None:
    assert instructions(TEXT.replace("# A comment.", "# Another.")) == instructions(TEXT)


def test_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys, bailing_tasks.dockerfile;"
        "print([m for m in ('rich', 'docker', 'invoke', 'hypothesis', 'nox') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
