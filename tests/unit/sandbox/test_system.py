"""What is read of the machine, with files and variables given."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailing_tasks.sandbox import system


@pytest.fixture
def pip_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "pip.conf"
    monkeypatch.setattr(system, "_PIP_FILES", (str(path),))
    return path


def test_without_an_index_there_is_none(pip_config: Path) -> None:
    assert system.package_index() == ""


def test_the_index_comes_from_the_environment_or_pips_file(
    pip_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_config.write_text("[global]\nindex-url = https://file.example/simple\n", encoding="utf-8")
    assert system.package_index() == "https://file.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    assert system.package_index() == "https://variable.example/simple"


@pytest.mark.parametrize("url", ["https://user:secret@i.example/simple", "file:///srv/simple"])
def test_secrets_and_folders_stay_out_of_images(
    pip_config: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", url)
    assert system.package_index() == ""


def test_certificates_are_found_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "_CERTIFICATES", tmp_path / "none")
    assert system.certificates() == ()
    (tmp_path / "none" / "company").mkdir(parents=True)
    certificate = tmp_path / "none" / "company" / "root.crt"
    certificate.touch()
    (tmp_path / "none" / "notes.txt").touch()
    assert system.certificates() == (certificate,)


def test_sources_come_from_both_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example x main\n", encoding="utf-8")
    (parts / "b.sources").write_text(
        "Types: deb\nURIs: http://b.example\nSuites: x\nComponents: main\n", encoding="utf-8"
    )
    (parts / "c.list.disabled").write_text("deb http://c.example x main\n", encoding="utf-8")
    monkeypatch.setattr(system, "_APT", tmp_path)
    assert [source.uri for source in system.sources()] == ["http://a.example", "http://b.example"]


@pytest.mark.parametrize(
    ("text", "codename"),
    [('VERSION_CODENAME="bookworm"\n', "bookworm"), ("ID=x\n", ""), (None, "")],
)
def test_the_suite_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, codename: str
) -> None:
    path = tmp_path / "os-release"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(system, "_OS_RELEASE", path)
    assert system.codename() == codename
