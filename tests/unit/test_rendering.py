"""Rendered files: written where they change, and never over what somebody has edited."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from bailing_tasks import rendering
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.rendering import RenderedFile
from bailing_tasks.state import write_in_one_step

PATTERNS = ["src/**/*.tpl"]
TEMPLATE, OUTPUT = "src/a/Dockerfile.tpl", "src/a/Dockerfile"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with one template."""
    tmp_path.joinpath("src/a").mkdir(parents=True)
    tmp_path.joinpath(TEMPLATE).write_bytes(b"FROM {{BASE}}\r\n# \xff\n")
    return tmp_path


def run(root: Path, base: str, *, overwrite: bool = False) -> str:
    """Render, and return what became of the file."""
    (file,) = planned = rendering.planned(root, PATTERNS, {"BASE": base}, overwrite=overwrite)
    rendering.write(root, planned)
    return file.status


def content(root: Path) -> bytes:
    return root.joinpath(OUTPUT).read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_written_only_when_it_changes(root: Path) -> None:
    assert run(root, "a:1") == "new"
    assert content(root) == b"FROM a:1\r\n# \xff\n"
    record = root / ".bailing-tasks" / rendering.RECORD
    before = [(path.stat().st_mtime_ns, path.stat().st_ino) for path in (root / OUTPUT, record)]
    assert run(root, "a:1") == "unchanged"
    after = [(path.stat().st_mtime_ns, path.stat().st_ino) for path in (root / OUTPUT, record)]
    assert after == before
    assert run(root, "a:2") == "changed"
    assert content(root) == b"FROM a:2\r\n# \xff\n"


def test_planning_writes_nothing(root: Path) -> None:
    rendering.planned(root, PATTERNS, {"BASE": "x"})
    assert sorted(path.name for path in root.rglob("*")) == ["Dockerfile.tpl", "a", "src"]


def test_what_was_edited_by_hand_is_kept_until_told_otherwise(root: Path) -> None:
    run(root, "a:1")
    root.joinpath(OUTPUT).write_bytes(b"FROM mine\n")
    for base in ("a:1", "a:2"):
        assert run(root, base) == "kept"
        assert content(root) == b"FROM mine\n"
    assert run(root, "a:2", overwrite=True) == "changed"
    assert content(root) == b"FROM a:2\r\n# \xff\n"
    assert run(root, "a:3") == "changed"


def test_what_was_there_before_is_nobody_elses_to_replace(root: Path) -> None:
    root.joinpath(OUTPUT).write_bytes(b"FROM other\n")
    assert run(root, "a:1") == "kept"
    assert content(root) == b"FROM other\n"
    root.joinpath(OUTPUT).write_bytes(b"FROM a:1\r\n# \xff\n")  # as it would be rendered
    assert run(root, "a:1") == "unchanged"
    assert run(root, "a:2") == "changed"


def test_an_edit_that_was_taken_back_is_none(root: Path) -> None:
    run(root, "a:1")
    rendered = content(root)
    root.joinpath(OUTPUT).write_bytes(b"FROM mine\n")
    assert run(root, "a:2") == "kept"
    root.joinpath(OUTPUT).write_bytes(rendered)
    assert run(root, "a:2") == "changed"


def test_one_that_is_gone_is_made_again(root: Path) -> None:
    run(root, "a:1")
    root.joinpath(OUTPUT).unlink()
    assert run(root, "a:1") == "new"


