"""What an image says of where it came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bailing_tasks.configuration import resolve
from bailing_tasks.image_index import SAID
from bailing_tasks.names import (
    CREATED_LABEL,
    LICENSES_LABEL,
    REVISION_LABEL,
    SOURCE_LABEL,
    VERSION_LABEL,
)
from bailing_tasks.origin import Origin, checked_out
from bailing_tasks.settings import Settings
from tests.unit.repository import WHEN, Repository


def settings(**document: str) -> Settings:
    return resolve(Path("/w"), document=document, environment={}, overrides={})


def test_a_commit_is_named_with_its_version_and_time(repository: Repository) -> None:
    commit = repository.commit("a")
    repository.git("tag", "v1.2.3")
    found = checked_out(repository.root, {})
    assert found == Origin(
        revision=commit, version="v1.2.3", created="2023-11-14T22:13:20+00:00", epoch=str(WHEN)
    )


def test_changes_that_the_commit_does_not_have_are_told(repository: Repository) -> None:
    commit = repository.commit("a")
    repository.write("new")
    found = checked_out(repository.root, {})
    assert found.uncommitted == {repository.root / "new"}
    assert found.epoch == str(WHEN)
    made_of_it = found.labels(settings(), (), {repository.root / "new"})
    assert made_of_it[REVISION_LABEL] == f"{commit}-dirty"
    assert made_of_it[VERSION_LABEL] == f"{commit[:7]}-dirty"
    of_others = found.labels(settings(), (), {repository.root / "a"})
    assert of_others[REVISION_LABEL] == commit


def test_the_environment_may_say_another_time(repository: Repository) -> None:
    repository.commit("a")
    found = checked_out(repository.root, {"SOURCE_DATE_EPOCH": "1"})
    assert found.epoch == "1"
    assert found.created == "2023-11-14T22:13:20+00:00"


def test_where_there_is_no_commit_nothing_is_said(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked_out(repository.root, {}) == Origin()
    assert checked_out(repository.without_git(), {"SOURCE_DATE_EPOCH": "1"}) == Origin(epoch="1")
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert checked_out(repository.root, {}) == Origin()


def test_labels_name_the_commit_and_what_the_settings_say() -> None:
    origin = Origin(revision="abc", version="v1", created="2023-11-14T22:13:20+00:00", epoch="1")
    found = origin.labels(settings(source="https://git.example/a/b", licenses="MIT"), (), ())
    assert found == {
        REVISION_LABEL: "abc",
        VERSION_LABEL: "v1",
        CREATED_LABEL: "2023-11-14T22:13:20+00:00",
        SOURCE_LABEL: "https://git.example/a/b",
        LICENSES_LABEL: "MIT",
    }


def test_what_is_not_known_is_not_taken_over_from_a_base_image() -> None:
    assert Origin().labels(settings(), (), ()) == dict.fromkeys(SAID, "")


def test_what_a_dockerfile_says_stands_where_nothing_better_is_known() -> None:
    own = {VERSION_LABEL, LICENSES_LABEL}
    found = Origin(version="v1").labels(settings(), own, ())
    assert found[VERSION_LABEL] == "v1"
    assert LICENSES_LABEL not in found
