"""What outlives a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bailing_tasks.errors import UsageError
from bailing_tasks.state import Pin, State, write_in_one_step

PIN = Pin(
    reference="docker.io/library/alpine:3.20",
    platform="linux/amd64",
    digest="sha256:" + "1" * 64,
    index_digest="sha256:" + "2" * 64,
    served_from="mirror.example/library/alpine",
    resolved_at="2026-01-01T00:00:00+00:00",
)


def test_pins_are_kept_and_found_again(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.pins() == {}
    state.keep_pin(PIN)
    assert State(tmp_path).pins() == {PIN.key: PIN}
    document = json.loads((tmp_path / ".bailing-tasks" / "pins.json").read_text())
    assert document[0]["served_from"] == "mirror.example/library/alpine"
    assert PIN.image == f"mirror.example/library/alpine@{PIN.digest}"


def test_the_folder_ignores_itself(tmp_path: Path) -> None:
    State(tmp_path).keep_pin(PIN)
    assert (tmp_path / ".bailing-tasks" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("text", ["{", "[1]", '[{"reference": "x"}]'])
def test_a_broken_file_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    State(tmp_path).write("pins.json", text)
    with pytest.raises(UsageError, match=r"pins\.json cannot be read") as caught:
        State(tmp_path).pins()
    assert "remove" in caught.value.remedy


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(TypeError):
        write_in_one_step(file, "not bytes")  # type: ignore[arg-type]
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / ".bailing-tasks").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        State(tmp_path).write("x", "y")
    with pytest.raises(UsageError, match="cannot be written"):
        State(tmp_path / ".bailing-tasks").write("x", "y")


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    import threading

    waited: list[str] = []
    order: list[str] = []
    state = State(tmp_path)

    def second() -> None:
        with state.locked(waited.append):
            order.append("second")

    with state.locked(waited.append):
        thread = threading.Thread(target=second)
        thread.start()
        while not waited:
            thread.join(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert waited[0].isdecimal()
