"""The machine's own apt sources, read, and others derived from them. Pure.

No mirror is named in this project: whatever Debian packages are needed, from whichever
suite, come from where this machine gets its Debian packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$"
)
_POCKETS = ("", "-updates", "-security")
_ALIASES = ("stable", "oldstable")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place that packages come from.

    Attributes:
        uri: Where the mirror is.
        suite: As `bookworm` or `bookworm-security`.
        components: As `("main",)`.
        signed_by: Paths of the keyrings that may sign it; empty means apt's default ones.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: tuple[str, ...] = ()


def parse_list(text: str) -> tuple[Source, ...]:
    """Return the binary sources in the one-line format (`sources.list`)."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(
            option.partition("=")[::2] for option in (match["options"] or "").split() if option
        )
        found.append(
            Source(
                uri=match["uri"],
                suite=match["suite"],
                components=tuple(match["components"].split()),
                signed_by=_keyrings(options.get("signed-by", "").replace(",", " ")),
            )
        )
    return tuple(found)


def parse_deb822(text: str) -> tuple[Source, ...]:
    """Return the binary sources in the deb822 format (`*.sources`) that are enabled."""
    found = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        found += [
            Source(
                uri=uri,
                suite=suite,
                components=tuple(fields.get("components", "").split()),
                signed_by=_keyrings(fields.get("signed-by", "")),
            )
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        ]
    return tuple(found)


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _keyrings(value: str) -> tuple[str, ...]:
    """Return the paths in a Signed-By; a key written out in it is left to apt's own keyrings."""
    words = value.split()
    return tuple(words) if all(word.startswith("/") for word in words) else ()


def debian_sources(
    sources: Iterable[Source], *, codename: str, suite: str | None = None
) -> tuple[Source, ...]:
    """Return this machine's Debian sources, as they are or derived for another suite.

    Args:
        sources: Everything apt is told of; what is not Debian's own is left out.
        codename: The machine's own suite, as `bookworm`.
        suite: The suite wanted, as `trixie`; the machine's own by default.

    Returns:
        Sources of `main` for the suite, its updates and its security updates, as far as the
        machine has them, the suite itself first; empty where it has none.
    """
    found: dict[tuple[str, str], Source] = {}
    for source in sources:
        base, dash, pocket = source.suite.partition("-")
        if base not in (codename, *_ALIASES) or dash + pocket not in _POCKETS:
            continue
        if "main" not in source.components:
            continue
        wanted = f"{suite or codename}{dash}{pocket}"
        derived = replace(source, suite=wanted, components=("main",))
        found.setdefault((derived.uri, wanted), derived)
    ordered = sorted(found.values(), key=lambda source: source.suite.count("-"))
    return tuple(ordered) if ordered and "-" not in ordered[0].suite else ()


def for_images(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return the sources that a container can reach too: those over HTTP.

    One with credentials in its address is left out: it would end up in an image.
    """
    return tuple(
        source
        for source in sources
        if source.uri.startswith(("http://", "https://")) and "@" not in source.uri
    )


def one_line(source: Source) -> str:
    """Return a source as a line of `sources.list`."""
    signed = f"[signed-by={','.join(source.signed_by)}] " if source.signed_by else ""
    return f"deb {signed}{source.uri} {source.suite} {' '.join(source.components)}"
