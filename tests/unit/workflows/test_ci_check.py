"""Each fault alone is found, at its line; a repository without one gives no finding."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import ci_check, ci_write, installed
from bailing_tasks.configuration import load
from bailing_tasks.engine import bake
from bailing_tasks.errors import FindingsError, SettingsError, UsageError
from bailing_tasks.install_command import Install
from bailing_tasks.settings import Settings
from bailing_tasks.workflows.contexts import BakeCall
from tests.unit.workflows.checkout import APP, BUILDER, DOCKERFILES, SHELL, Checkout

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
    "the builder is another one": (
        [(APP, "repository }}-builder:latest", "repository }}-bulider:latest")],
        *("other-builder", APP, "build-args"),
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


def test_a_star_that_has_nothing_deeper_to_take_is_fine(checkout: Checkout) -> None:
    text = (checkout.root / APP).read_text()
    checkout.write(APP, text.replace("- main.py", '- "*.py"'))
    assert checkout.findings() == ()


def test_workflows_of_shell_commands_without_a_fault_give_no_finding(bare: Checkout) -> None:
    bare.workflow(SHELL, "shell.yml")
    assert bare.findings() == ()


SHELL_FAULTS: dict[str, tuple[str, str, str, str]] = {
    # some text and what it is replaced by; the rule, and a text of the line it is found at
    "pushed from a pull request": (
        'if [ "$GITHUB_EVENT_NAME" != pull_request ]; then',
        'if [ "$GITHUB_EVENT_NAME" != tag ]; then',
        *("pushed-from-pull-request", "docker buildx build --platform"),
    ),
    "pushed later from a pull request": (
        "[[ $GITHUB_EVENT_NAME != pull_request ]]",
        "[[ $GITHUB_EVENT_NAME != *request_target ]]",
        *("pushed-from-pull-request", "; then docker push"),
    ),
    "latest from a topic branch": (
        '"$GITHUB_REF" = refs/heads/main',
        '"$GITHUB_REF_TYPE" = branch',
        *("latest-from-topic-branch", "docker buildx build --platform"),
    ),
    "latest from a topic branch, under another name": (
        "github.ref == 'refs/heads/main' && github.event_name == 'push'",
        "github.ref_type == 'branch' && github.event_name == 'push'",
        *("latest-from-topic-branch", "docker push ghcr.io"),
    ),
    "the builder is not waited for": (
        "    needs: [builder]\n",
        "",
        *("builder-not-waited-for", '--build-arg "BUILDER'),
    ),
    "one cache for two images": (
        "type=gha,scope=app",
        "type=gha,scope=builder",
        *("shared-cache", "docker buildx build --platform"),
    ),
    "one cache without a scope for two images": (
        "scope=",
        "mode=max,x=",
        *("shared-cache", "docker buildx build --platform"),
    ),
    "a platform is missing": (
        'docker buildx build --platform "$PLATFORMS" \\\n            --file',
        'docker buildx build --platform "${PLATFORMS%,*}" \\\n            --file',
        *("platforms", "${PLATFORMS%,*}"),
    ),
    "the stage is not named": (
        " --target builder",
        "",
        *("other-stage", "docker buildx build --platform"),
    ),
    "a commented stage is none": (
        "--file docker/dockerfile.dev --target builder \\",
        "--file docker/dockerfile.dev \\",
        *("other-stage", "docker buildx build --platform"),
    ),
    "there is no such Dockerfile": (
        "--file docker/dockerfile.dev",
        "--file docker/dockerfile.prod",
        *("no-such-dockerfile", "docker buildx build --platform"),
    ),
    "each Git tag gives the same": (
        '--tag "$IMAGE:${{ github.sha }}" .',
        '--push --tag "$IMAGE:stable" .',
        *("same-tag-for-git-tags", '--build-arg "BUILDER'),
    ),
}


@pytest.mark.parametrize("fault", SHELL_FAULTS)
def test_a_fault_of_a_shell_command_is_found(bare: Checkout, fault: str) -> None:
    old, new, rule, text = SHELL_FAULTS[fault]
    bare.workflow(SHELL, "shell.yml", (old, new))
    found = bare.places()
    lines = (bare.root / SHELL).read_text().splitlines()
    near = {number for number, line in enumerate(lines, 1) if text in line}
    near |= {number - 1 for number in near}
    assert [each for each in found if each[0] == rule and each[2] in near], bare.findings()


def test_all_faults_together_are_all_found(checkout: Checkout) -> None:
    together = (
        *("a file that is copied starts nothing", "a trigger is for nothing"),
        *("a star stops at a slash", "an exclusion stands first"),
        *("push and pull request differ", "an image is pushed from a pull request"),
        *("latest is pushed from a topic branch", "a Git tag gives no tag"),
        *("the builder is not waited for", "one cache for two images"),
        *("a platform is missing", "the stage is not named"),
    )
    for fault in together:
        for path, old, new in FAULTS[fault][0]:
            checkout.write(path, (checkout.root / path).read_text().replace(old, new))
    found = {rule for rule, _, _ in checkout.places()}
    assert {FAULTS[fault][1] for fault in together} <= found
    checked = checkout.check()
    assert list(checked.findings) == sorted(checked.findings)
    lines = ci_check.describe(checked.findings)
    assert lines[0].startswith(f"{APP}:")
    assert lines[1].startswith("    ")
    with pytest.raises(FindingsError, match=f"{len(checked.findings)} findings in 2 workflows"):
        ci_check.require(checked)


def baked(**app: Any) -> dict[str, Any]:
    """What bake prints for the two targets."""
    both = {"context": ".", "platforms": ["linux/amd64", "linux/arm64"]}
    builder = {
        "dockerfile": "docker/dockerfile.dev",
        "target": "builder",
        "tags": ["ghcr.io/owner/voice-builder:1"],
        "cache-to": [{"type": "gha", "scope": "builder"}],
    }
    cached: dict[str, Any] = {"contexts": {"builder": "target:builder"}}
    cached |= {"args": {"BUILDER_IMAGE": "builder", "N": None}, "cache-to": ["type=gha,scope=app"]}
    return {"builder": {**both, **builder}, "app": {**both, **cached, **app}}


def test_the_file_that_bake_reads_is_fine_as_a_trigger(
    bare: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bake, "targets", lambda _root, _call: baked())
    paths = ["Dockerfile", "docker/dockerfile.dev", "pyproject.toml", "uv.lock", "main.py"]
    paths += ["bailing/**", "config/**", "docker-bake.hcl", SHELL]
    head = f"on: {{push: {{branches: [main], paths: {paths}}}}}\njobs:\n  a:\n"
    run = "    runs-on: ubuntu-24.04\n    steps:\n      - run: "
    bare.write(SHELL, f"{head}{run}docker buildx bake builder app\n")
    assert bare.places() == []
    bare.write(SHELL, f"{head}{run}docker buildx build -t x .\n")
    assert ("triggered-for-nothing", SHELL, 1) in bare.places()


def test_what_bake_builds_is_checked(bare: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[BakeCall] = []
    targets = baked()

    def ask(_root: object, call: BakeCall) -> dict[str, Any]:
        calls.append(call)
        if call.files and call.files[-1].startswith("{"):
            targets["app"] |= json.loads(call.files[-1])["target"]["docker-metadata-action"]
        return targets

    monkeypatch.setattr(bake, "targets", ask)
    bare.workflow(SHELL, "bake.yml")
    assert bare.findings() == ()
    assert {call.files[0] for call in calls} == {"./docker-bake.hcl"}
    assert {call.targets for call in calls} == {("app",)}
    content = {
        json.loads(call.files[1])["target"]["docker-metadata-action"]["tags"][0] for call in calls
    }
    assert "ghcr.io/owner/voice:pr-1" in content

    targets["app"]["cache-to"] = ["type=gha,scope=builder"]
    targets["app"]["platforms"] = ["linux/amd64"]
    targets["builder"]["target"] = ""
    assert {rule for rule, _, _ in bare.places()} == {"shared-cache", "platforms", "other-stage"}

    targets = baked(output=["type=registry"], **{"dockerfile-inline": "FROM scratch"})
    assert {rule for rule, _, _ in bare.places()} == {"pushed-from-pull-request"}

    targets = baked()
    bare.write(
        SHELL,
        """\
