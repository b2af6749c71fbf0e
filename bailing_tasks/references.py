"""Image references: an image's name in canonical form.

The grammar is that of the distribution project (its module ``reference``), which Docker, BuildKit
and containerd share; the canonical form is the one they send to registries and write into logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bailing_tasks.errors import UsageError

DEFAULT_HOST = "docker.io"
LEGACY_HOST = "index.docker.io"
OFFICIAL_PREFIX = "library/"
DEFAULT_TAG = "latest"
MAX_PATH_LENGTH = 255
MAX_NAME_LENGTH = 100
"""Of a name that is made from another text: what is appended to it has to fit as well."""

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_REFERENCE = re.compile(
    # A host with an underscore is none by the grammar, and passes as a part of the path.
    rf"(?P<host>{_HOST}|{_COMPONENT})/(?P<path>{_PATH})"
    rf"(?::(?P<tag>{_TAG}))?"
    rf"(?:@(?P<digest>{_ALGORITHM}:[0-9a-fA-F]{{32,}}))?"
)
_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_SEPARATOR = re.compile(r"[._]|__|-+")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_SHA256 = re.compile(r"sha256:[a-f0-9]{64}")


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 digest, as registries name manifests and blobs."""
    return _SHA256.fullmatch(text) is not None


def image_name(text: str) -> str:
    """Return a text as a valid image name: lower case, runs of other characters as `-`.

    Empty where nothing is left of it. The grammar's own separators (`.`, `_`, `__`, `-`) stay.
    """

    def separator(match: re.Match[str]) -> str:
        return match[0] if _SEPARATOR.fullmatch(match[0]) else "-"

    name = _NOT_IN_NAME.sub(separator, text.lower()).strip("._-")[:MAX_NAME_LENGTH].rstrip("._-")
    return "" if _IMAGE_ID.fullmatch(name) else name


@dataclass(frozen=True, slots=True)
class Reference:
    """One image's name, with every default filled in.

    Attributes:
        host: The registry, ``docker.io`` where the text named none.
        path: The repository on it, with Docker Hub's ``library/``.
        tag: The tag; ``latest`` only where the text named neither tag nor digest.
        digest: The digest, which decides where there is a tag as well.
    """

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as Docker does.

        Raises:
            UsageError: The text is no reference by distribution's grammar.
        """
        if _IMAGE_ID.fullmatch(text):
            raise _malformed(text, "64 hexadecimal digits alone are an image's id, not its name")
        host, remainder = _split_host(text)
        name = remainder.partition(":")[0]
        if name.lower() != name:
            raise _malformed(text, f"the repository name ({name}) must be lower case")
        match = _REFERENCE.fullmatch(f"{host}/{remainder}")
        if match is None:
            raise _malformed(text, "it does not follow [host/]path[:tag][@digest]")
        host, path, tag, digest = match.group("host", "path", "tag", "digest")
        if len(path) > MAX_PATH_LENGTH:
            raise _malformed(text, f"its path is longer than {MAX_PATH_LENGTH} characters")
        if digest is not None and _DIGEST.fullmatch(digest) is None:
            raise _malformed(text, "its digest is not sha256, sha384 or sha512 of the right length")
        if tag is None and digest is None:
            tag = DEFAULT_TAG
        return cls(host, path, tag, digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"

    @property
    def repository(self) -> str:
        """Host and path, as in ``docker.io/library/alpine``."""
        return f"{self.host}/{self.path}"

    @property
    def familiar(self) -> str:
        """The shortest form that people write and that reads as the same image."""
        text = str(self)
        for prefix in (f"{DEFAULT_HOST}/{OFFICIAL_PREFIX}", f"{DEFAULT_HOST}/"):
            short = text.removeprefix(prefix)
            if short != text and Reference.parse(short) == self:
                return short
        return text


def _split_host(text: str) -> tuple[str, str]:
    """The registry host and what follows it, with Docker Hub's defaults.

    The first part is a host only if it is ``localhost``, holds a dot or a colon, or holds an
    upper-case letter (an owner may not have one).
    """
    first, slash, rest = text.partition("/")
    named = slash and (
        first == "localhost" or "." in first or ":" in first or first.lower() != first
    )
    host, path = (first, rest) if named else (DEFAULT_HOST, text)
    if host == LEGACY_HOST:
        host = DEFAULT_HOST
    if host == DEFAULT_HOST and "/" not in path:
        path = OFFICIAL_PREFIX + path
    return host, path


def _malformed(text: str, cause: str) -> UsageError:
    return UsageError(
        f"{text!r} is not an image reference",
        cause=cause,
        remedy="write it as in alpine:3.20 or ghcr.io/owner/name:tag",
    )
