"""Image references follow distribution's grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailing_tasks.errors import UsageError
from bailing_tasks.references import Reference, image_name

DIGEST = "sha256:" + "0a" * 32
HOST = "docker.io"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("alpine", f"{HOST}/library/alpine:latest"),
        ("alpine:3.20", f"{HOST}/library/alpine:3.20"),
        ("moby/buildkit", f"{HOST}/moby/buildkit:latest"),
        ("docker.io/alpine", f"{HOST}/library/alpine:latest"),
        ("index.docker.io/alpine", f"{HOST}/library/alpine:latest"),
        ("index.docker.io/moby/buildkit:v1", f"{HOST}/moby/buildkit:v1"),
        ("docker.io/library/alpine", f"{HOST}/library/alpine:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("ghcr.io/astral-sh/uv:0.5", "ghcr.io/astral-sh/uv:0.5"),
        ("registry:5000/a/b/c:x", "registry:5000/a/b/c:x"),
        ("REGISTRY/app", "REGISTRY/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("my_registry.local/app", "my_registry.local/app:latest"),
        ("a__b/c-d.e_f", f"{HOST}/a__b/c-d.e_f:latest"),
        ("a---b", f"{HOST}/library/a---b:latest"),
        (f"alpine@{DIGEST}", f"{HOST}/library/alpine@{DIGEST}"),
        (f"alpine:3@{DIGEST}", f"{HOST}/library/alpine:3@{DIGEST}"),
        (f"alpine@sha512:{'b' * 128}", f"{HOST}/library/alpine@sha512:{'b' * 128}"),
        ("alpine:" + "t" * 128, f"{HOST}/library/alpine:" + "t" * 128),
        ("a" * 63, f"{HOST}/library/{'a' * 63}:latest"),
        ("0" * 64 + ":x", f"{HOST}/library/{'0' * 64}:x"),
    ],
)
def test_text_becomes_canonical(text: str, canonical: str) -> None:
    assert str(Reference.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "Alpine",
        "docker.io/Alpine",
        "a//b",
        "a/",
        "/a",
        "-a",
        "a-",
        "a_._b",
        "a___b",
        "a..b",
        "a b",
        "a:",
        "a:.tag",
        "a:" + "t" * 129,
        "a@",
        "a@sha256:abc",
        f"a@sha256:{'A' * 64}",
        f"a@sha256:{'a' * 63}",
        f"a@md5:{'a' * 32}",
        "0" * 64,
        "a" * 256,
        "$IMAGE",
        "a:tag\n",
        "http://a/b",
    ],
)
def test_malformed_text_is_refused_with_cause_and_remedy(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse(text)
    assert caught.value.cause
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/alpine:3.20", "alpine:3.20"),
        ("docker.io/moby/buildkit", "moby/buildkit:latest"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
        (f"alpine@{DIGEST}", f"alpine@{DIGEST}"),
        # Shorter, these would read as something else.
        ("docker.io/foo.bar/baz", "docker.io/foo.bar/baz:latest"),
        ("docker.io/localhost/baz", "docker.io/localhost/baz:latest"),
        ("docker.io/library/a/b", "library/a/b:latest"),
    ],
)
def test_familiar_form_is_what_people_write(text: str, familiar: str) -> None:
    assert Reference.parse(text).familiar == familiar


def test_repository_has_neither_tag_nor_digest() -> None:
    assert Reference.parse(f"alpine:3@{DIGEST}").repository == "docker.io/library/alpine"


_COMPONENT = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
_HOSTS = st.sampled_from(["docker.io", "localhost", "ghcr.io", "host:5000", "HOST", "10.0.0.1:80"])


@st.composite
def references(draw: st.DrawFn) -> Reference:
    host = draw(_HOSTS)
    parts = draw(st.lists(_COMPONENT, min_size=1, max_size=3))
    if host == "docker.io" and len(parts) == 1:
        parts = ["library", *parts]
    digest = draw(st.none() | st.just(DIGEST))
    tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
    tag = draw(tags if digest is None else st.none() | tags)
    return Reference(host, "/".join(parts), tag, digest)


@given(references())
def test_parse_of_format_is_identity(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference


@given(st.text(alphabet="aB0.:/@-_[]", max_size=20))
def test_canonical_form_is_idempotent(text: str) -> None:
    try:
        canonical = str(Reference.parse(text))
    except UsageError:
        return
    assert str(Reference.parse(canonical)) == canonical


@given(st.text(max_size=200) | st.text(alphabet="aB0._-/ ", max_size=200))
def test_any_text_gives_a_valid_image_name_or_none(text: str) -> None:
    name = image_name(text)
    assert image_name(name) == name
    if name:
        assert Reference.parse(f"localhost/{name}-builder").path == f"{name}-builder"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Our Voice!", "our-voice"),
        ("a.b_c__d--e", "a.b_c__d--e"),
        ("a..b___c-_d", "a-b-c-d"),
        ("-_.", ""),
        ("語", ""),
        ("ab" * 32, ""),
    ],
)
def test_what_a_name_may_not_have_becomes_a_hyphen(text: str, name: str) -> None:
    assert image_name(text) == name
