"""A workspace's `.env`: made from its example, and kept up to date with it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bailing_tasks import dotenv
from bailing_tasks.errors import UsageError

EXAMPLE = b"# the host\r\nHOST=example\r\nPORT=80 # \xff\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_without_an_example_nothing_is_made(tmp_path: Path) -> None:
    file = dotenv.planned(tmp_path)
    dotenv.write(tmp_path, file)
    assert (file.status, list(tmp_path.iterdir())) == ("absent", [])
    assert dotenv.variables(file, {"A": "1"}) == {"A": "1"}
    tmp_path.joinpath(".env").write_text("HOST=x")
    file = dotenv.planned(tmp_path)
    assert (file.status, file.added, file.removed) == ("unchanged", (), ())
    assert dotenv.variables(file, {}) == {"HOST": "x"}


def test_a_new_one_is_the_example_for_its_owner_alone(tmp_path: Path) -> None:
    tmp_path.joinpath(".env.example").write_bytes(EXAMPLE)
    file = dotenv.planned(tmp_path)
    assert (file.status, file.added) == ("new", ("HOST", "PORT"))
    assert not tmp_path.joinpath(".env").exists()
    assert dotenv.variables(file, {"PORT": "8080"}) == {"HOST": "example", "PORT": "8080"}
    dotenv.write(tmp_path, file)
    assert tmp_path.joinpath(".env").read_bytes() == EXAMPLE
    assert mode(tmp_path / ".env") == 0o600
    assert dotenv.planned(tmp_path).status == "unchanged"


def test_one_that_is_there_keeps_its_bytes_and_its_permissions(tmp_path: Path) -> None:
    tmp_path.joinpath(".env.example").write_bytes(EXAMPLE)
    elsewhere = tmp_path / "shared"
    elsewhere.write_bytes(b"OLD=\xfe\r\nHOST= mine")
    elsewhere.chmod(0o640)
    tmp_path.joinpath(".env").symlink_to("shared")
    file = dotenv.planned(tmp_path)
    assert (file.status, file.added, file.removed) == ("changed", ("PORT",), ("OLD",))
    dotenv.write(tmp_path, file)
    assert tmp_path.joinpath(".env").is_symlink()
    assert elsewhere.read_bytes() == b"OLD=\xfe\r\nHOST= mine\nPORT=80 # \xff\n"
    assert mode(elsewhere) == 0o640
    again = dotenv.planned(tmp_path)
    assert (again.status, again.removed) == ("unchanged", ("OLD",))
    before = elsewhere.stat().st_mtime_ns, elsewhere.stat().st_ino
    dotenv.write(tmp_path, again)
    assert (elsewhere.stat().st_mtime_ns, elsewhere.stat().st_ino) == before


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    tmp_path.joinpath(".env").mkdir()
    with pytest.raises(UsageError, match=r"\.env cannot be read"):
        dotenv.planned(tmp_path)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.joinpath(".env.example").write_bytes(EXAMPLE)
    tmp_path.joinpath(".env").symlink_to("not/there")
    with pytest.raises(UsageError, match=r"\.env cannot be written"):
        dotenv.write(tmp_path, dotenv.planned(tmp_path))
