"""The bytes of a Dockerfile as text, and the few notions of Go that BuildKit reads them with.

BuildKit works on bytes and decodes UTF-8 only here and there. So does this package: *raw text* is
a ``str`` with one character per byte (Latin-1), in which every offset is a byte's offset.
"""

from __future__ import annotations

import re

from bailing_tasks.errors import DockerfileError

BOM = "\xef\xbb\xbf"
REPLACEMENT = "\ufffd"

#: What Go's ``unicode.IsSpace`` is true for, decoded and raw.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_RAW_SPACE = (
    r"(?:[\t\n\v\f\r ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f"
    r"|\xe3\x80\x80)"
)
_LEADING = re.compile(rf"{_RAW_SPACE}+")
_TRAILING = re.compile(rf"{_RAW_SPACE}+\Z")
_ASCII_SPACE = "\t\n\v\f\r "
_FIRST_BYTES = "\xc2\xe1\xe2\xe3"

_DECODED_EDGES = re.compile(rf"\A[{SPACES}]+|[{SPACES}]+\Z")

#: What the parser splits an instruction's words at.
WHITESPACE = re.compile(r"[\t\v\f\r ]+")


class Refused(Exception):  # noqa: N818 - a verdict of BuildKit's, which becomes a DockerfileError
    """BuildKit refuses what is at hand, for a cause, and a remedy is known.

    It knows no line; whoever does turns it into a DockerfileError with ``at``.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def at(self, line: int, subject: str = "this file") -> DockerfileError:
        """The error for people."""
        return DockerfileError(
            f"BuildKit refuses {subject}", line=line, cause=self.cause, remedy=self.remedy
        )


def to_raw(text: str | bytes) -> str:
    """Raw text of what a caller holds."""
    if isinstance(text, str):
        if text.isascii():
            return text
        text = text.encode("utf-8", "surrogatepass")
    return text.decode("latin-1")


def from_raw(raw: str) -> str:
    """Raw text as people read it; bytes that are not UTF-8 become surrogate escapes."""
    return raw if raw.isascii() else raw.encode("latin-1").decode("utf-8", "surrogateescape")


def is_utf8(raw: str) -> bool:
    """Whether raw text is valid UTF-8."""
    try:
        raw.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def decode(raw: str) -> str:
    """Raw text as Go's decoder sees it: each byte that is not UTF-8 is the replacement rune."""
    if raw.isascii():
        return raw
    text = raw.encode("latin-1").decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]", REPLACEMENT, text)


def encode(text: str) -> str:
    """The raw text of decoded text."""
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")


def trim_left(raw: str) -> str:
    """Without leading white space (Go's ``TrimLeftFunc`` with ``unicode.IsSpace``)."""
    raw = raw.lstrip(_ASCII_SPACE)
    if raw and raw[0] in _FIRST_BYTES and (match := _LEADING.match(raw)):
        return raw[match.end() :]
    return raw


def trim(raw: str) -> str:
    """Without white space at both ends (Go's ``TrimSpace``)."""
    raw = trim_left(raw).rstrip(_ASCII_SPACE)
    if raw and raw[-1] >= "\x80" and (match := _TRAILING.search(raw, max(0, len(raw) - 4096))):
        return trim(raw[: match.start()])
    return raw


def trim_decoded(text: str) -> str:
    """Decoded text without white space at both ends, as Go's ``TrimSpace`` leaves it."""
    return _DECODED_EDGES.sub("", text)


def lower(text: str) -> str:
    """Lower case as Go's ``ToLower`` has it: rune by rune."""
    if text.isascii():
        return text.lower()
    return "".join("i" if char == "\u0130" else char.lower() for char in text)