@pytest.mark.parametrize("dies_at", range(3))
def test_a_run_that_dies_leaves_nothing_that_counts_as_edited(
    root: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    for name in ("b", "c"):
        root.joinpath(f"src/{name}.tpl").write_bytes(b"{{BASE}}")
    everything = rendering.planned(root, PATTERNS, {"BASE": "1"})
    rendering.write(root, everything)
    done: list[Path] = []

    def dying(path: Path, content: bytes, *, mode: int) -> None:
        if len(done) == dies_at:
            raise KeyboardInterrupt
        write_in_one_step(path, content, mode=mode)
        done.append(path)

    monkeypatch.setattr("bailing_tasks.rendering.write_in_one_step", dying)
    with pytest.raises(KeyboardInterrupt):
        rendering.write(root, rendering.planned(root, PATTERNS, {"BASE": "2"}))
    monkeypatch.undo()
    after = rendering.planned(root, PATTERNS, {"BASE": "3"})
    assert [file.status for file in after] == ["changed"] * 3


def test_if_a_name_is_not_defined_nothing_is_written(root: Path) -> None:
    root.joinpath("src/b.tpl").write_bytes(b"{{BASE}}\n{{NO}}")
    with pytest.raises(UsageError, match=r"src/b\.tpl:2: NO"):
        rendering.planned(root, PATTERNS, {"BASE": "1"})
    assert not root.joinpath(OUTPUT).exists()


def test_permissions_are_the_templates(root: Path) -> None:
    root.joinpath(TEMPLATE).chmod(0o750)
    assert run(root, "a:1") == "new"
    assert mode(root / OUTPUT) == 0o750
    root.joinpath(OUTPUT).chmod(0o640)
    assert run(root, "a:1") == "changed"
    assert mode(root / OUTPUT) == 0o750


def test_a_file_that_somebody_made_executable_stays_so(root: Path) -> None:
    root.joinpath(TEMPLATE).chmod(0o644)
    run(root, "a:1")
    root.joinpath(OUTPUT).chmod(0o755)
    assert run(root, "a:1") == "unchanged"
    assert run(root, "a:2") == "changed"
    assert mode(root / OUTPUT) == 0o755


def test_in_memory_it_is_what_a_build_will_see(root: Path) -> None:
    root.joinpath(".env.example").write_text("BASE=new\nOTHER=o\n")
    root.joinpath(".env").write_text("OTHER=mine\n")
    root.joinpath("src/b.tpl").write_bytes(b"{{OTHER}}{{SHELL_HAS}}")
    root.joinpath("src/b").write_bytes(b"by hand")
    assert rendering.in_memory(root, PATTERNS, {"SHELL_HAS": "x"}, None) == {
        OUTPUT: b"FROM new\r\n# \xff\n",
        "src/b": b"by hand",
    }
    replaced = rendering.in_memory(root, PATTERNS, {"SHELL_HAS": "x"}, ["src/b"], overwrite=True)
    assert replaced == {"src/b": b"minex"}
    assert root.joinpath(".env").read_text() == "OTHER=mine\n"
    assert not root.joinpath(OUTPUT).exists()
    root.joinpath(".env").write_text("malformed line\n")
    assert rendering.in_memory(root, [], {}, None) == {}


def test_in_memory_one_that_cannot_be_rendered_ends_nothing_but_itself(root: Path) -> None:
    root.joinpath("src/b.tpl").write_bytes(b"{{NOWHERE}}")
    root.joinpath("src/c.tpl").write_bytes(b"c")
    found = rendering.in_memory(root, PATTERNS, {"BASE": "x"}, [OUTPUT, "src/b"])
    assert found.pop(OUTPUT) == b"FROM x\r\n# \xff\n"
    assert [(path, type(error)) for path, error in found.items()] == [("src/b", UsageError)]
    with pytest.raises(SettingsError):
        rendering.in_memory(root, ["no/*.tpl"], {}, None)


def files(planned: Iterable[RenderedFile]) -> dict[str, str]:
    return {file.path: file.status for file in planned}


def test_templates_of_several_folders_are_each_others_neighbours_only(root: Path) -> None:
    root.joinpath("src/b").mkdir()
    root.joinpath("src/b/Dockerfile.tpl").write_bytes(b"{{BASE}}")
    first = rendering.planned(root, ["src/a/*.tpl"], {"BASE": "1"})
    rendering.write(root, first)
    both = rendering.planned(root, PATTERNS, {"BASE": "2"})
    assert files(both) == {OUTPUT: "changed", "src/b/Dockerfile": "new"}
    rendering.write(root, both)
    # What another set of patterns has rendered is still known.
    assert files(rendering.planned(root, ["src/a/*.tpl"], {"BASE": "3"})) == {OUTPUT: "changed"}
    rendering.write(root, rendering.planned(root, ["src/a/*.tpl"], {"BASE": "3"}))
    assert set(files(rendering.planned(root, PATTERNS, {"BASE": "4"})).values()) == {"changed"}


@pytest.mark.parametrize("text", ["{", "[]", '{"src/a/Dockerfile": 5}'])
def test_a_damaged_record_is_told(root: Path, text: str) -> None:
    run(root, "a:1")
    root.joinpath(".bailing-tasks", rendering.RECORD).write_text(text)
    with pytest.raises(UsageError, match=r"remove .*rendered\.json"):
        run(root, "a:1")


def test_what_cannot_be_read_or_written_is_told(root: Path) -> None:
    root.joinpath(OUTPUT).mkdir()
    with pytest.raises(UsageError, match="Dockerfile cannot be read"):
        run(root, "a:1")
    root.joinpath(OUTPUT).rmdir()
    planned = rendering.planned(root, PATTERNS, {"BASE": "1"})
    root.joinpath(OUTPUT).mkdir()
    with pytest.raises(UsageError, match="Dockerfile cannot be written"):
        rendering.write(root, planned)
