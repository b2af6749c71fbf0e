"""The settings there are: for each its key, type, default and help."""

from __future__ import annotations

from bailing_tasks.option import (
    Option,
    as_builders,
    as_commands,
    as_flag,
    as_hosts,
    as_image,
    as_images,
    as_mirrors,
    as_number,
    as_patterns,
    as_platforms,
    as_positive,
    as_project,
    as_pythons,
    as_repository,
    as_scanner,
    as_table,
    as_text,
    as_texts,
    one_of,
)
from bailing_tasks.triggers import WORKFLOWS


def _target_options(name: str, stage: str, tags: tuple[str, ...]) -> list[Option]:
    return [
        Option(key=f"{name}.dockerfile", parse=as_text, default="", help="its Dockerfile"),
        Option(
            key=f"{name}.stage",
            parse=as_text,
            default=stage,
            help="the stage to build; empty for the last",
        ),
        Option(key=f"{name}.context", parse=as_text, default=".", help="the build context"),
        Option(
            key=f"{name}.image",
            parse=as_image,
            default=None,
            help="its local name; from `name` by default",
        ),
        Option(
            key=f"{name}.repository",
            parse=as_repository,
            default="",
            help="where it is published; from `repository` by default",
        ),
        Option(key=f"{name}.build-args", parse=as_table, default={}, help="build arguments"),
        Option(
            key=f"{name}.secrets",
            parse=as_table,
            default={},
            help="build secrets by id: a file, or env:NAME",
        ),
        Option(
            key=f"{name}.triggers",
            parse=as_patterns,
            default=[],
            help="the files whose change builds it; what it is made from by default",
        ),
        Option(
            key=f"{name}.tags",
            parse=as_texts,
            default=tags,
            help="the tags it is published under, such as {version} or sha-{sha}",
        ),
    ]


WORKFLOW_PATH = WORKFLOWS + "docker-build-{}.yml"

