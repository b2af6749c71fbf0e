"""The typed settings of a workspace, and where each value came from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bailing_tasks.errors import UsageError
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference

FROM_FILE = "pyproject.toml"
FROM_DEFAULT = "default"
FROM_RUN = "this run"


@dataclass(frozen=True, kw_only=True)
class VerifySettings:
    """What the app image has to be.

    Attributes:
        absent_commands: Programs that may be in no `bin` folder of the image.
        user: The user its processes run as; empty for no check.
        python: The interpreter that `imports` are tried with.
        imports: Modules it must be able to import.
        port: The port its health page is served on; 0 for no check.
        health_path: The path of the health page.
        timeout: Seconds the container may take to answer.
        smaller_than_builder: Whether it must be smaller than the builder.
        commands: Further programs with arguments; each must end with 0 in the container.
    """

    absent_commands: tuple[str, ...]
    user: str
    python: str
    imports: tuple[str, ...]
    port: int
    health_path: str
    timeout: int
    smaller_than_builder: bool
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class PrefetchSettings:
    """How images are pulled.

    Attributes:
        jobs: How many at once.
        jobs_per_host: How many of them from one registry.
        timeout: Seconds that all of it may take; 0 for as long as it takes.
        trust_mirrors: Whether what a mirror has is taken even if the source has something else.
    """

    jobs: int
    jobs_per_host: int
    timeout: int
    trust_mirrors: bool


@dataclass(frozen=True, kw_only=True)
class CiSettings:
    """What CI does, and when.

    Attributes:
        branches: Patterns of the branches whose pushes build (GitHub's `branches`).
        tags: Patterns of the Git tags that build (GitHub's `tags`).
        pull_requests: Patterns of the branches that pull requests are to, which build.
        runner: The machine that a job runs on (GitHub's `runs-on`).
        install: The command that installs these tasks there.
        cache: BuildKit's cache between runs, as buildx writes it, with `{repository}`, `{target}`
            and `{platform}`; empty for none.
    """

    branches: tuple[str, ...]
    tags: tuple[str, ...]
    pull_requests: tuple[str, ...]
    runner: str
    install: str
    cache: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """One image the workspace builds.

    Attributes:
        name: `builder`, `app`, or a service's.
        dockerfile: Its Dockerfile, relative to the workspace; empty where `from_image` is set.
        stage: The stage that is built; empty for the last one.
        context: The build context, relative to the workspace.
        image: Its local name, without a tag.
        repository: Where it is published; empty where that is not known.
        build_args: Build arguments, by name.
        secrets: Build secrets, by id: a file, or `env:NAME`.
        triggers: Patterns of the files whose change builds it (GitHub's `paths`), as the settings
            give them; empty where they follow from what it is made from.
        tags: Patterns of the tags it is published under.
        builder_arg: The build argument that names the builder image; empty for none.
        tag: The tag of its local name.
        needs: The services that are built before it, beside those that its Dockerfile names.
        from_image: The image that it is under another name; empty where it is built.
        per_python: Whether there is one for each Python version.
    """

    name: str
    dockerfile: str
    stage: str
    context: str
    image: str
    repository: str
    build_args: Mapping[str, str]
    secrets: Mapping[str, str]
    triggers: tuple[str, ...]
    tags: tuple[str, ...]
    builder_arg: str = ""
    tag: str = "latest"
    needs: tuple[str, ...] = ()
    from_image: str = ""
    per_python: bool = True

    @functools.cached_property
    def repositories(self) -> frozenset[str]:
        """The canonical repositories that an image of it may be named by."""
        names = filter(None, (self.image, f"localhost/{self.image}", self.repository))
        return frozenset(Reference.parse(name).repository for name in names)

    def place(self, line: int) -> str:
        """Return where a line of its Dockerfile stands, for people."""
        if self.from_image:
            return f"service.{self.name}.from-image in pyproject.toml"
        return f"{self.dockerfile}:{line}"

    def is_named(self, reference: Reference) -> bool:
        """Whether a Dockerfile that names a reference means the image that is built of this.

        A service has versions: of another one than is built now, a registry has the image.
        """
        if reference.repository not in self.repositories:
            return False
        return self.per_python or (not reference.digest and reference.tag in (self.tag, "latest"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run takes from outside.

    Attributes:
        root: The workspace's folder.
        name: The project's name, as images are named after it.
        platforms: The platforms that are built and released.
        python: The Python versions.
        plain_python: The first Python version that the workspace names; its images have the plain
            names, whatever the command line chose to build.
        python_arg: The build argument that carries the Python version.
        default_branch: The branch that `latest` follows.
        latest: What moves `latest`: `branch`, the default branch and stable versions, or `version`,
            the highest stable version alone.
        versions: How Git tags name versions: `semver` or `pep440`.
        source: The web address of the source code; empty where that is not known.
        licenses: An SPDX license expression for the images; empty where that is not known.
        provenance: What images say of how they were made: `min`, `max` or `none`.
        sbom: The image of the scanner that lists what is in an image; empty for none.
        mirrors: For a registry host, the addresses to try before it, in order.
        plain_http: Hosts of registries, with their ports, that are asked by HTTP; of others only
            loopback is.
        buildx_builder: The buildx builder that builds; empty where nobody chose one here.
        builders: For a platform, the buildx builder or Docker context that builds it instead.
        prefetch: How images are pulled.
        builder: The image that compiles.
        app: The image that runs.
        version: The version that the services' local names have.
        services: The services, by name.
        extra_images: Images that are brought although no Dockerfile names them.
        compose_files: Compose files, relative to the workspace, whose images are brought too.
        mirror_names: For a registry host, the folder of its images in a mirror that is filled here.
        templates: Patterns of the files that others are rendered from.
        before_build: Commands that are run before services are built.
        rendered: The Dockerfiles that templates make, by path, as they will be once rendered; an
            error for one that cannot be.
        verify: What the app image has to be.
        ci: What CI does, and when.
        origins: For each key, where its value came from.
        given: For each key, its value.
    """

    root: Path
    name: str
    platforms: tuple[Platform, ...]
    python: tuple[str, ...]
    plain_python: str
    python_arg: str
    default_branch: str
    latest: str
    versions: str
    source: str
    licenses: str
    provenance: str
    sbom: str
    mirrors: Mapping[str, tuple[str, ...]]
    plain_http: tuple[str, ...]
    buildx_builder: str
    builders: Mapping[Platform, str]
    prefetch: PrefetchSettings
    builder: Target
    app: Target
    version: str
    services: tuple[Target, ...]
    extra_images: tuple[str, ...]
    compose_files: tuple[str, ...]
    mirror_names: Mapping[str, str]
    templates: tuple[str, ...]
    before_build: tuple[tuple[str, ...], ...]
    rendered: Mapping[str, bytes | UsageError] = field(repr=False)
    verify: VerifySettings
    ci: CiSettings
    origins: Mapping[str, str] = field(repr=False)
    given: Mapping[str, Any] = field(repr=False)

    def chosen_platforms(self, host: Platform) -> tuple[Platform, ...]:
        """Return the platforms of a run: those chosen for it, else the host's if it is one of them.

        What stands in the file is what is released; on one's own machine one builds for it.
        """
        if self._chosen("platforms") or host not in self.platforms:
            return self.platforms
        return (host,)

    def only(self, platforms: tuple[Platform, ...]) -> Settings:
        """Return settings for a run that is for some platforms alone."""
        return replace(self, platforms=platforms, origins={**self.origins, "platforms": FROM_RUN})

    def chosen_pythons(self) -> tuple[str, ...]:
        """Return the Python versions of a run: those chosen for it, else the first."""
        return self.python if self._chosen("python") else self.python[:1]

    def pythons_of(self, target: Target) -> tuple[str, ...]:
        """Return the Python versions that a target has; one that is empty for a service."""
        return self.python if target.per_python else ("",)

    def origin(self, target: Target, key: str) -> str:
        """Return where the value of a target's setting came from."""
        place = target.name if target.per_python else f"service.{target.name}"
        return self.origins.get(f"{place}.{key}", FROM_DEFAULT)

    def is_default(self, key: str) -> bool:
        """Whether nobody said anything of a setting."""
        return self.origins[key] == FROM_DEFAULT

    def _chosen(self, key: str) -> bool:
        return self.origins[key] not in (FROM_FILE, FROM_DEFAULT)

    def has_dockerfile(self, target: Target) -> bool:
        """Whether a target's Dockerfile is there, or was at least named by somebody."""
        named = self._chosen(f"{target.name}.dockerfile") or (
            self.origins[f"{target.name}.dockerfile"] == FROM_FILE
        )
        return named or (self.root / target.dockerfile).exists()

    @functools.cached_property
    def _owners(self) -> Mapping[str, Target]:
        return {
            name: target for target in (self.builder, *self.targets) for name in target.repositories
        }

    def owner(self, reference: Reference) -> Target | None:
        """Return the target whose image is meant by a reference; None for an external image."""
        target = self._owners.get(reference.repository)
        return target if target and target.is_named(reference) else None

    @property
    def pair(self) -> tuple[Target, ...]:
        """Builder and app; where there are services, those of the two that are there."""
        taken = {service.dockerfile for service in self.services}
        return tuple(
            target
            for target in (self.builder, self.app)
            if not taken or (target.dockerfile not in taken and self.has_dockerfile(target))
        )

    @property
    def targets(self) -> tuple[Target, ...]:
        """Everything the workspace builds: builder, app, then the services by name."""
        return (*self.pair, *self.services)
