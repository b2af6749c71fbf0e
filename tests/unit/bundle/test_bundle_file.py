"""A bundle is written whole, and is read only if all of it is as it was written."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailing_tasks.bundle.contents import NAME, Contents
from bailing_tasks.bundle.reading import opened
from bailing_tasks.bundle.writing import checked, write
from bailing_tasks.engine import archive
from bailing_tasks.engine.blobs import described, parts
from bailing_tasks.engine.layout import Layout
from bailing_tasks.errors import UsageError
from tests.unit.bundle.images import filled

Member = tuple[tarfile.TarInfo, bytes]
"""What stands in an archive: its header and its content."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, Contents]:
    """Images, and the list of them."""
    return filled(tmp_path_factory.mktemp("layout"))


@pytest.fixture(scope="module")
def bundle(source: tuple[Layout, Contents], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of them."""
    layout, contents = source
    path = tmp_path_factory.mktemp("bundle") / "all.tar"
    assert write(path, contents, layout) == path.stat().st_size
    return path


def refused(path: Path) -> str:
    """Return why a file is refused."""
    with pytest.raises(UsageError) as found, opened(path):
        pass
    assert found.value.exit_code == 2
    assert found.value.remedy
    return found.value.cause


def names(path: Path) -> list[str]:
    with tarfile.open(path) as found:
        return found.getnames()


def repacked(path: Path, to: Path, change: Callable[[list[Member]], object]) -> Path:
    """Write the members of an archive anew, after a change, as any program might."""
    with tarfile.open(path) as old:
        members = []
        for member in old:
            file = old.extractfile(member)
            members.append((member, file.read() if file else b""))
    change(members)
    with to.open("wb") as new:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            new.write(member.tobuf(format=tarfile.GNU_FORMAT))
            new.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
        new.write(archive.END)
    return to


def test_what_was_written_is_read(source: tuple[Layout, Contents], bundle: Path) -> None:
    layout, contents = source
    with opened(bundle) as found:
        assert found.contents == contents
        for image in contents.images:
            assert described(found, image.digest) == described(layout, image.digest)
            for digest in parts(found, image.digest):
                with found.open(digest) as blob:
                    assert blob.read() == layout.read(digest)
        assert found.read(contents.external[0].index_digest)


def test_each_blob_is_in_it_once_and_the_same_makes_the_same_bytes(
    source: tuple[Layout, Contents], bundle: Path, tmp_path: Path
) -> None:
    layout, contents = source
    members = names(bundle)
    assert len(set(members)) == len(members) == 3 + len(list(layout.path("").iterdir()))
    assert members[:3] == ["oci-layout", NAME, "index.json"]
    again = tmp_path / "again.tar"
    write(again, contents, layout)
    assert again.read_bytes() == bundle.read_bytes()


def test_the_list_can_be_read_with_any_program(bundle: Path) -> None:
    with tarfile.open(bundle) as found:
        member = found.extractfile(NAME)
        assert member
        document = json.load(member)
    assert [each["platform"] for each in document["external"]] == ["linux/amd64", "linux/arm64"]
    assert document["built"][0]["name"] == "app:latest"


def test_an_index_that_nobody_has_is_left_out(
    source: tuple[Layout, Contents], tmp_path: Path
) -> None:
    layout, contents = source
    gone = "sha256:" + "0" * 64
    external = tuple(replace(each, index_digest=gone) for each in contents.external)
    path = tmp_path / "all.tar"
    write(path, replace(contents, external=external), layout)
    with opened(path) as found, pytest.raises(OSError, match="is not in the bundle"):
        found.read(gone)


def test_a_file_that_stands_is_replaced_only_by_a_whole_one(
    source: tuple[Layout, Contents], tmp_path: Path
) -> None:
    layout, contents = source
    other, damaged = filled(tmp_path / "damaged")
    layer = parts(other, damaged.built[0].digest)[-1]
    other.path(layer).write_bytes(bytes(other.path(layer).stat().st_size))
    path = tmp_path / "all.tar"
    write(path, contents, layout)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="cannot be written") as found:
        write(path, damaged, other)
    assert layer in found.value.cause
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))


def test_a_place_that_cannot_be_written_to_is_named(
    source: tuple[Layout, Contents], tmp_path: Path
) -> None:
    layout, contents = source
    with pytest.raises(UsageError, match="cannot be written") as found:
        write(tmp_path / "nowhere" / "all.tar", contents, layout)
    assert "No such file" in found.value.cause


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_changed_byte_goes_unseen(
    source: tuple[Layout, Contents],
    bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    content = bytearray(bundle.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "changed.tar"
    path.write_bytes(content)
    try:
        with opened(path) as found:
            assert found.contents == source[1]  # white space in a document
    except UsageError:
        pass


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_refused(
    bundle: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bundle.read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.tar"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert refused(path)


def foreign(folder: Path) -> dict[str, bytes]:
    """Return files that are none of ours, by what they are."""
    saved = io.BytesIO()
    with tarfile.open(fileobj=saved, mode="w") as found:
        for name in ("blobs/sha256/" + hashlib.sha256(b"x").hexdigest(), "manifest.json"):
            member = tarfile.TarInfo(name)
            member.size = 1
            found.addfile(member, io.BytesIO(b"x"))
    return {
        "empty": b"",
        "text": b"hello",
        "packed": gzip.compress(b"hello"),
        "noise": os.urandom(5000),
        "zeros": bytes(1024),
        "saved by docker": saved.getvalue(),
    }


@pytest.mark.parametrize("kind", foreign(Path()))
def test_a_foreign_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(foreign(tmp_path)[kind])
    assert refused(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"), opened(tmp_path / "nowhere"):
        pass


def test_what_is_no_file_is_refused_and_nobody_waits_for_a_pipe(
    source: tuple[Layout, Contents], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UsageError, match="cannot be read") as caught, opened(place):
            pass
        assert (caught.value.cause, bool(caught.value.remedy)) == ("it is no file", True)
        with pytest.raises(UsageError, match="cannot be written") as caught:
            checked(place)
        assert "no f" in caught.value.cause


def test_a_place_is_looked_at_before_anything_is_gathered(
    source: tuple[Layout, Contents], bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot be written") as caught:
        checked(tmp_path / "nowhere" / "all.tar")
    assert "no folder" in caught.value.cause
    (tmp_path / "precious").write_text("not to be lost")
    with pytest.raises(UsageError, match="is no bundle"):
        checked(tmp_path / "precious")
    (tmp_path / "empty").touch()
    for place in (tmp_path / "new", tmp_path / "empty", bundle):
        assert checked(place) == place
    (tmp_path / "link").symlink_to(bundle)
    assert checked(tmp_path / "link") == bundle


def added(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"") -> Member:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return member, content


EMPTY = "blobs/sha256/" + hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (added("../outside"), "did not write it"),
        (added("/etc/passwd"), "did not write it"),
        (added("blobs/sha256/../../../outside"), "did not write it"),
        (added("blobs/sha256/" + "g" * 64), "did not write it"),
        (added(EMPTY, tarfile.SYMTYPE), "is no file"),
        (added(EMPTY, tarfile.LNKTYPE), "is no file"),
        (added("blobs/", tarfile.DIRTYPE), "is no file"),
        (added("index.json", tarfile.XHDTYPE), "is no file"),
        (added("index.json"), "twice"),
        (added("blobs/sha256/" + "0" * 64, content=b"x"), "is damaged"),
    ],
)
def test_what_bundle_save_does_not_write_is_refused(
    bundle: Path, tmp_path: Path, member: Member, said: str
) -> None:
    path = repacked(bundle, tmp_path / "changed.tar", lambda members: members.append(member))
    assert said in refused(path)


@pytest.mark.parametrize("name", ["index.json", "blobs/sha256/" + "0" * 64])
def test_a_size_that_nothing_has_is_refused_without_reading_that_much(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    header = tarfile.TarInfo(name)
    header.size = 1 << 60
    path = tmp_path / "huge.tar"
    path.write_bytes(header.tobuf(format=tarfile.GNU_FORMAT) + b"x" * 1024)
    assert refused(path)


def test_what_stands_behind_the_end_is_refused(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "longer.tar"
    path.write_bytes(bundle.read_bytes() + b"x")
    assert "behind its end" in refused(path)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_document_that_is_missing_is_named(bundle: Path, tmp_path: Path, number: int) -> None:
    path = repacked(bundle, tmp_path / "less.tar", lambda members: members.pop(number))
    assert "it has no " in refused(path)


def test_every_blob_that_an_image_needs_has_to_be_there(bundle: Path, tmp_path: Path) -> None:
    for number in range(3, len(names(bundle))):
        path = repacked(bundle, tmp_path / "less.tar", lambda members: members.pop(number))  # noqa: B023
        try:
            why = refused(path)
        except pytest.fail.Exception:  # the index of the base, which need not be there
            continue
        assert "is not whole" in why


def in_list(bundle: Path, to: Path, **changes: object) -> Path:
    """Change fields of the list of a bundle."""

    def change(members: list[Member]) -> None:
        member, content = members[1]
        members[1] = (member, json.dumps(json.loads(content) | changes).encode())

    return repacked(bundle, to, change)


def test_a_list_that_was_changed_is_refused(bundle: Path, tmp_path: Path) -> None:
    path = in_list(bundle, tmp_path / "changed.tar", project="another")
    assert "do not belong together" in refused(path)


def test_a_list_of_another_form_names_what_to_do(bundle: Path, tmp_path: Path) -> None:
    path = in_list(bundle, tmp_path / "changed.tar", schema=2)
    with pytest.raises(UsageError, match="of another form") as found, opened(path):
        pass
    assert "version of the tasks" in found.value.remedy


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_document_that_nests_without_end_is_refused(
    bundle: Path, tmp_path: Path, number: int
) -> None:
    def change(members: list[Member]) -> None:
        members[number] = (members[number][0], b"[" * 200_000)

    assert "recursion" in refused(repacked(bundle, tmp_path / "changed.tar", change))


def test_another_version_of_layouts_is_refused(bundle: Path, tmp_path: Path) -> None:
    def change(members: list[Member]) -> None:
        members[0] = (members[0][0], b'{"imageLayoutVersion": "2.0.0"}')

    assert "another version" in refused(repacked(bundle, tmp_path / "changed.tar", change))


def test_an_image_for_another_platform_is_refused(
    source: tuple[Layout, Contents], tmp_path: Path
) -> None:
    layout, contents = source
    wrong = replace(contents.external[1], platform="linux/amd64")
    path = tmp_path / "all.tar"
    write(path, replace(contents, external=(wrong,)), layout)
    assert "is for linux/arm64" in refused(path)


def test_a_part_is_read_like_a_file(source: tuple[Layout, Contents], bundle: Path) -> None:
    digest = source[1].built[0].digest
    with opened(bundle) as found, found.open(digest) as part:
        content = source[0].read(digest)
        assert len(part) == part.seek(0, io.SEEK_END) == len(content)  # type: ignore[arg-type]
        assert part.read() == b""
        assert part.seek(-3, io.SEEK_END) == part.tell()
        assert part.read() == content[-3:]
        part.seek(1)
        assert part.read(4) == content[1:5]
        assert part.seek(1, io.SEEK_CUR) == 6
