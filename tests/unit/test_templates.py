"""Templates: what is a placeholder, what is not, and which files are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks import templates
from bailing_tasks.errors import SettingsError, UsageError

VALUES = {"NAME": "value", "_x1": "{{NAME}}", "LINES": "a\nb", "ODD": "\udcff", "end": "no"}


def rendered(text: bytes) -> bytes:
    return templates.render({"t": text}, VALUES)["t"]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (b"{{NAME}}", b"value"),
        (b"a{{ NAME }}b{{\tNAME\t}}", b"avaluebvalue"),
        (b"{{_x1}}", b"{{NAME}}"),  # values are not looked through
        (b"{{LINES}}", b"a\nb"),
        (b"\xff{{ODD}}\r\n\0", b"\xff\xff\r\n\0"),
        (b'{"a":{"b":{{NAME}}}}', b'{"a":{"b":value}}'),
        (b"${{{NAME}}} ${{NAME}}", b"${value} $value"),
        (b"{{ \"{{\" }}NAME}} {{'{{'}} x }}", b"{{NAME}} {{ x }}"),
    ],
)
def test_placeholders_are_filled(text: bytes, made: bytes) -> None:
    assert rendered(text) == made


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{NAME} {{NAME} {{NAME }\n} {{\nNAME}} {{}} {{ }}",
        b"{{ .Values.image }} {{- NAME -}} {{ $labels.job }} {{ $value }}",
        b"{{ range .Items }}{{ .Name }}{{ else }}-{{end}}{{break}}{{ continue }}",
        b"${{ github.sha }} ${{ always() }} {{ a.b }} {{ NAME | upper }} {{ NAME:-x }}",
        b"{{1A}} {{A-B}} {{A B}} {{\xc3\xa9}} {{%NAME%}} {%if NAME%} {{'{{\"}}",
        b"docker inspect --format '{{json .Config}}' {{`{{`}}",
        b"map $http_upgrade $x { default ${NAME}; } location / { { } }",
    ],
)
def test_what_belongs_to_others_stays(text: bytes) -> None:
    assert rendered(text) == text


def test_every_place_of_every_undefined_name_is_told() -> None:
    texts = {
        "src/a/Dockerfile.tpl": b"FROM x\r\n{{NAM}} {{DB}} {{DB}}\r\n\r\n{{ DB }}",
        "src/b/x.tpl": b"{{NAME}}{{OTHER}}",
    }
    with pytest.raises(UsageError) as caught:
        templates.render(texts, VALUES)
    error = caught.value
    assert "NAM, DB, OTHER, which are not defined" in error.message
    assert error.cause == (
        "src/a/Dockerfile.tpl:2: NAM; src/a/Dockerfile.tpl:2: DB; "
        "src/a/Dockerfile.tpl:4: DB; src/b/x.tpl:1: OTHER"
    )
    assert "NAM: perhaps you meant NAME\n" in error.remedy
    assert ".env" in error.remedy
    assert "value" not in str(error)
    with pytest.raises(UsageError, match="DB, which is not defined"):
        templates.render({"t": b"{{DB}}"}, {})


@given(st.binary())
def test_a_text_whose_braces_are_escaped_is_itself(text: bytes) -> None:
    assert rendered(text.replace(b"{{", b'{{"{{"}}')) == text


FILES = [
    "Dockerfile.tpl",
    "src/a/Dockerfile.tpl",
    "src/a/nginx.conf.tmpl",
    "src/a/deep/down/.dockerignore.tpl",
    "src/a/main.py",
    "src/a/.tpl",
    "src/b/Dockerfile.tpl",
    "src/b/node_modules/lib/x.tpl",
    "src/b/.cache/x.tpl",
    "src/b/.git/hooks/x.tpl",
    "src/folder.tpl/inside.txt",
    ".github/ci.yml.tpl",
    ".bailing-tasks/dockerfiles/x.tpl",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(name).touch()
    tmp_path.joinpath("src/b/up").symlink_to("..")
    tmp_path.joinpath("src/c").symlink_to("b")
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "outputs"),
    [
        ([], []),
        (
            ["src/**/*.tpl"],
            ["src/a/Dockerfile", "src/a/deep/down/.dockerignore", "src/b/Dockerfile"],
        ),
        (["**/Dockerfile.tpl"], ["Dockerfile", "src/a/Dockerfile", "src/b/Dockerfile"]),
        (["*.tpl"], ["Dockerfile"]),
        (
            ["*/*/*.tpl", "src/[a]/*.tmpl"],
            [f"src/{x}" for x in ("a/Dockerfile", "a/nginx.conf", "b/Dockerfile", "c/Dockerfile")],
        ),
        (["src/b/**/node_modules/**/*.tpl"], ["src/b/node_modules/lib/x"]),
        (["./src//a/Dockerfile.tpl"], ["src/a/Dockerfile"]),
        ([".github/*.tpl"], [".github/ci.yml"]),
        (["src/**/*.tpl", "!src/a/**/*"], ["src/b/Dockerfile"]),
        (
            ["src/**/*.tpl", "!nothing/*", "!src/b/*"],
            ["src/a/Dockerfile", "src/a/deep/down/.dockerignore"],
        ),
    ],
)
def test_templates_are_found_by_pattern(
    root: Path, patterns: list[str], outputs: list[str]
) -> None:
    found = templates.find(root, patterns)
    assert list(found) == outputs
    for output, template in found.items():
        assert template in (f"{output}.tpl", f"{output}.tmpl")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("src/**", "has no suffix"),
        ("src/*", "has no suffix"),
        ("src/Dockerfile.*", "has no suffix"),
        ("src/.tpl", "has no suffix"),
        ("src/*.tp[l]", "has no suffix"),
        ("/src/*.tpl", "not below the workspace"),
        ("src/../../*.tpl", "not below the workspace"),
        ("", "not below the workspace"),
        ("!", "not below the workspace"),
        ("source/**/*.tpl", "no file is called 'source/"),
        ("src/a/Dockerfile.tpl/*.tpl", "no file is called"),
        ("src/*.tpl", "no file is called"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_refused(root: Path, pattern: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        templates.find(root, [pattern])
    assert caught.value.remedy


def test_two_templates_of_one_file_are_refused(root: Path) -> None:
    root.joinpath("src/a/Dockerfile.tmpl").touch()
    both = r"src/a/Dockerfile would be rendered from .*\.tpl, and is rendered from .*\.tmpl"
    with pytest.raises(SettingsError, match=both):
        templates.find(root, ["src/a/*.tpl", "src/a/*.tmpl"])
    root.joinpath("src/a/Dockerfile.tpl.tpl").touch()
    with pytest.raises(SettingsError, match=r"Dockerfile\.tpl would be .* is a template itself"):
        templates.find(root, ["src/a/*.tpl"])


def test_a_folder_that_may_not_be_read_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)  # root may read everything
    with pytest.raises(UsageError, match="src/a cannot be read"):
        templates.find(root, ["src/a/*.tpl"])
