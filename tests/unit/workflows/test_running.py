"""What workflows build and push for an event."""

from __future__ import annotations

from typing import Any

import pytest

from bailing_tasks import ci_write
from bailing_tasks.workflows.builds import Build
from tests.unit.workflows.checkout import APP, BUILDER, DOCKERFILES, FOLDER, SHELL, Checkout

HEAD = "on: {push: {branches: [main]}, pull_request: {}}\njobs:\n"


def job(*steps: str, name: str = "a", more: str = "") -> str:
    """A job of shell commands."""
    lines = "".join(f"      - run: |\n          {step}\n" for step in steps)
    return f"  {name}:\n    runs-on: ubuntu-24.04\n{more}    steps:\n{lines}"


def build(**options: str) -> str:
    """A command that builds the app for both platforms, with other options."""
    given = {"platform": "linux/amd64,linux/arm64", "tag": "ghcr.io/owner/voice:1", **options}
    words = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in given.items())
    return f"docker buildx build {words} ."


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (job(build()), []),
        # What is pushed, and how it is known.
        (job(build(output="type=registry")), ["pushed-from-pull-request"]),
        (job(build(), "docker push ghcr.io/owner/voice:1"), ["pushed-from-pull-request"]),
        (job(build(), "docker push --all-tags ghcr.io/owner/voice"), ["pushed-from-pull-request"]),
        (job("docker push ghcr.io/owner/x"), ["pushed-from-pull-request"]),
        (job("docker buildx imagetools create -t x:1 y"), ["pushed-from-pull-request"]),
        (job(build() + " $MORE"), []),
        (
            job(
                "docker build --push -t ghcr.io/owner/voice-builder:1 -f docker/dockerfile.dev $X ."
            ),
            ["pushed-from-pull-request"],
        ),
        (
            job("docker push x", more="    defaults: {run: {shell: bash}}\n"),
            ["pushed-from-pull-request"],
        ),
        (
            (
                "  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
                "      - {shell: python, run: docker push x}\n"
            ),
            [],
        ),
        (job(build(output="$WHERE")), []),
        (job('[ -n "$TOKEN" ] && ' + build(output="type=registry")), []),
        (job(build(output="type=registry"), more="    if: vars.PUSH\n"), []),
        (job(build(output="type=registry"), more="    if: github.event_name == 'push'\n"), []),
        (job(build(), "docker tag x y", "docker tag z"), []),
        (job(build(), "docker push ghcr.io/owner/voice:2"), ["pushed-from-pull-request"]),
        (
            job(build(output="type=registry"), "docker push ghcr.io/owner/voice:1"),
            ["pushed-from-pull-request"],
        ),
        # What stands in a step, a job or the workflow.
        (
            job(
                'echo "WHERE=type=registry" >> $GITHUB_ENV',
                build(output="$WHERE"),
            ),
            ["pushed-from-pull-request"],
        ),
        (
            job(build(output="$WHERE"), more="    env: {WHERE: type=registry}\n"),
            ["pushed-from-pull-request"],
        ),
        (job(build(output="$WHERE"), more="    env: ${{ fromJSON(vars.X) }}\n"), []),
        (job(build(file="x")), ["no-such-dockerfile"]),
        (
            job(build(file="x"), more="    defaults: {run: {working-directory: docker}}\n"),
            ["no-such-dockerfile"],
        ),
        (job(build(file="$X")), []),
        # Which builder.
        (job(build(build_arg="BUILDER_IMAGE=x")), ["other-builder"]),
        (job(build(build_arg="BUILDER_IMAGE=$X")), []),
        (job(build(build_arg="BUILDER_IMAGE=bailing-builder:1")), []),
        (
            job(
                "docker build -f docker/dockerfile.dev --target builder -t x .",
                build(build_arg="BUILDER_IMAGE=x"),
            ),
            [],
        ),
        # Which platforms.
        (job("docker build --output type=registry ."), ["platforms", "pushed-from-pull-request"]),
        (
            (
                "  a:\n    strategy: {matrix: {on: [ubuntu-24.04, ubuntu-24.04-arm]}}\n"
                "    runs-on: ${{ matrix.on }}\n    steps:\n"
                "      - run: docker build --output type=registry .\n"
            ),
            ["pushed-from-pull-request"],
        ),
        (
            (
                "  a:\n    runs-on: ${{ vars.ON }}\n    steps:\n"
                "      - run: docker build --output type=registry .\n"
            ),
            ["pushed-from-pull-request"],
        ),
        (
            (
                "  a:\n    runs-on: [self-hosted, mine]\n    steps:\n"
                "      - run: docker build --output type=registry .\n"
            ),
            ["pushed-from-pull-request"],
        ),
        # Our own tasks.
        (job("invoke ci-run --event github --push"), []),
        (job("invoke ci-run --push --platform linux/amd64"), ["platforms"]),
        (job("invoke ci-run --push --platform all"), []),
        (
            job("invoke ci-run --push", more="    env: {BAILING_TASKS_PLATFORMS: linux/arm64}\n"),
            ["platforms"],
        ),
        # Steps of other kinds.
        (
            (
                "  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
                "      - {id: x, if: false, run: docker push x}\n"
                "      - {id: y, uses: owner/action@v1}\n"
                "      - {name: nothing}\n"
                "      - {if: steps.x.outputs.y == 'z', run: docker push x}\n"
                "      - {if: steps.y.outputs.y == 'z', run: docker push x}\n"
            ),
            [],
        ),
    ],
)
def test_what_jobs_do_is_followed(bare: Checkout, text: str, rules: list[str]) -> None:
    bare.write(SHELL, HEAD + text)
    assert sorted({rule for rule, _, _ in bare.places()}) == rules