on: {push: {branches: [main]}, pull_request: {}}
jobs:
  images:
    runs-on: ubuntu-24.04
    steps:
      - run: |
          docker buildx bake --push --file docker-bake.hcl --set app.tags=x $MORE
      - run: docker buildx bake --push --set *.platform=linux/arm64 --file x.json app
        working-directory: docker
""",
    )
    calls.clear()
    assert {(rule, line) for rule, _, line in bare.places()} >= {("pushed-from-pull-request", 8)}
    assert {(each.folder, each.files, each.sets) for each in calls} == {
        ("docker", ("x.json",), ("*.platform=linux/arm64",))
    }


def test_without_workflows_there_is_nothing_to_find(bare: Checkout) -> None:
    checked = bare.check()
    assert checked == ci_check.Checked((), ())
    ci_check.require(checked)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on: [push\njobs:", "images.yml:2 is not YAML"),
        ("on: push\njobs: *x", "images.yml:2 is not YAML"),
        ("on: \x07", "images.yml is not YAML"),
        ("", "a workflow is a mapping"),
        ("- on", "a workflow is a mapping"),
        ("on: push\njobs: []", "images.yml:2 is no workflow"),
        ("on: push", "`jobs` has to be a mapping"),
        ("jobs: {a: {steps: []}}", "`on` has to name an event"),
        ("on: [[push]]\njobs: {a: {x: y}}", "`on` is a list of names"),
        ("on: push\njobs: {a: b}", "the job 'a' has to be a mapping"),
        ("on: push\njobs: {a: {steps: {b: c}}}", "the steps of 'a' have to be a list"),
        ("on: push\njobs: {a: {steps: [b]}}", "a step of 'a' has to be a mapping"),
        ("on: {push: {paths: {a: b}}}\njobs: {a: {x: y}}", "`on.push.paths` has to be a list"),
        ("on: {push: {paths: [[a]]}}\njobs: {a: {x: y}}", "`on.push.paths` has to be a list"),
        (
            "on:\n  push:\n    paths:\n      - ${{ env.X }}/**\njobs: {a: {x: y}}",
            "images.yml:4: an expression stands in `on.push.paths`",
        ),
        ("on: &a [*a]\njobs: {a: {x: y}}", "an anchor holds itself"),
        (
            "a: &a0 [x, x]\n"
            + "".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
            "unfolds to more than 100000 values",
        ),
        (
            "on:\n  push: {}\n  push: {paths: [a]}\njobs: {a: {x: y}}",
            "images.yml:3: 'push' stands there twice",
        ),
        ("on: push\n? [a]\n: b\njobs: {a: {x: y}}", "a key is no text"),
    ],
)
def test_a_workflow_that_cannot_be_read_is_refused(bare: Checkout, text: str, said: str) -> None:
    bare.write(SHELL, text)
    with pytest.raises(UsageError) as caught:
        bare.check()
    assert said in str(caught.value)


def test_a_workflow_that_is_no_text_is_refused(bare: Checkout) -> None:
    bare.write(SHELL, "")
    (bare.root / SHELL).write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"images\.yml cannot be read"):
        bare.check()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"platforms": ["linux/amd64"]},
        {"ci": {"branches": ["main"], "tags": ["v*"], "pull-requests": ["main"]}},
    ],
)
def test_what_ci_write_writes_has_no_fault(bare: Checkout, document: dict[str, Any]) -> None:
    for path in ("plugins/clock.py", "server/app.py"):
        bare.write(path, "")
    extra = "COPY plugins/ plugins/\nCOPY server/ server/\n"
    # Which builder it is, ci-run decides: the Dockerfile need not name one.
    text = re.sub(r"ARG BUILDER_IMAGE=\S+", "ARG BUILDER_IMAGE", DOCKERFILES["Dockerfile"] + extra)
    assert "ARG BUILDER_IMAGE\n" in text
    bare.write("Dockerfile", text)
    for file in ci_write.planned(bare.settings(document), overwrite=False):
        ci_write.write(file)
    assert bare.findings(document) == ()
    assert len(bare.check(document).workflows) == 2
    # The settings change, and nobody writes the workflows again.
    (found, other) = bare.findings({**document, "ci": {"runner": "other"}})
    assert (found.rule, found.line, other.rule) == ("not-as-written", 1, "not-as-written")
    assert "ci-write" in found.remedy


def test_a_workflow_of_other_tasks_or_edited_is_reported(
    bare: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installs(command: str) -> None:
        def install(_: Settings) -> Install:
            if not command:
                raise SettingsError("not known")
            return Install(command=command, origin="test")

        monkeypatch.setattr(installed, "install", install)

    def outdated(**document: Any) -> list[str]:
        found = bare.findings(document)
        return [each.message for each in found if each.rule == "not-as-written"]

    installs("pip install bailing-tasks==1")
    for file in ci_write.planned(bare.settings()):
        ci_write.write(file)
    assert outdated() == []
    installs("pip install bailing-tasks==2")
    assert len(outdated()) == 2
    # Where it is not known here, everything else is compared.
    installs("")
    assert outdated() == []
    assert len(outdated(ci={"runner": "other"})) == 2
    file.path.write_text(file.text.replace("bailing-tasks==1", "bailing-tasks"))
    assert outdated() == ["it was edited after ci-write wrote it"]


def test_this_repository_has_no_fault() -> None:
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        pytest.skip("this is no Git repository")
    settings = load(root, environment={}, overrides={})
    assert ci_check.check(settings).findings == ()
