from __future__ import annotations

from dataclasses import replace

import pytest

from bailing_tasks import lockfile
from bailing_tasks.errors import UsageError
from bailing_tasks.lockfile import Locked

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64


def locked(reference: str, platform: str = "linux/amd64", digest: str = A) -> Locked:
    return Locked(reference=reference, platform=platform, digest=digest, index_digest=B)


ALPINE = locked("docker.io/library/alpine:3.20")
ALPINE_ARM = locked("docker.io/library/alpine:3.20", "linux/arm64")
UV = locked("ghcr.io/astral-sh/uv:1")
ALL = {each.key: each for each in (UV, ALPINE_ARM, ALPINE)}


def test_what_was_written_is_read_again() -> None:
    assert lockfile.parse(lockfile.render(ALL.values())) == ALL
    assert lockfile.parse(lockfile.render([])) == {}


def test_the_digest_of_a_configuration_is_recorded_and_files_without_it_are_read() -> None:
    known = replace(ALPINE, config_digest=A)
    text = lockfile.render([known, UV])
    assert text.count("config-digest") == 1
    assert lockfile.parse(text) == {known.key: known, UV.key: UV}


def test_what_was_only_recorded_has_not_moved() -> None:
    known = replace(ALPINE, config_digest=A)
    changes = lockfile.difference(ALL, ALL | {known.key: known})
    assert changes
    assert lockfile.describe(changes) == [
        "recorded alpine:3.20 (linux/amd64): the digest of its configuration"
    ]
    assert lockfile.report(ALL, changes)["recorded"][0]["config_digest"] == A


def test_an_image_and_platform_is_a_line_and_the_lines_are_sorted() -> None:
    lines = [line for line in lockfile.render(ALL.values()).splitlines() if "reference" in line]
    assert [line.split('"')[1::2][:2] for line in lines] == [
        ["docker.io/library/alpine:3.20", "linux/amd64"],
        ["docker.io/library/alpine:3.20", "linux/arm64"],
        ["ghcr.io/astral-sh/uv:1", "linux/amd64"],
    ]


def test_names_are_read_in_any_form() -> None:
    text = lockfile.render([ALPINE]).replace("docker.io/library/", "").replace("amd64", "x86_64")
    assert lockfile.parse(text) == {ALPINE.key: ALPINE}


ENTRY = f'{{ reference = "a:1", platform = "linux/amd64", digest = "{A}", "index-digest" = "{A}" }}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "no TOML"),
        ("", "version is not 1"),
        ("version = 2", "version is not 1"),
        ("version = 1\nimages = 5", "something else"),
        ("version = 1\nother = 5", "something else"),
        ("version = 1\nimages = [5]", "is no image"),
        ('version = 1\nimages = [{ reference = "a:1" }]', "is no image"),
        (f"version = 1\nimages = [{ENTRY.replace(A, 'sha256:short')}]", "is no digest"),
        (f"version = 1\nimages = [{ENTRY.replace('a:1', 'A::')}]", "A::"),
        (f"version = 1\nimages = [{ENTRY.replace('linux/amd64', '//')}]", "'//' is not a platform"),
        (f"version = 1\nimages = [{ENTRY}, {ENTRY}]", "twice"),
        (f"version = 1\nimages = [{ENTRY[:-2]}, config-digest = 'x' }}]", "is no config-digest"),
        (f"version = 1\nimages = [{ENTRY[:-2]}, other = 'x' }}]", "is no image"),
    ],
)
def test_what_is_no_lock_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"images\.lock cannot be used") as caught:
        lockfile.parse(text)
    assert said in str(caught.value)


def test_what_changed_is_told() -> None:
    moved = locked("docker.io/library/alpine:3.20", digest=B)
    new = {each.key: each for each in (moved, UV, locked("b:1"))}
    changes = lockfile.difference(ALL, new)
    assert lockfile.describe(changes) == [
        "added    b:1 (linux/amd64): sha256:aaaaaaaaaaaa",
        "removed  alpine:3.20 (linux/arm64)",
        "moved    alpine:3.20 (linux/amd64): sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb",
    ]
    found = lockfile.report(new, changes)
    assert found["moved"][0]["new"]["digest"] == B
    assert [each["reference"] for each in found["images"]] == sorted(key[0] for key in new)
    assert not lockfile.difference(ALL, dict(ALL))