GUARD = '[ "$GITHUB_REF" = refs/heads/main ] && '
"""Runs a command for the default branch alone."""


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (job(build(tag="ghcr.io/owner/voice")), []),
        (job(build(), "docker push ghcr.io/owner/voice:1"), []),
        (
            job(
                build(output="type=registry"),
                f"{GUARD}docker tag ghcr.io/owner/voice:1 ghcr.io/owner/voice",
                f"{GUARD}docker push ghcr.io/owner/voice",
            ),
            [],
        ),
        (
            job(
                build() + " -t ghcr.io/owner/voice:latest",
                "docker push ghcr.io/owner/voice:1",
                f"{GUARD}docker push ghcr.io/owner/voice:latest",
            ),
            [],
        ),
        (
            job(
                build() + " -t ghcr.io/owner/voice:latest",
                "docker push ghcr.io/owner/voice:1",
                '[ -n "$TOKEN" ] && docker push ghcr.io/owner/voice:latest',
            ),
            [],
        ),
        (
            job(
                build() + " -t ghcr.io/owner/voice:latest",
                '[ -n "$TOKEN" ] && docker push ghcr.io/owner/voice:latest',
                "docker push ghcr.io/owner/voice:1",
            ),
            [],
        ),
        # A branch whose name no tag takes: `latest` is not meant.
        (job(build(tag="ghcr.io/owner/voice:$GITHUB_REF_NAME", output="type=registry")), []),
        (job(build(tag="localhost:5000/owner/voice:$GITHUB_REF_NAME")), []),
        # A tag that is given here after the push, and stays here.
        (
            job(
                build(output="type=registry"),
                "docker tag ghcr.io/owner/voice:1 ghcr.io/owner/voice:latest",
            ),
            [],
        ),
        (
            job(
                build(output="type=registry"),
                "docker tag ghcr.io/owner/voice:1 ghcr.io/owner/voice:latest",
                "docker push ghcr.io/owner/voice:latest",
            ),
            ["latest-from-topic-branch"],
        ),
        (
            job(
                build(),
                "docker tag ghcr.io/owner/voice:1 ghcr.io/owner/voice:latest",
                "docker push ghcr.io/owner/voice:latest",
            ),
            ["latest-from-topic-branch"],
        ),
    ],
)
def test_latest_is_moved_by_what_is_run_and_pushed(
    bare: Checkout, text: str, rules: list[str]
) -> None:
    bare.write(SHELL, "on: {push: {branches: ['**']}}\njobs:\n" + text)
    assert sorted({rule for rule, _, _ in bare.places()}) == rules


