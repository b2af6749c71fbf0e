"""Each fault alone is found, at its line; a repository without one gives no finding."""

from __future__ import annotations

import pytest

from tests.unit.workflows.conftest import APP, BUILDER, SHELL, Checkout

META = "${{ steps.meta.outputs.tags }}"
NO_PULL = "${{ github.event_name != 'pull_request' }}"
UV_LOCK = "      - uv.lock\n"
SCOPE = "type=registry,ref=ghcr.io/${{ github.repository }}:cache-${{ matrix.arch }},mode=max"

Change = tuple[str, str, str]
"""A file, some text of it, and what it is replaced by."""

FAULTS: dict[str, tuple[list[Change], str, str, str]] = {
    # what is changed; the rule, the file and a text of the line that it is found at
    "a file that is copied starts nothing": (
        [(BUILDER, UV_LOCK, "")],
        *("not-triggered", BUILDER, "    paths:"),
    ),
    "a Dockerfile starts nothing": (
        [(APP, "      - Dockerfile\n", "")],
        *("not-triggered", APP, "    paths:"),
    ),
    "an ignored path is copied": (
        [
            (BUILDER, "    paths:\n", "    paths-ignore:\n"),
            (BUILDER, "      - docker/dockerfile.dev\n", ""),
            (BUILDER, UV_LOCK, ""),
            (BUILDER, "      - .github/workflows/docker-build-builder.yml\n", ""),
        ],
        *("not-triggered", BUILDER, "    paths-ignore:"),
    ),
    "a trigger is for nothing": (
        [(APP, "      - main.py\n", "      - main.py\n      - docs/**\n")],
        *("triggered-for-nothing", APP, "docs/**"),
    ),
    "a trigger takes no file": (
        [(APP, "      - main.py\n", "      - main.py\n      - mian.py\n")],
        *("triggered-for-nothing", APP, "mian.py"),
    ),
    "a star stops at a slash": (
        [(APP, "- bailing/**", "- bailing/*.py")],
        *("misleading-pattern", APP, "bailing/*.py"),
    ),
    "a folder is named": (
        [(APP, "- bailing/**", "- bailing")],
        *("misleading-pattern", APP, "- bailing"),
    ),
    "a folder is named with a slash": (
        [(APP, "- bailing/**", "- bailing/")],
        *("misleading-pattern", APP, "- bailing/"),
    ),
    "a path starts with a dot": (
        [(APP, "- main.py", "- ./main.py")],
        *("misleading-pattern", APP, "- ./main.py"),
    ),
    "a path starts with a slash": (
        [(APP, "- config/**", "- /config/**")],
        *("misleading-pattern", APP, "- /config/**"),
    ),
    "a path has other letters": (
        [(APP, "- Dockerfile", "- dockerfile")],
        *("misleading-pattern", APP, "- dockerfile"),
    ),
    "a branch is named as a ref": (
        [(APP, 'branches: [main, "feature/**"]', "branches: [refs/heads/main, main]")],
        *("misleading-pattern", APP, "refs/heads/main"),
    ),
    "an exclusion stands first": (
        [(APP, "      - Dockerfile\n", '      - "!bailing/x"\n      - Dockerfile\n')],
        *("exclusion-first", APP, "!bailing/x"),
    ),
    "a pattern is malformed": (
        [(APP, "      - main.py\n", '      - main.py\n      - "[x"\n')],
        *("malformed-pattern", APP, "[x"),
    ),
    "paths and paths-ignore": (
        [
            (
                APP,
                "  pull_request:\n",
                "    paths-ignore: [docs/**]\n  pull_request:\n    paths-ignore: [docs/**]\n",
            )
        ],
        *("paths-and-paths-ignore", APP, "paths-ignore"),
    ),
    "push and pull request differ": (
        [(APP, "paths: *paths", "paths: [Dockerfile, main.py, config/**, bailing/**]")],
        *("push-and-pull-request-differ", APP, "paths: [Dockerfile"),
    ),
    "an image is pushed from a pull request": (
        [(BUILDER, f"push: {NO_PULL}", "push: true")],
        *("pushed-from-pull-request", BUILDER, "push: true"),
    ),
    "a pull request is compared wrongly": (
        [(BUILDER, f"push: {NO_PULL}", "push: ${{ github.ref != 'pull_request' }}")],
        *("pushed-from-pull-request", BUILDER, "push: ${{ github.ref"),
    ),
    "latest is pushed from a topic branch": (
        [
            (
                APP,
                "github.ref == format('refs/heads/{0}', 'main')",
                "github.ref_type == 'branch'",
            )
        ],
        *("latest-from-topic-branch", APP, f"tags: {META}"),
    ),
    "a Git tag gives no tag": (
        [(APP, 'tags: ["v*"]', 'tags: ["app-v*"]')],
        *("no-tag-for-git-tag", APP, f"tags: {META}"),
    ),
    "each Git tag gives the same": (
        [(APP, f"tags: {META}", "tags: ghcr.io/owner/voice:stable")],
        *("same-tag-for-git-tags", APP, "voice:stable"),
    ),
    "the builder is not waited for": (
        [(APP, "    workflows: [Builder image]", "    workflows: [Another]")],
        *("builder-not-waited-for", APP, "docker/build-push-action"),
    ),
    "one cache for two architectures": (
        [(APP, SCOPE, "type=gha,mode=max")],
        *("shared-cache", APP, "cache-to"),
    ),
    "one cache for two images": (
        [(APP, SCOPE, "type=gha,scope=builder")],
        *("shared-cache", APP, "cache-to"),
    ),
    "a platform is missing": (
        [(BUILDER, "platforms: linux/amd64,linux/arm64", "platforms: linux/amd64")],
        *("platforms", BUILDER, "platforms:"),
    ),
    "there is no such Dockerfile": (
        [(BUILDER, "file: docker/dockerfile.dev", "file: docker/dockerfile.prod")],
        *("no-such-dockerfile", BUILDER, "file:"),
    ),
    "there is no such stage": (
        [(BUILDER, "target: builder", "target: compiler")],
        *("no-such-stage", BUILDER, "target:"),
    ),
    "there is no such context": (
        [(BUILDER, "context: .", "context: source")],
        *("no-such-context", BUILDER, "context:"),
    ),
    "the stage is not named": (
        [(BUILDER, "          target: builder\n", "")],
        *("other-stage", BUILDER, "docker/build-push-action"),
    ),
    "the context is another one": (
        [
            (APP, "          platforms: ", "          context: .\n          platforms: "),
            ("pyproject.toml", "\n", ""),
        ],
        *("", APP, ""),
    ),
    "the image has another name": (
        [(APP, "images: ghcr.io/${{ github.repository }}", "images: ghcr.io/owner/other")],
        *("other-image-name", APP, f"tags: {META}"),
    ),
    "the Dockerfile is refused": (
        [("Dockerfile", "COPY config/ config/", "COPI config/ config/")],
        *("dockerfile-refused", APP, "docker/build-push-action"),
    ),
}
del FAULTS["the context is another one"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_alone_is_found_where_it_is(checkout: Checkout, fault: str) -> None:
    changes, rule, file, text = FAULTS[fault]
    for path, old, new in changes:
        before = (checkout.root / path).read_text()
        assert old in before
        checkout.write(path, before.replace(old, new))
    found = set(checkout.places())
    assert (rule, file, checkout.line(file, text)) in found
    assert {each for each, _, _ in found} == {rule}, checkout.findings()


def test_a_repository_without_a_fault_gives_no_finding(checkout: Checkout) -> None:
    assert checkout.findings() == ()


def test_workflows_of_shell_commands_without_a_fault_give_no_finding(bare: Checkout) -> None:
    bare.workflow(SHELL, "shell.yml")
    assert bare.findings() == ()
