"""Versions as Git tags name them."""

from __future__ import annotations

import pytest

from bailing_tasks.versions import highest, parse


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("v1.2.3", "1.2.3"),
        ("1.2.3", "1.2.3"),
        ("v0.0.0", "0.0.0"),
        ("v1.2.3-rc.1", "1.2.3-rc.1"),
        ("v1.2.3-0a.-", "1.2.3-0a.-"),
        ("v1.2.3+build.5", "1.2.3"),
        ("v1.2.3-rc.1+build.5", "1.2.3-rc.1"),
        ("1.2", None),
        ("v1", None),
        ("V1.2.3", None),
        ("=1.2.3", None),
        ("vv1.2.3", None),
        ("v01.2.3", None),
        ("v1.2.3-01", None),
        ("v1.2.3-", None),
        ("v1.2.3rc1", None),
        ("v1.2.3.4", None),
        ("app-v1.2.3", None),
        ("release/v1.2.3", None),
        ("v9007199254740991.0.0", "9007199254740991.0.0"),
        ("v9007199254740992.0.0", None),
        ("v1.2.3-" + "a" * 249, "1.2.3-" + "a" * 249),
        ("v1.2.3-" + "a" * 250, None),
        ("nightly", None),
        ("", None),
    ],
)
def test_semver_is_what_node_semver_takes(tag: str, text: str | None) -> None:
    found = parse(tag, "semver")
    assert (found.text if found else None) == text


@pytest.mark.parametrize(
    ("tag", "text", "stable"),
    [
        ("v1.2", "1.2", True),
        ("1", "1", True),
        ("1.2.3", "1.2.3", True),
        ("v1.2.3-rc.1", "1.2.3rc1", False),
        ("1.0dev4", "1.0.dev4", False),
        ("1.2post1", "1.2.post1", False),
        ("1!2.0", "1!2.0", True),
        ("1.0+Ubuntu-1", "1.0+ubuntu.1", True),
        ("app-v1.2.3", None, None),
        ("9" * 5000, None, None),
    ],
)
def test_pep_440_is_what_packaging_takes(tag: str, text: str | None, stable: bool | None) -> None:
    found = parse(tag, "pep440")
    assert (found and found.text, found and found.is_stable) == (text, stable)


def test_a_version_has_parts() -> None:
    found = parse("v1.2.3-rc.1", "semver")
    assert found
    assert (found.major, found.minor, found.patch, found.is_stable) == (1, 2, 3, False)
    found = parse("4", "pep440")
    assert found
    assert (found.major, found.minor, found.patch) == (4, 0, 0)


def test_versions_compare_by_precedence() -> None:
    """The example of Semantic Versioning 2.0.0, item 11."""
    rising = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    tags = [*(f"v1.0.0-{pre}" for pre in rising), "v1.0.0", "v1.0.1", "v1.10.0", "v2.0.0"]
    found = [version.order for tag in tags if (version := parse(tag, "semver"))]
    assert found == sorted(found)
    assert len(found) == len(tags)


@pytest.mark.parametrize(
    ("tags", "scheme", "tag"),
    [
        (["v1.9.0", "v1.10.0", "v2.0.0-rc.1", "nightly"], "semver", "v1.10.0"),
        (["1.9", "1.10", "1.11rc1", "1.10.post1", "1.12.dev1"], "pep440", "1.10"),
        (["nightly", "v1.0.0-rc.1"], "semver", None),
    ],
)
def test_the_highest_version_is_a_stable_one(tags: list[str], scheme: str, tag: str | None) -> None:
    assert highest(tags, scheme) == tag