CALLED = """\
on:
  workflow_call:
    inputs:
      push: {type: string, default: "true"}
      file: {type: string, default: Dockerfile}
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: docker/build-push-action@v6
        with:
          file: ${{ inputs.file }}
          platforms: linux/amd64,linux/arm64
          tags: ghcr.io/owner/voice:1
          push: ${{ inputs.push }}
"""


def test_a_workflow_that_is_called_does_what_its_caller_says(bare: Checkout) -> None:
    called = f"{FOLDER}/called.yml"
    bare.write(called, CALLED)
    caller = (
        "on: {pull_request: {paths: [Dockerfile, main.py, bailing/**, config/**, X, P]}}\njobs:\n"
    )
    caller = caller.replace("P", "docker/dockerfile.dev, pyproject.toml, uv.lock")
    use = f"  a:\n    uses: ./{called}\n"
    bare.write(SHELL, caller.replace("X", called) + use)
    assert bare.places() == [("pushed-from-pull-request", called, 15)]
    bare.write(SHELL, caller.replace("X", called) + use + '    with: {push: "false"}\n')
    assert bare.places() == []
    bare.write(SHELL, caller.replace("X", called) + use + "    if: vars.X\n")
    assert bare.places() == []
    bare.write(SHELL, caller.replace("X", called) + "  a:\n    uses: owner/x/y.yml@v1\n")
    assert bare.places() == []
    # One that calls itself ends, as on GitHub.
    bare.write(called, f"on: [workflow_call, pull_request]\njobs:\n{use}")
    assert bare.places() == []


def test_a_build_elsewhere_is_none_of_ours(bare: Checkout) -> None:
    bare.write(
        SHELL,
        HEAD
        + job(
            "docker build --output type=registry -t x:1 https://example.com/x.git",
            "docker build -f - . <<E\n          FROM scratch\n          E",
        ),
    )
    assert {rule for rule, _, _ in bare.places()} == {"pushed-from-pull-request"}


def test_other_faults_of_settings_are_found(checkout: Checkout) -> None:
    assert {each.rule for each in checkout.findings({"app": {"context": "bailing"}})} == {
        "other-context"
    }
    table = "# ours\n[tool.bailing-tasks.app]\nstage = ''\ntriggers = []\n"
    checkout.write("pyproject.toml", table)
    (found,) = checkout.findings({"app": {"triggers": ["Dockerfile", "bailing/**", "config/**"]}})
    assert (found.file, found.line, found.rule) == ("pyproject.toml", 4, "settings-triggers")
    assert "main.py" in found.message
    full = ["Dockerfile", "bailing/**", "config/**", "main.py", "[x"]
    document: dict[str, Any] = {"app": {"triggers": full[:-1]}, "builder": {"triggers": ["**"]}}
    assert checkout.findings(document) == ()
    # Two targets of one Dockerfile are told by their stages.
    document = {"builder": {"dockerfile": "Dockerfile", "stage": "builder"}}
    assert checkout.findings(document) == ()


def test_a_workspace_may_be_a_folder_of_the_repository(bare: Checkout) -> None:
    (bare.root / "voice").mkdir()
    for name in ("Dockerfile", "docker", "bailing", "config", "main.py", ".dockerignore"):
        (bare.root / name).rename(bare.root / "voice" / name)
    text = """\
on: {push: {branches: [main], paths: [voice/Dockerfile, "voice/bailing/**", "voice/config/**"]}}
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: docker build --platform linux/amd64,linux/arm64 --push -t ghcr.io/owner/voice:1 .
        working-directory: voice
"""
    bare.write(SHELL, text)
    inner = Checkout(bare.root / "voice")
    below, found = inner.findings()
    assert {(each.rule, each.file, each.line) for each in (found, below)} == {
        ("not-triggered", SHELL, 1)
    }
    assert "voice/Dockerfile:7 (COPY) reads voice/main.py" in found.message
    assert "reads voice/docker/dockerfile.dev" in below.message


