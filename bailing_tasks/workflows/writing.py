"""The text of the workflows that build the targets in GitHub Actions. Pure.

What is decided, built and published is `invoke ci-run`'s: a workflow says when it runs, on what,
and with which rights. Keys and contexts are those of GitHub's workflow syntax.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from string import Template

from bailing_tasks.options import WORKFLOW_PATH
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.settings import Settings, Target

MARKER = "# Written by `invoke ci-write` from the settings in pyproject.toml"
"""How the first line of each file begins; one that begins otherwise is somebody's own."""

_DIGEST = re.compile(rb"^# sha256 of the other lines: ([0-9a-f]{64})\n", re.MULTILINE)
"""The line by which an edited file is recognized, in any clone."""

_INSTALL = re.compile(rb"(?<=- name: Install the tasks\n) +run: .*")

PYTHON = "3.13"
"""The Python that the tasks run on there."""

MINUTES = 120
"""What a job may take: a builder is compiled under emulation for each Python."""

GITHUB_REGISTRY = "ghcr.io"

ACTIONS = {
    "checkout": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "python": "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "qemu": "docker/setup-qemu-action@96fe6ef7f33517b61c61be40b68a1882f3264fb8 # v4.2.0",
    "buildx": "docker/setup-buildx-action@37fe631027851001ddb9b187196cc803df7f5f0e # v4.3.0",
    "login": "docker/login-action@4907a6ddec9925e35a0a9e82d7399ccc52663121 # v4.1.0",
}
"""The actions by commit, which nobody can move, and the version that each commit is."""


class _Text(Template):
    """A text with `%name` in it: `$` is GitHub's."""

    delimiter = "%"


HEADER = f"""\
{MARKER}; change those,
# and let it write this file again. It replaces an edited file only with --overwrite.
"""

WORKFLOW = _Text("""\

name: docker-build-%target

on:
%events  workflow_dispatch:

# A job may do what it says below, and nothing else.
permissions: {}

concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  # A newer state of a pull request ends the run for the older one. A run that publishes is never
  # cut off: it can only be replaced while it still waits.
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}

jobs:
%jobs""")

JOB = _Text("""\
  %name:
    if: github.event_name %condition 'pull_request'
    runs-on: %runner
    timeout-minutes: %minutes
    permissions:
      contents: read
%packages    env:
%variables%folder    steps:
      - name: Check out
        uses: %checkout
        with:
          # Versions come from the tags, and what descends from what from the history.
          fetch-depth: 0
          persist-credentials: false
      - name: Set up Python
        uses: %python
        with:
          python-version: "%version"
%qemu      - name: Set up buildx
        id: buildx
        uses: %buildx
%logins      - name: Install the tasks
        run: %install
      - name: %title
        env:
          BUILDX_BUILDER: ${{ steps.buildx.outputs.name }}
        run: invoke ci-run --target %target --event github%push
""")

QEMU = _Text("""\
      - name: Set up emulation
        uses: %qemu
        with:
          platforms: %architectures
""")

LOGIN = _Text("""\
      - name: Log in to %host
        uses: %login
        with:
          registry: %host
          username: ${{ %user }}
          password: ${{ secrets.%password }}
""")


def path(target: Target) -> str:
    """Return where the workflow of a target stands, from the repository's root."""
    return WORKFLOW_PATH.format(target.name)


def is_own(content: bytes) -> bool:
    """Whether a workflow file was written from here."""
    return content.startswith(MARKER.encode())


def edited(content: bytes) -> str:
    """Return why a workflow file may hold what a person wrote; empty if it is as it was written."""
    if not is_own(content):
        return "was not written by ci-write"
    content = content.replace(b"\r\n", b"\n")  # Git may check it out so
    digest = _DIGEST.search(content)
    if not digest:
        return "may have been edited: an earlier version of ci-write wrote it"
    rest = hashlib.sha256(_DIGEST.sub(b"", content)).hexdigest()
    return "" if digest[1].decode() == rest else "was edited after ci-write wrote it"


def workflow(settings: Settings, target: Target, paths: Sequence[str], *, folder: str = "") -> str:
    """Return the text of a target's workflow.

    Pushes are built and published, pull requests are built: those in a job that may not publish.

    Args:
        settings: The workspace's settings.
        target: What is built.
        paths: GitHub's patterns of the files that it is built from.
        folder: The workspace's folder in the repository; empty where it is the root.
    """
    jobs = [_job(settings, target, folder, publish=True)]
    if settings.ci.pull_requests:
        jobs.insert(0, _job(settings, target, folder, publish=False))
    text = WORKFLOW.substitute(
        target=target.name,
        events=_events(settings, paths),
        jobs="\n".join(jobs),
    )
    digest = hashlib.sha256(f"{HEADER}{text}".encode()).hexdigest()
    return f"{HEADER}# sha256 of the other lines: {digest}\n{text}"


