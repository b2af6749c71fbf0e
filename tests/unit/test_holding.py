"""What a workspace brought into engines is recorded, and which workspace is which."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bailing_tasks import holding
from bailing_tasks.state import State

if TYPE_CHECKING:
    from bailing_tasks.engine.base import Engine


@dataclass(frozen=True)
class Named:
    """An engine of which only the identity counts."""

    identity: str


ONE, OTHER = (cast("Engine", Named(name)) for name in ("one", "other"))


def test_what_was_brought_is_recorded_for_its_engine_until_it_is_gone(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert holding.recorded(state, ONE) == frozenset()
    for engine, image in ((ONE, "a"), (ONE, "b"), (ONE, "a"), (OTHER, "a")):
        holding.record(state, engine, image)
    with (state.folder / holding.FILE).open("a") as file:
        file.write('[]\n{"engine": "one", "workspace": "w"}\n{"engine": "on')
    assert holding.recorded(State(tmp_path), ONE) == {"a", "b"}
    assert holding.recorded(state, OTHER) == {"a"}
    holding.forget(state, ONE, ["a"])
    assert holding.recorded(state, ONE) == {"b"}
    assert holding.recorded(state, OTHER) == {"a"}
    holding.record(state, ONE, "c")
    assert holding.recorded(state, ONE) == {"b", "c"}


def test_a_copy_of_the_folder_has_brought_nothing(tmp_path: Path) -> None:
    state = State(tmp_path / "one")
    holding.record(state, ONE, "a")
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    copy = State(tmp_path / "copy")
    assert holding.recorded(copy, ONE) == frozenset()
    holding.record(copy, ONE, "b")
    assert holding.recorded(copy, ONE) == {"b"}
    assert holding.recorded(state, ONE) == {"a"}


def test_a_record_that_cannot_be_written_ends_no_build(tmp_path: Path) -> None:
    (tmp_path / ".bailing-tasks").write_text("a file")
    holding.record(State(tmp_path), ONE, "a")


def test_a_workspace_keeps_its_id_and_shares_it_with_no_copy(tmp_path: Path) -> None:
    first = State(tmp_path / "one")
    first.write("x", "")
    assert State(tmp_path / "one").workspace == first.workspace
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    other = State(tmp_path / "other")
    other.write("x", "")
    ids = {first.workspace, other.workspace, State(tmp_path / "copy").workspace}
    assert len(ids) == 3
    assert {len(each) for each in ids} == {12}


def test_a_run_that_only_looks_leaves_no_id(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.workspace == state.workspace
    assert not state.folder.exists()
    looked = state.workspace
    state.write("x", "")
    assert state.workspace == looked == State(tmp_path).workspace