def test_jobs_that_only_check_out_may_read_anything(checkout: Checkout) -> None:
    before = (checkout.root / APP).read_text()
    tests = "  tests:\n    runs-on: ubuntu-24.04\n    steps:\n"
    with_docs = before.replace("      - main.py\n", "      - main.py\n      - docs/**\n")
    checkout.write(APP, f"{with_docs}{tests}      - run: date\n")
    assert [rule for rule, _, _ in checkout.places()] == ["triggered-for-nothing"]
    checkout.write(APP, f"{with_docs}{tests}      - uses: actions/checkout@v4\n")
    assert checkout.places() == []


def test_files_that_the_workflow_or_our_tasks_read_are_fine_as_triggers(bare: Checkout) -> None:
    paths = [
        *("Dockerfile", ".dockerignore", "docker/dockerfile.dev", "uv.lock", "pyproject.toml"),
        *("main.py", "bailing/**", "config/**", SHELL, "tools/build.sh", "plugins.txt"),
    ]
    bare.write("tools/build.sh", "")
    bare.write("tasks.py", "")
    text = f"on: {{push: {{branches: [main], paths: {[*paths, 'tasks.py']}}}}}\njobs:\n"
    bare.write(SHELL, text + job("tools/build.sh", "invoke ci-run"))
    assert [(each.rule, "plugins.txt" in each.message) for each in bare.findings()] == [
        ("triggered-for-nothing", True)
    ]


def test_two_jobs_on_one_image_are_ordered(bare: Checkout) -> None:
    builder = build(
        file="docker/dockerfile.dev", target="builder", tag="ghcr.io/owner/voice-builder:1"
    )
    app = build(build_context="builder=docker-image://ghcr.io/owner/voice-builder:1")
    on = "on: {push: {branches: [main]}}\njobs:\n"
    push = " --push"

    def found(*jobs: str) -> list[str]:
        bare.write(SHELL, on + "".join(jobs))
        return [rule for rule, _, _ in bare.places()]

    assert found(job(builder + push, app + push)) == []
    assert found(job(app + push, builder + push)) == ["builder-not-waited-for"]
    assert found(job(builder + push), job(app + push, name="b")) == ["builder-not-waited-for"]
    after = "    needs: [x, c]\n"
    between = job("date", name="c", more="    needs: a\n")
    assert found(job(builder + push), between, job(app + push, name="b", more=after)) == []
    assert found(job(builder), job(app + push, name="b")) == []


def test_a_repository_that_is_not_known_may_be_any(checkout: Checkout) -> None:
    unknown = {"repository": ""}
    assert checkout.findings(unknown) == ()
    text = (checkout.root / APP).read_text()
    guard = "if: github.repository == 'owner/voice'\n    runs-on"
    checkout.write(APP, text.replace("runs-on", guard).replace("Builder image", "Another"))
    assert checkout.findings(unknown) == ()
    checkout.write(APP, text.replace("Builder image", "Another"))
    assert [each.rule for each in checkout.findings(unknown)] == ["builder-not-waited-for"]


def test_a_build_says_what_it_is() -> None:
    one = Build(path=BUILDER, job="a", step=0, line=7, tags=("a", "b"), late=("b",))
    assert one.line_of("tags") == 7
    assert one.names == ("b",)


