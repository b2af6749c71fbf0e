"""The names that built and kept images have in an engine, and their files in the state. Pure."""

from __future__ import annotations

import hashlib
import re

from bailing_tasks.platforms import Platform
from bailing_tasks.settings import Settings, Target
from bailing_tasks.variants import Variant

LABEL = "io.bailing-tasks.fingerprint"
"""`<repository>:<platform>:<hex>`; images built on ours inherit it: the repository must match."""

BUILDER_LABEL = "io.bailing-tasks.builder"
"""On an app image: `<name>@<content>` of the builder image that it was built on."""

REVISION_LABEL = "org.opencontainers.image.revision"
"""On a published image: the commit it was built from (OCI image specification, annotations)."""

VERSION_LABEL = "org.opencontainers.image.version"
"""On a published image: the version that it was published as."""

SOURCE_LABEL = "org.opencontainers.image.source"
"""The web address of what it was built from."""

CREATED_LABEL = "org.opencontainers.image.created"
"""When its commit was made: the same for all builds of it."""

LICENSES_LABEL = "org.opencontainers.image.licenses"
"""An SPDX license expression."""

KEPT = "localhost/bailing-tasks/kept"
"""What a pin needs is tagged here: `docker image prune` takes what has only a digest."""

LONGEST_STEM = 200
"""Bytes of a file name, of the 255 that file systems take: endings and a temporary file's prefix
and suffix are added."""

_OF_WORKSPACE = re.compile(r"localhost/.*:(?:new|ws)-[0-9a-f]{12}-.*")
_NOT_IN_FILE = re.compile(rb"[^a-z0-9._/-]")


def file_name(*parts: str) -> str:
    """Return the file name, without an ending, of what has some names; no other names give it.

    `reports`, `linux/amd64` is `reports@linux+amd64`. Other characters are escaped as in a URL,
    capitals among them: some file systems do not tell them from small letters. A name that is too
    long is cut, and ends in `=` and a digest of all of it.

    Args:
        parts: The names; those that are empty at the end are left out.
    """
    name = "@".join(map(_escaped, parts)).rstrip("@")
    if len(name) <= LONGEST_STEM:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_STEM - len(digest) - 1]}={digest}"


def _escaped(part: str) -> str:
    raw = part.encode(errors="surrogateescape")
    escaped = _NOT_IN_FILE.sub(lambda found: b"%%%02x" % found[0][0], raw)
    return escaped.decode().replace("/", "+")


def local_name(variant: Variant, settings: Settings, host: Platform) -> str:
    """Return the name that people use, such as `bailing:latest` or `bailing:latest-arm64`.

    The plain name is for the host's platform and the first Python of the settings.
    """
    platform, python = variant.platform, variant.python
    suffix = "" if platform == host else f"-{platform.short}"
    suffix += "" if python in ("", settings.plain_python) else f"-py{python}"
    return f"{variant.target.image}:{variant.target.tag}{suffix}"


def fingerprint_name(target: Target, fingerprint: str) -> str:
    """Return the name that is never used twice.

    Its host refuses at once: on the containerd store BuildKit asks the registry of a local tag
    first, and waits if that one is silent.
    """
    return f"localhost/{target.image}:fp-{fingerprint[:16]}"


def published_name(target: Target, fingerprint: str) -> str:
    """Return the name that the image has in the target's registry, never used twice either."""
    return f"{target.repository}:fp-{fingerprint[:16]}"


def staging_name(target: Target, workspace: str, build: str) -> str:
    """Return the name of an image until it is known to be what was planned.

    Args:
        target: What is built.
        workspace: The workspace's id, by which `clean` finds what an interrupted run left.
        build: What no other build has.
    """
    return f"{staging_prefix(target, workspace)}{build}"


def staging_prefix(target: Target, workspace: str) -> str:
    """Return what the staging names of a target begin with in a workspace."""
    return f"localhost/{target.image}:new-{workspace}-"


def current_name(variant: Variant, workspace: str) -> str:
    """Return the name by which a workspace holds the image of a variant that it uses now."""
    platform, python = variant.platform.short, variant.python
    suffix = f"{platform}-py{python}" if python else platform
    return f"{current_prefix(variant.target)}{workspace}-{suffix}"


def current_prefix(target: Target) -> str:
    """Return what the names begin with by which workspaces hold images of a target."""
    return f"localhost/{target.image}:ws-"


def identity_name(target: Target, identity: str) -> str:
    """Return the name that an image which was not built here gets, by its id or digest."""
    return f"localhost/{target.image}:{identity_tag(identity)}"


def identity_tag(identity: str) -> str:
    """Return the tag of an image by its id or digest, where no fingerprint tells what it is."""
    return f"id-{identity.rpartition(':')[2][:16]}"


def fingerprint_label(target: Target, platform: Platform, fingerprint: str) -> str:
    """Return the value of `LABEL` for a build of a target."""
    return f"{target.repository or target.image}:{platform}:{fingerprint}"


def kept_name(reference: str, platform: str, digest: str) -> str:
    """Return the tag that retains the image of a pin; another program may move it all the same."""
    return f"{KEPT}:{_short(reference, platform, digest)}"


def lasts(name: str) -> bool:
    """Whether the tasks give a name to another image only where they build by force.

    Another program may move it: what it names has to be checked by its content.
    """
    own, _, tag = name.rpartition(":")
    return own.startswith("localhost/") and (own == KEPT or tag.startswith(("fp-", "id-")))


def is_internal(name: str) -> bool:
    """Whether only the tasks give a name, be it one that moves from image to image."""
    return lasts(name) or _OF_WORKSPACE.fullmatch(name) is not None


def pin_name(reference: str, platform: str) -> str:
    """Return the name of a pin in a rewritten Dockerfile."""
    return f"pin-{_short(reference, platform)}"


def _short(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def registry_tag(tag: str, python: str, settings: Settings) -> str:
    """Return a published tag; those of the second and further Pythons end in `-py3.12`."""
    return tag if python in ("", settings.plain_python) else f"{tag}-py{python}"
