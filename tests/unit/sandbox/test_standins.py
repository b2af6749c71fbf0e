from __future__ import annotations

import pytest

from bailing_tasks.sandbox import standins
from bailing_tasks.sandbox.standins import Recipe


@pytest.mark.parametrize(
    ("reference", "recipe"),
    [
        (
            "ghcr.io/astral-sh/uv:python3.11-bookworm",
            Recipe(suite="bookworm", python="3.11", uv=True, headers=True),
        ),
        (
            "ghcr.io/astral-sh/uv:python3.11-bookworm-slim",
            Recipe(suite="bookworm", python="3.11", uv=True),
        ),
        (
            "ghcr.io/astral-sh/uv:python3.13-bookworm-slim",
            Recipe(suite="trixie", python="3.13", uv=True),
        ),
        (
            "docker.io/library/python:3.11",
            Recipe(suite="bookworm", python="3.11", pip=True, headers=True),
        ),
        (
            "docker.io/library/python:3.11-bookworm",
            Recipe(suite="bookworm", python="3.11", pip=True, headers=True),
        ),
        (
            "docker.io/library/python:3.13-slim",
            Recipe(suite="trixie", python="3.13", pip=True),
        ),
        (
            "docker.io/library/python:3.11-slim-bookworm",
            Recipe(suite="bookworm", python="3.11", pip=True),
        ),
        ("docker.io/library/debian:bookworm-slim", Recipe(suite="bookworm")),
        ("docker.io/library/debian:trixie", Recipe(suite="trixie")),
    ],
)
def test_references_with_a_recipe(reference: str, recipe: Recipe) -> None:
    assert standins.recipe(reference) == recipe


@pytest.mark.parametrize(
    "reference",
    [
        "docker.io/library/nginx:1",
        "docker.io/library/debian:buster",
        "docker.io/library/python:3.12",
        "docker.io/library/python:3.11-alpine",
        "docker.io/library/python:3.11-bookworm-slim",
        "ghcr.io/astral-sh/uv:python3.12-bookworm",
        "ghcr.io/astral-sh/uv:latest",
        "quay.io/astral-sh/uv:python3.11-bookworm",
        "ghcr.io/astral-sh/uv:python3.11-bookworm@sha256:" + "0" * 64,
    ],
)
def test_references_without_one(reference: str) -> None:
    assert standins.recipe(reference) is None


def test_a_description_says_what_it_is_made_of() -> None:
    recipe = Recipe(suite="bookworm", python="3.11", uv=True, headers=True)
    assert recipe.description == "debian bookworm, python 3.11, uv, headers"
    assert Recipe(suite="trixie").description == "debian trixie"


def test_packages_of_base_and_layer() -> None:
    assert Recipe(suite="trixie").base_packages == ("ca-certificates",)
    assert Recipe(suite="trixie").extra_packages == ()
    slim = Recipe(suite="bookworm", python="3.11", uv=True)
    assert "python3" in slim.base_packages
    full = Recipe(suite="bookworm", python="3.11", pip=True, headers=True)
    assert full.base_packages == slim.base_packages
    assert full.extra_packages == ("python3-pip", "python3-venv", "python3-dev")


def test_python_has_the_names_of_the_official_image() -> None:
    assert standins.overlay_links(Recipe(suite="bookworm")) == {}
    links = standins.overlay_links(Recipe(suite="bookworm", python="3.11"))
    assert set(links) == {f"usr/local/bin/{name}" for name in ("python", "python3", "python3.11")}
    assert set(links.values()) == {"/usr/bin/python3.11"}


def test_certificates_and_index_are_set_only_where_the_machine_has_them() -> None:
    recipe = Recipe(suite="bookworm", python="3.11", uv=True)
    plain = standins.environment(recipe, certificates=False, index="")
    assert set(plain) == {"PATH", "LANG", "UV_TOOL_BIN_DIR"}
    full = standins.environment(recipe, certificates=True, index="https://index.example/simple")
    for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        assert full[name] == standins.CERTIFICATE_BUNDLE
    assert full["PIP_INDEX_URL"] == full["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    bare = standins.environment(Recipe(suite="bookworm"), certificates=False, index="")
    assert set(bare) == {"PATH"}


def test_the_dockerfile_of_a_full_image() -> None:
    recipe = Recipe(suite="bookworm", python="3.11", uv=True, headers=True)
    text = standins.dockerfile(recipe, variables={"LANG": "C.UTF-8"}, rootfs="base.tar")
    assert text.splitlines() == [
        "FROM scratch",
        "ADD base.tar /",
        "COPY overlay/ /",
        "ENV LANG=C.UTF-8",
        (
            "RUN apt-get update && apt-get install -y --no-install-recommends python3-dev"
            " && rm -rf /var/lib/apt/lists/*"
        ),
        'LABEL io.bailing-tasks.standin="debian bookworm, python 3.11, uv, headers"',
        'CMD ["/usr/local/bin/uv"]',
    ]


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        (Recipe(suite="bookworm"), "bash"),
        (Recipe(suite="bookworm", python="3.11", pip=True), "python3"),
    ],
)
def test_the_command_is_the_official_images(recipe: Recipe, command: str) -> None:
    text = standins.dockerfile(recipe, variables={}, rootfs="base.tar")
    assert text.endswith(f'CMD ["{command}"]\n')
    assert ("RUN" in text) == bool(recipe.extra_packages)


def test_repository_and_tag() -> None:
    assert standins.repository("ghcr.io/a/b:c") == ("ghcr.io/a/b", "c")