META = """\
on: {push: {branches: [main], tags: [v*]}, pull_request: {}}
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - id: meta
        uses: docker/metadata-action@v5
        with:
          images: IMAGES
          flavor: FLAVOR
          tags: |
            TAGS
      - uses: docker/build-push-action@v6
        with:
          push: ${{ github.event_name == 'push' }}
          tags: ${{ steps.meta.outputs.tags }}
          platforms: linux/amd64,linux/arm64
          outputs: WHERE
"""


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, []),
        ({"IMAGES": '"name=ghcr.io/owner/voice"'}, []),
        ({"IMAGES": '"ghcr.io/owner/voice,enable=true"'}, []),
        ({"IMAGES": '"ghcr.io/owner/other"'}, ["other-image-name"]),
        ({"IMAGES": '"name=ghcr.io/owner/other,enable=false"'}, ["other-image-name"]),
        ({"TAGS": "type=raw,value=x"}, ["same-tag-for-git-tags"]),
        ({"TAGS": "type=ref,event=branch"}, ["no-tag-for-git-tag"]),
        ({"TAGS": "type=raw,value=x,enable=${{ vars.X }}"}, []),
        ({"TAGS": "type=raw,value=x\n            type=raw,value=${{ vars.X }}"}, []),
        ({"TAGS": "type=ref,event=branch", "FLAVOR": "latest=${{ vars.X }}"}, []),
        ({"TAGS": "type=semantic"}, ["refused-tags", "no-tag"]),
        ({"WHERE": "type=registry"}, ["pushed-from-pull-request"]),
        (
            {
                "IMAGES": '""',
                "TAGS": "type=ref,event=branch",
                "WHERE": "type=image,name=x,push=true",
            },
            ["other-image-name", "pushed-from-pull-request", "same-tag-for-git-tags"],
        ),
        # By digest: another job gives it a name.
        (
            {
                "TAGS": "type=ref,event=branch",
                "WHERE": "type=image,name=ghcr.io/owner/voice,push-by-digest=true",
            },
            [],
        ),
    ],
)
def test_tags_are_those_of_metadata_action(
    bare: Checkout, changes: dict[str, str], rules: list[str]
) -> None:
    given = {
        "IMAGES": "ghcr.io/owner/voice",
        "FLAVOR": "latest=auto",
        "TAGS": "type=ref,event=branch\n            type=semver,pattern={{version}}",
        "WHERE": '""',
        **changes,
    }
    text = META
    for name, value in given.items():
        text = text.replace(name, value)
    bare.write(SHELL, text)
    assert sorted({rule for rule, _, _ in bare.places()}) == sorted(set(rules) - {"no-tag"})


def test_anchors_are_merged_and_unknown_caches_are_nobodys(bare: Checkout) -> None:
    text = """\
on: {push: {branches: [main]}}
x: &base
  runs-on: ubuntu-24.04
  env: {WHERE: type=registry}
jobs:
  a: &a
    <<: *base
    steps:
      - run: docker build --output $WHERE --cache-to type=gha,scope=${{ vars.X }} -t x:1 .
  b:
    <<: [*a, *base]
    env: {WHERE: type=docker}
"""
    bare.write(SHELL, text)
    assert {(rule, line) for rule, _, line in bare.places()} == {
        ("platforms", 9),
        ("other-image-name", 9),
    }


def test_what_ci_write_writes_is_fine(bare: Checkout) -> None:
    bare.write("Dockerfile", f"{DOCKERFILES['Dockerfile']}COPY made gone* ./\n")
    for path in ("made.tpl", ".env.example", "images.lock"):
        bare.write(path, "")
    document = {"templates": ["*.tpl"]}
    for file in ci_write.planned(bare.settings(document)):
        ci_write.write(file)
        assert ".env.example" in file.text or "builder" in file.name
    assert bare.findings(document) == ()
    bare.write("docker/dockerfile.dev", f"{DOCKERFILES['docker/dockerfile.dev']}COPY docs /docs\n")
    assert {each.rule for each in bare.findings(document)} == {"not-as-written", "not-triggered"}


def test_what_the_builder_reads_is_to_start_the_workflow_of_the_app_too(bare: Checkout) -> None:
    own = "Dockerfile, main.py, bailing/**, config/**, .github/workflows/images.yml"
    text = f"on: {{push: {{branches: [main], paths: [{own}X]}}}}\njobs:\n" + job(
        "docker build --platform linux/amd64,linux/arm64 --push -t ghcr.io/owner/voice:1 ."
    )
    bare.write(SHELL, text.replace("X", ""))
    messages = [each.message for each in bare.findings() if each.rule == "not-triggered"]
    assert any(
        "docker/dockerfile.dev:2 (COPY) reads pyproject.toml, uv.lock" in m for m in messages
    )
    bare.write(SHELL, text.replace("X", ", docker/dockerfile.dev, pyproject.toml, uv.lock"))
    assert "not-triggered" not in {each.rule for each in bare.findings()}
    # Who has given the builder's triggers has said what counts.
    bare.write(SHELL, text.replace("X", ""))
    found = bare.findings({"builder": {"triggers": ["docker/dockerfile.dev"]}})
    assert "not-triggered" not in {each.rule for each in found}
