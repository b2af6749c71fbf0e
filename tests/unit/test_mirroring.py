"""Where images stand in a mirror: no two of them in one place."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks import toml
from bailing_tasks.configuration import load
from bailing_tasks.errors import SettingsError, UsageError
from bailing_tasks.mirroring import (
    Place,
    built_names,
    check_distinct,
    copies,
    mirror_reference,
    mirrors_setting,
    own_tag,
    place,
    prefix_of,
    prefixes,
    through,
)
from bailing_tasks.mirrors import sources
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings
from bailing_tasks.state import Pin
from bailing_tasks.wanted import WantedImage

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
TEAM = Place(host="registry.example", project="team/images")
COMPONENT = re.compile(r"[a-z0-9]+((?:[._]|__|-+)[a-z0-9]+)*")

names = st.sampled_from(["a", "A", "a-b", "0", "x"])
hosts = st.one_of(
    st.builds(
        lambda labels, port: ".".join(labels) + port,
        st.lists(names, min_size=2, max_size=3),
        st.sampled_from(["", ":0", ":1", ":01", "_1", "__1"]),
    ),
    st.sampled_from(["localhost", "localhost:5000", "[::1]:5000", "host:1", "host_x:61", "HOST"]),
)
components = st.sampled_from(["a", "a.b", "a_1", "a-b", "0", "host_x_61"])
references = st.builds(
    lambda host, path, tag, digest: Reference(host, "/".join(path), tag, digest),
    hosts,
    st.lists(components, min_size=1, max_size=3),
    st.sampled_from(["1", "a", "latest"]),
    st.sampled_from([None, DIGEST, OTHER]),
)


@pytest.mark.parametrize(
    ("text", "host", "project"),
    [
        ("registry.example/team", "registry.example", "team"),
        ("registry.example/team/images/", "registry.example", "team/images"),
        ("localhost:5000", "localhost:5000", ""),
        ("localhost/x", "localhost", "x"),
    ],
)
def test_a_place_is_a_registry_and_a_path_on_it(text: str, host: str, project: str) -> None:
    assert place(text) == Place(host=host, project=project)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "team",
        "team/images",
        "https://registry.example/team",
        "registry.example/Team",
        "registry.example/team:1",
        "registry.example//team",
        f"registry.example/team@{DIGEST}",
        "user@registry.example/team",
    ],
)
def test_what_is_no_place_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no place for images") as caught:
        place(text)
    assert "registry.example/project" in caught.value.remedy


@pytest.mark.parametrize("text", ["docker.io", "docker.io/somebody", "index.docker.io/somebody"])
def test_docker_hub_has_no_folders(text: str) -> None:
    with pytest.raises(UsageError):
        place(text)


@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        ("docker.io", "docker.io"),
        ("localhost:5000", "localhost_5000"),
        ("127.0.0.1:5000", "127.0.0.1_5000"),
        ("GHCR.IO", "host_x_474843522e494f"),
    ],
)
def test_a_host_is_its_folder_where_a_path_may_hold_it(host: str, prefix: str) -> None:
    assert prefix_of(host) == prefix


def test_hosts_that_look_alike_have_folders_of_their_own() -> None:
    labels = [".".join(each) for count in (2, 3) for each in product("aA0", repeat=count)]
    alike = {f"{name}{end}" for name in labels for end in ("", ":0", ":00", "_0", "_0_0", "-0")}
    alike |= {"localhost", "localhost:0", "[::1]:0", "host:0", "host_x:61", "HOST", "a_x.0"}
    folders = {prefix_of(host) for host in alike}
    assert len(folders) == len(alike)
    assert all(map(COMPONENT.fullmatch, folders))


@given(hosts, hosts)
def test_no_two_hosts_have_one_folder(one: str, other: str) -> None:
    assert (prefix_of(one) == prefix_of(other)) == (one == other)


def test_images_that_look_alike_have_names_of_their_own() -> None:
    paths = ["a", "a/a", "a.a/a", "0/a", "a.a_0/a"]
    alike = [
        Reference(host, path, tag, digest)
        for host in ("a.a", "a.a:0", "a.a_0", "localhost:0", "A")
        for path in paths
        for tag, digest in (("1", None), ("2", None), (None, DIGEST), (None, OTHER))
    ]
    folders = prefixes([reference.host for reference in alike], {})
    names = {mirror_reference(reference, TEAM, folders) for reference in alike}
    assert len(names) == len(alike)
    # Where there is a digest, the tag means nothing: two of one tag are two images.
    for tag in ("1", "2"):
        tagged = {
            mirror_reference(replace(each, tag=tag), TEAM, folders) for each in alike if each.digest
        }
        assert tagged < names


@given(references, references)
def test_no_two_images_have_one_name(one: Reference, other: Reference) -> None:
    folders = prefixes([one.host, other.host], {})
    names = [mirror_reference(each, TEAM, folders) for each in (one, other)]
    images = [replace(each, tag=None) if each.digest else each for each in (one, other)]
    assert (names[0] == names[1]) == (images[0] == images[1])
    for name in names:
        assert Reference.parse(str(name)) == name
        assert (name.host, name.digest) == (TEAM.host, None)
        assert name.path.startswith(f"{TEAM.project}/")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"ghcr.io": "hub", "docker.io": "hub"}, "would meet"),
        ({"ghcr.io": "docker.io"}, "would meet"),
        ({"ghcr.io": "docker.io/library"}, "would meet"),
        ({"ghcr.io": "Ghcr"}, "no part"),
        ({"ghcr.io": "a//b"}, "no part"),
        ({"ghcr.io": "/a"}, "no part"),
        ({"ghcr.io": "a:1"}, "no part"),
    ],
)
def test_folders_of_the_settings_are_kept_apart(names: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        prefixes(["docker.io"], names)
    assert "mirror-names" in caught.value.remedy


def test_a_folder_of_the_settings_takes_the_place_of_the_hosts() -> None:
    folders = prefixes(["docker.io", "ghcr.io"], {"docker.io": "hub/all"})
    name = mirror_reference(Reference.parse("alpine:3.20"), TEAM, folders)
    assert str(name) == "registry.example/team/images/hub/all/library/alpine:3.20"
    assert folders["ghcr.io"] == "ghcr.io"


def test_a_digest_that_no_registry_can_check_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be mirrored"):
        own_tag("sha512:" + "1" * 128)


def wanted(name: str, *platforms: str) -> list[WantedImage]:
    return [
        WantedImage(
            reference=Reference.parse(name),
            platform=Platform.parse(platform),
            named_at=(),
            targets=(),
        )
        for platform in platforms
    ]


def pin(image: WantedImage, index: str, at: str = "2026-01-01") -> Pin:
    reference, platform = image.key
    return Pin(
        reference=reference,
        platform=platform,
        digest=DIGEST,
        index_digest=index,
        served_from="",
        resolved_at=at,
    )


def test_an_image_is_copied_once_for_all_platforms_as_it_is_pinned() -> None:
    amd64, arm64 = alpine = wanted("alpine:3.20", "linux/amd64", "linux/arm64")
    other = wanted("ghcr.io/a/b:1", "linux/amd64")
    found = copies([*alpine, *other], {amd64.key: pin(amd64, OTHER)}, TEAM, {})
    assert [(copy.image, copy.pin and copy.pin.index_digest) for copy in found] == [
        (amd64, OTHER),
        (other[0], None),
    ]
    assert str(found[1].destination) == "registry.example/team/images/ghcr.io/a/b:1"
    both = {amd64.key: pin(amd64, OTHER), arm64.key: pin(arm64, OTHER)}
    assert len(copies(alpine, both, TEAM, {})) == 1


def test_platforms_that_are_pinned_apart_are_both_there_and_the_newest_has_the_tag() -> None:
    amd64, arm64 = alpine = wanted("alpine:3.20", "linux/amd64", "linux/arm64")
    pins = {amd64.key: pin(amd64, OTHER), arm64.key: pin(arm64, DIGEST, "2026-02-02")}
    newest, older = copies(alpine, pins, TEAM, {})
    assert (newest.image, newest.destination.tag) == (arm64, "3.20")
    assert (older.image, older.destination.tag) == (amd64, own_tag(OTHER))


def settings(root: Path, **given: object) -> Settings:
    return load(root, environment={}, overrides={"name": "bailing", **given})


def test_the_settings_of_the_other_network_lead_to_where_the_images_are(tmp_path: Path) -> None:
    known = [Reference.parse(name) for name in ("alpine:3.20", "localhost:5000/a/b:1")]
    names = {"docker.io": "hub"}
    lines = mirrors_setting([each.host for each in known], TEAM, names)
    (tmp_path / "pyproject.toml").write_text("\n".join(lines))
    read = settings(tmp_path)
    assert read.prefetch.trust_mirrors
    assert toml.loads("\n".join(lines))
    folders = prefixes([each.host for each in known], names)
    for reference in known:
        first, *_ = sources(reference, read.mirrors)
        assert first.repository == mirror_reference(reference, TEAM, folders).repository


def test_a_place_comes_before_the_mirrors_of_the_settings_and_once(tmp_path: Path) -> None:
    own = "registry.example/team/images"
    mirrors = {"docker.io": [f"https://{own}/old", "other.example"], "quay.io": ["its.example"]}
    found = through(settings(tmp_path, mirrors=mirrors), TEAM, ["docker.io", "ghcr.io"])
    assert found.mirrors == {
        "docker.io": (f"{own}/docker.io", "other.example"),
        "ghcr.io": (f"{own}/ghcr.io",),
        "quay.io": ("its.example",),
    }
    assert found.prefetch.trust_mirrors


@pytest.mark.parametrize(
    ("repository", "version", "names"),
    [
        ("", "", ["bailing-builder:latest"]),
        (
            "ghcr.io/a/b-builder",
            "v0.3.7",
            [
                "b-builder:builder-0.3.7",
                "b-builder:0.3.7",
                "b-builder:builder-v0.3.7",
                "b-builder:v0.3.7",
            ],
        ),
        ("", "a/b", ["bailing-builder:builder-a-b", "bailing-builder:a-b"]),
    ],
)
def test_what_is_built_is_looked_for_under_its_version(
    tmp_path: Path, repository: str, version: str, names: list[str]
) -> None:
    target = replace(settings(tmp_path).builder, repository=repository)
    found = built_names(target, TEAM, version, "semver")
    assert [str(name) for name in found] == [f"registry.example/team/images/{x}" for x in names]


def test_two_targets_that_would_have_one_name_in_a_place_are_refused(tmp_path: Path) -> None:
    app, builder = settings(tmp_path).app, settings(tmp_path).builder
    check_distinct([app, builder, app], TEAM)
    others = [replace(app, repository="a/web"), replace(builder, repository="b/web")]
    with pytest.raises(SettingsError, match=r"app and builder would both be .*/team/images/web"):
        check_distinct(others, TEAM)
