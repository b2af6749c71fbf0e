"""Which files a pattern of the settings finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks import globs
from bailing_tasks.errors import SettingsError, UsageError

PATHS = (
    "Dockerfile",
    "src/a/Dockerfile",
    "src/b/Dockerfile",
    "src/b/deep/er/Dockerfile",
    "src/.hidden/Dockerfile",
    "src/.Dockerfile",
    "src/node_modules/x/Dockerfile",
    "src/a/Dockerfile.d/file",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Some files."""
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "src" / "link").symlink_to("a")
    (tmp_path / "src" / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("Dockerfile", ["Dockerfile"]),
        ("./Dockerfile", ["Dockerfile"]),
        ("nothing", []),
        ("nowhere/*", []),
        ("Dockerfile/*", []),
        ("src", []),
        ("src/*/Dockerfile", ["src/a/Dockerfile", "src/b/Dockerfile", "src/link/Dockerfile"]),
        ("src/[ac]/Docker????", ["src/a/Dockerfile"]),
        ("src/a/Dockerfile*", ["src/a/Dockerfile"]),
        ("src/.hidden/*", ["src/.hidden/Dockerfile"]),
        ("src/node_modules/*/Dockerfile", ["src/node_modules/x/Dockerfile"]),
        ("src/**/er/*", ["src/b/deep/er/Dockerfile"]),
        (
            "**/Dockerfile",
            ["Dockerfile", "src/a/Dockerfile", "src/b/Dockerfile", "src/b/deep/er/Dockerfile"],
        ),
        ("**/**/er/Dockerfile", ["src/b/deep/er/Dockerfile"]),
        ("**", [path for path in PATHS if "/.hidden" not in path and "node_modules" not in path]),
        ("src/b/**", ["src/b/Dockerfile", "src/b/deep/er/Dockerfile"]),
        ("src/b/**/*file", ["src/b/Dockerfile", "src/b/deep/er/Dockerfile"]),
    ],
)
def test_what_a_pattern_finds(root: Path, pattern: str, found: list[str]) -> None:
    assert sorted(globs.files(root, pattern, "services")) == sorted(found)


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("src/*/Dockerfile", "src/a/Dockerfile", True),
        ("src/*/Dockerfile", "src/a/b/Dockerfile", False),
        ("src/?/Dockerfile", "src/a/Dockerfile", True),
        ("src/[!a]/Dockerfile", "src/a/Dockerfile", False),
        ("**/Dockerfile", "Dockerfile", True),
        ("src/**/Dockerfile", "src/a/b/Dockerfile", True),
        ("src/**", "src/a/b/Dockerfile", True),
        ("src/**", "src", False),
        ("src/*", "other/x", False),
    ],
)
def test_a_file_that_is_not_there_yet_is_taken_as_if_it_were(
    pattern: str, path: str, taken: bool
) -> None:
    assert globs.matches(pattern, path, "services") == taken


@pytest.mark.parametrize("pattern", ["/etc/*", "../x", "a/../../x", "", "."])
def test_a_pattern_stays_in_the_workspace(root: Path, pattern: str) -> None:
    with pytest.raises(SettingsError, match=r"services: .* is not below the workspace") as caught:
        list(globs.files(root, pattern, "services"))
    assert '"src/*/Dockerfile"' in caught.value.remedy


def test_what_finds_nothing_is_told_with_where_it_was_looked_for(root: Path) -> None:
    error = globs.nothing(root, "srv/*", "templates")
    assert error.message == "[tool.bailing-tasks] templates: no file is called 'srv/*'"
    assert str(root) in error.cause
    assert '"src/**/*.tpl"' in error.remedy


def test_a_folder_that_cannot_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UsageError, match="src cannot be read") as caught:
        list(globs.files(root, "src/*/Dockerfile", "services"))
    assert "Permission denied" in caught.value.cause
