from __future__ import annotations

from bailing_tasks.sandbox import aptsources
from bailing_tasks.sandbox.aptsources import Source

KEYRING = "/usr/share/keyrings/archive.gpg"
DEB822 = f"""\
# the archive
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: {KEYRING}

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main


Types: deb deb-src
# a comment in between
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKwYBBAHaRw8BAQdAd7Z0srwuhlB6JKFkcf4HU4SSS
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://broken.example/debian
Suites: bookworm
Components: main
"""


def test_one_line_format_is_read() -> None:
    text = f"""\
deb http://mirror.example/debian bookworm main contrib  # with a comment
# deb http://mirror.example/debian bookworm-updates main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by={KEYRING}] https://mirror.example/debian/ bookworm-security main
deb http://flat.example/ ./

nonsense
"""
    assert aptsources.parse_list(text) == (
        Source(
            uri="http://mirror.example/debian", suite="bookworm", components=("main", "contrib")
        ),
        Source(
            uri="https://mirror.example/debian/",
            suite="bookworm-security",
            components=("main",),
            signed_by=(KEYRING,),
        ),
    )


def test_deb822_format_is_read() -> None:
    found = aptsources.parse_deb822(DEB822)
    assert [(source.uri, source.suite, source.signed_by) for source in found] == [
        ("http://mirror.example/debian", "bookworm", (KEYRING,)),
        ("http://mirror.example/debian", "bookworm-updates", (KEYRING,)),
        ("http://mirror.example/debian", "bookworm-backports", (KEYRING,)),
        ("http://mirror.example/security", "bookworm-security", ()),
    ]
    assert found[0].components == ("main", "contrib")


def test_only_debians_own_main_is_taken() -> None:
    sources = (
        *aptsources.parse_deb822(DEB822),
        Source(uri="http://vendor.example/apt", suite="bookworm", components=("stable",)),
        Source(uri="http://vendor.example/apt", suite="nodistro", components=("main",)),
    )
    found = aptsources.debian_sources(sources, codename="bookworm")
    assert [(source.suite, source.components) for source in found] == [
        ("bookworm", ("main",)),
        ("bookworm-updates", ("main",)),
        ("bookworm-security", ("main",)),
    ]


def test_another_suite_is_derived_from_the_same_mirror() -> None:
    found = aptsources.debian_sources(
        aptsources.parse_deb822(DEB822), codename="bookworm", suite="trixie"
    )
    assert [(source.uri, source.suite, source.signed_by) for source in found] == [
        ("http://mirror.example/debian", "trixie", (KEYRING,)),
        ("http://mirror.example/debian", "trixie-updates", (KEYRING,)),
        ("http://mirror.example/security", "trixie-security", ()),
    ]


def test_a_mirror_that_follows_stable_counts_and_repetitions_do_not() -> None:
    source = Source(uri="http://mirror.example/debian", suite="stable", components=("main",))
    assert aptsources.debian_sources([source, source], codename="bookworm") == (
        Source(uri="http://mirror.example/debian", suite="bookworm", components=("main",)),
    )


def test_updates_without_the_suite_itself_are_no_archive() -> None:
    source = Source(uri="http://m.example", suite="bookworm-security", components=("main",))
    assert aptsources.debian_sources([source], codename="bookworm") == ()
    assert aptsources.debian_sources([], codename="bookworm") == ()


def test_images_get_only_what_a_container_reaches() -> None:
    near = Source(uri="file:/srv/debian", suite="bookworm", components=("main",))
    far = Source(uri="https://mirror.example/debian", suite="bookworm", components=("main",))
    assert aptsources.for_images([near, far]) == (far,)


def test_a_source_is_written_as_it_is_read() -> None:
    plain = Source(uri="http://m.example/debian", suite="trixie", components=("main",))
    signed = Source(
        uri="http://m.example/debian", suite="trixie", components=("main",), signed_by=("/a", "/b")
    )
    assert aptsources.one_line(plain) == "deb http://m.example/debian trixie main"
    for source in (plain, signed):
        assert aptsources.parse_list(aptsources.one_line(source)) == (source,)