def without_install(content: bytes) -> bytes:
    """Return a workflow to be compared without the command that installs the tasks."""
    return _DIGEST.sub(b"", _INSTALL.sub(b"", content))


def quoted(text: str) -> str:
    """Return a text as a YAML scalar in double quotes (YAML 1.2, 7.3.1), always in one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _events(settings: Settings, paths: Sequence[str]) -> str:
    ci = settings.ci
    lines: list[str] = []
    if ci.branches or ci.tags:
        lines += ["push:", *_list("branches", ci.branches)]
        # GitHub does not look at `paths` where a tag is pushed.
        lines += [*_list("tags", ci.tags), *_list("paths", paths)]
    if ci.pull_requests:
        lines += ["pull_request:", *_list("branches", ci.pull_requests), *_list("paths", paths)]
    return "".join(f"  {line}\n" for line in lines)


def _list(key: str, patterns: Sequence[str]) -> list[str]:
    if not patterns:
        return []
    return [f"  {key}:", *(f"    - {quoted(pattern)}" for pattern in patterns)]


def _job(settings: Settings, target: Target, folder: str, *, publish: bool) -> str:
    hosts = _hosts(settings, target)
    if not publish:
        # Others' secrets are not for what a pull request may hold; GitHub's own may read.
        hosts = [host for host in hosts if host == GITHUB_REGISTRY]
    right = "write" if publish else "read"
    return JOB.substitute(
        ACTIONS,
        name="publish" if publish else "check",
        condition="!=" if publish else "==",
        runner=quoted(settings.ci.runner),
        minutes=MINUTES,
        packages=f"      packages: {right}\n" if GITHUB_REGISTRY in hosts else "",
        folder=_folder(folder),
        variables=_variables(settings),
        version=PYTHON,
        qemu=_emulation(settings),
        logins="".join(map(_login, hosts)),
        install=quoted(settings.ci.install),
        title=f"Build and publish the {target.name}" if publish else f"Build the {target.name}",
        target=target.name,
        push=" --push" if publish else "",
    )


def _folder(folder: str) -> str:
    if not folder:
        return ""
    return f"    defaults:\n      run:\n        working-directory: {quoted(folder)}\n"


def _variables(settings: Settings) -> str:
    """The matrix and the cache of each image and architecture, which readers look for here.

    People's own machines are not there: the job's builder builds all platforms.
    """
    values = {
        "BAILING_TASKS_PLATFORMS": ",".join(map(str, settings.platforms)),
        "BAILING_TASKS_PYTHON": ",".join(settings.python),
        "BAILING_TASKS_CI_CACHE": settings.ci.cache,
    } | ({"BAILING_TASKS_BUILDERS": "{}"} if settings.builders else {})
    return "".join(f"      {name}: {quoted(value)}\n" for name, value in values.items())


def _hosts(settings: Settings, target: Target) -> list[str]:
    """The registries that a target's images are in: the app's are built on the builder's."""
    targets = (settings.builder, target) if target.builder_arg else (target,)
    # Where the repository is not known here, it is on GitHub: by the workflow's own clone.
    found = [Reference.parse(each.repository).host if each.repository else "" for each in targets]
    return list(dict.fromkeys(host or GITHUB_REGISTRY for host in found))


def _login(host: str) -> str:
    github = host == GITHUB_REGISTRY
    return LOGIN.substitute(
        login=ACTIONS["login"],
        host=host,
        user="github.actor" if github else "secrets.REGISTRY_USERNAME",
        password="GITHUB_TOKEN" if github else "REGISTRY_PASSWORD",
    )


def _emulation(settings: Settings) -> str:
    """Emulators for what the runner does not run itself; GitHub's Arm runners end in `-arm`."""
    own = Platform("linux", "arm64" if settings.ci.runner.endswith("-arm") else "amd64")
    foreign = [each.architecture for each in settings.platforms if not own.takes(each)]
    if not foreign:
        return ""
    return QEMU.substitute(
        qemu=ACTIONS["qemu"],
        architectures=",".join(dict.fromkeys(foreign)),
    )
