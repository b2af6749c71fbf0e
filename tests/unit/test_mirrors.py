"""Where a reference is asked for, and in which order."""

from __future__ import annotations

import pytest

from bailing_tasks.errors import SettingsError
from bailing_tasks.mirrors import is_loopback, origin, server, sources
from bailing_tasks.references import Reference

ALPINE = Reference.parse("alpine:3.20")


def test_docker_hub_is_asked_under_its_api_and_pulled_under_its_name() -> None:
    (source,) = sources(ALPINE, {})
    assert source.url == "https://registry-1.docker.io"
    assert source.name == "library/alpine"
    assert source.repository == "docker.io/library/alpine"
    assert not source.mirror


def test_mirrors_come_first_in_order_and_keep_the_path_behind_their_prefix() -> None:
    mirrors = {"docker.io": ["https://mirror.example/hub", "http://other.example:5000"]}
    first, second, origin = sources(ALPINE, mirrors)
    assert (first.url, first.name) == ("https://mirror.example", "hub/library/alpine")
    assert first.repository == "mirror.example/hub/library/alpine"
    assert (second.url, second.name) == ("http://other.example:5000", "library/alpine")
    assert second.repository == "other.example:5000/library/alpine"
    assert first.mirror
    assert second.mirror
    assert origin.repository == "docker.io/library/alpine"


def test_a_mirror_of_another_host_is_not_asked() -> None:
    (source,) = sources(Reference.parse("ghcr.io/a/b"), {"docker.io": ["mirror.example"]})
    assert source.url == "https://ghcr.io"


def test_the_engines_own_mirrors_are_asked_and_pulled_through_the_engine() -> None:
    first, second = sources(ALPINE, {}, ["https://hub-mirror.example/"])
    assert first.url == "https://hub-mirror.example"
    assert first.name == "library/alpine"
    assert first.repository == second.repository == "docker.io/library/alpine"
    assert len(sources(Reference.parse("ghcr.io/a/b"), {}, ["https://hub-mirror.example/"])) == 1


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("mirror.example", "https://mirror.example"),
        ("127.0.0.1:5000/x", "http://127.0.0.1:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
    ],
)
def test_without_a_scheme_only_loopback_is_plain_http(address: str, url: str) -> None:
    assert sources(ALPINE, {"docker.io": [address]})[0].url == url


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ftp://mirror.example",
        "https://",
        "https://[x",
        "https://user:word@mirror.example",
        "a.example?x=1",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="is no address") as caught:
        sources(ALPINE, {"docker.io": [address]})
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://registry",
        "registry/prefix",
        "https://mirror.example/Prefix",
        "mirror.example/a b",
        "mirror.example/a:1",
        "mirror.example:port",
        "index.docker.io",
    ],
)
def test_a_mirror_that_no_image_can_be_named_after_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="no image can be named after") as caught:
        sources(ALPINE, {"docker.io": [address]})
    assert caught.value.remedy


def test_the_engines_own_mirrors_may_have_any_name() -> None:
    first, _ = sources(ALPINE, {}, ["http://registry/Prefix"])
    assert (first.url, first.name) == ("http://registry", "Prefix/library/alpine")


def test_plain_http_is_spoken_where_somebody_said_so() -> None:
    said = ["registry.intranet:5000"]
    inside = Reference.parse("registry.intranet:5000/a")
    assert sources(inside, {}, plain_http=said)[0].url == "http://registry.intranet:5000"
    assert origin(inside, ()).url == "https://registry.intranet:5000"
    assert origin(Reference.parse("registry.intranet/a"), said).url == "https://registry.intranet"
    mirrors = {"docker.io": ["registry.intranet:5000/hub", "https://registry.intranet:5000/hub"]}
    plain, tls, _ = sources(ALPINE, mirrors, plain_http=said)
    assert (plain.url, tls.url) == (
        "http://registry.intranet:5000",
        "https://registry.intranet:5000",
    )


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Registry.Example/v2/", ("https", "registry.example")),
        ("HTTPS://r.example:443?x=1", ("https", "r.example")),
        ("http://r.example:443/", ("http", "r.example:443")),
        ("http://[::1]:5000/x", ("http", "[::1]:5000")),
        ("http://r.example:/x", ("http", "r.example")),
    ],
)
def test_the_server_of_a_url(url: str, place: tuple[str, str]) -> None:
    assert server(url) == place


@pytest.mark.parametrize(
    "url",
    ["http://u@h/", r"http://e\@127.0.0.1/", "http://h/ x", "http://h/\n", "//h/x", "file:///h"],
)
def test_a_url_that_parsers_may_read_differently_has_no_server(url: str) -> None:
    with pytest.raises(ValueError, match="no plain URL"):
        server(url)


@pytest.mark.parametrize("host", [r"evil.example\@127.0.0.1", "u@127.0.0.1", "localhost.evil", ""])
def test_what_only_looks_like_loopback_is_none(host: str) -> None:
    assert not is_loopback(host)