OPTIONS: tuple[Option, ...] = (
    Option(
        key="name",
        parse=as_project,
        default="",
        help="the project's name, which local images are named after; `name` of [project], the "
        "repository's last part, or the folder by default",
    ),
    Option(
        key="repository",
        parse=as_repository,
        default="",
        help="image repository; by default that of a Git remote at github.com or gitlab.com",
    ),
    Option(
        key="platforms",
        parse=as_platforms,
        default=["linux/amd64", "linux/arm64"],
        help="platforms that are built and released",
    ),
    Option(
        key="python",
        parse=as_pythons,
        default=["3.11"],
        help="Python versions; the first has the plain names",
    ),
    Option(
        key="python-arg",
        parse=as_text,
        default="PYTHON_VERSION",
        help="the build argument that carries the Python version",
    ),
    Option(
        key="default-branch", parse=as_text, default="main", help="the branch that latest follows"
    ),
    Option(
        key="latest",
        parse=one_of("branch", "version"),
        default="branch",
        help="what moves latest: the default branch and stable versions, or the highest version",
    ),
    Option(
        key="versions",
        parse=one_of("semver", "pep440"),
        default="semver",
        help="how Git tags name versions: semver or pep440",
    ),
    Option(
        key="source",
        parse=as_text,
        default="",
        help="web address of the source code; that of the Git remote by default",
    ),
    Option(
        key="licenses",
        parse=as_text,
        default="",
        help="SPDX license expression for the images; `license` of [project] by default",
    ),
    Option(
        key="provenance",
        parse=one_of("min", "max", "none"),
        default="min",
        help="what an image says of how it was made; max has the build arguments too",
    ),
    Option(
        key="sbom",
        parse=as_scanner,
        default=False,
        help="whether an image lists what is in it; the name of a scanner's image for another",
    ),
    Option(
        key="mirrors",
        parse=as_mirrors,
        default={},
        help="for a registry host, addresses to try before it",
    ),
    Option(
        key="plain-http",
        parse=as_hosts,
        default=[],
        help="registries, as host:port, that are asked by HTTP; of others only loopback is",
    ),
    Option(
        key="buildx-builder",
        parse=as_text,
        default="",
        help="the buildx builder that builds; BUILDX_BUILDER, else Docker's context, by default",
    ),
    Option(
        key="builders",
        parse=as_builders,
        default={},
        help="for a platform, the buildx builder or Docker context of a machine that builds it",
    ),
    Option(
        key="prefetch.trust-mirrors",
        parse=as_flag,
        default=False,
        help="take what a mirror has, even if the source has another image under that tag",
    ),
    Option(key="prefetch.jobs", parse=as_positive, default=8, help="how many pulls at once"),
    Option(
        key="prefetch.jobs-per-host",
        parse=as_positive,
        default=8,
        help="how many of them from one registry",
    ),
    Option(
        key="prefetch.timeout",
        parse=as_number,
        default=3600,
        help="seconds that a prefetch may take; 0: as long as it takes",
    ),
    Option(
        key="version",
        parse=as_text,
        default="",
        help="the version in the services' local names; what `git describe` says by default",
    ),
    Option(
        key="services",
        parse=as_texts,
        default=[],
        help='patterns of the services\' Dockerfiles, such as "src/*/Dockerfile"',
    ),
    Option(
        key="service-image",
        parse=as_text,
        default="{project}-{service}:{version}",
        help="pattern of the services' local names",
    ),
    Option(
        key="service-repository",
        parse=as_text,
        default="",
        help="pattern of where services are published; {repository}-{service} by default",
    ),
    Option(
        key="service-context",
        parse=as_text,
        default="",
        help="the build context of services; the folder of each one's Dockerfile by default",
    ),
    Option(
        key="extra-images",
        parse=as_images,
        default=[],
        help="images that are brought although no Dockerfile names them",
    ),
    Option(
        key="compose-files",
        parse=as_texts,
        default=[],
        help="Compose files whose images are brought too",
    ),
    Option(
        key="mirror-names",
        parse=as_table,
        default={},
        help="for a registry host, the folder of its images in a mirror that is filled from here",
    ),
    Option(
        key="templates",
        parse=as_texts,
        default=[],
        help='patterns of files that others are rendered from, such as "src/**/*.tpl"',
    ),
    Option(
        key="before-build",
        parse=as_commands,
        default=[],
        help="commands that are run before services are built",
    ),
    *_target_options(
        "builder",
        "builder",
        ("latest", "builder-{version}", "{branch}-builder"),
    ),
    *_target_options(
        "app",
        "",
        ("latest", "{version}", "{branch}"),
    ),
    Option(
        key="app.builder-arg",
        parse=as_text,
        default="BUILDER_IMAGE",
        help="the build argument that names the builder image",
    ),
    Option(
        key="verify.absent-commands",
        parse=as_texts,
        default=["gcc", "g++"],
        help="programs that may not be in the app image",
    ),
    Option(
        key="verify.user", parse=as_text, default="appuser", help="the user the app image runs as"
    ),
    Option(
        key="verify.python",
        parse=as_text,
        default="/opt/venv/bin/python",
        help="the interpreter in the app image",
    ),
    Option(
        key="verify.imports",
        parse=as_texts,
        default=["pyaudio"],
        help="modules that interpreter must import",
    ),
    Option(
        key="verify.port",
        parse=as_number,
        default=5000,
        help="port of the health page; 0: no check",
    ),
    Option(
        key="verify.health-path", parse=as_text, default="/health", help="path of the health page"
    ),
    Option(
        key="verify.timeout",
        parse=as_number,
        default=120,
        help="seconds the container may take to answer",
    ),
    Option(
        key="verify.smaller-than-builder",
        parse=as_flag,
        default=True,
        help="whether the app image must be smaller than the builder",
    ),
    Option(
        key="verify.commands",
        parse=as_commands,
        default=[],
        help="further commands that must succeed in the container",
    ),
    Option(
        key="ci.branches",
        parse=as_patterns,
        default=["**"],
        help="branches whose pushes are built in CI",
    ),
    Option(key="ci.tags", parse=as_patterns, default=["v*"], help="Git tags that are built in CI"),
    Option(
        key="ci.pull-requests",
        parse=as_patterns,
        default=["**"],
        help="branches that pull requests are to, which are built in CI",
    ),
    Option(key="ci.runner", parse=as_text, default="ubuntu-latest", help="the machine of a CI job"),
    Option(
        key="ci.install",
        parse=as_text,
        default="",
        help="the command that installs these tasks in CI; by default the version or the commit "
        "that is installed here",
    ),
    Option(
        key="ci.cache",
        parse=as_text,
        default="type=registry,ref={repository}:cache-{platform}",
        help="BuildKit's cache between runs in CI; empty for none",
    ),
)
"""Every setting there is, in the order people are shown them."""
