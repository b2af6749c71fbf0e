"""What a release says of itself at its end: for people, for programs, and as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bailing_tasks.outcomes import short
from bailing_tasks.release.journal import LEFT
from bailing_tasks.release.model import Key, MovedTag
from bailing_tasks.release.releasing import Release
from bailing_tasks.units import size

HEADINGS = ("image", "platform", "size", "digest")


def lines(release: Release) -> Iterator[str]:
    """Yield what people read: what to pull, and what was left."""
    for key, tags in _by_key(release).items():
        standing = [tag for tag in tags if tag.result != LEFT]
        for tag in standing[:1]:
            yield f"docker pull {tag.name}"
        if more := [tag.name.rpartition(":")[2] for tag in standing[1:]]:
            yield f"  also as {', '.join(more)}"
        if key in release.indexes:
            repository = release.indexes[key].reference.repository
            yield f"  or for good as {repository}@{release.indexes[key].digest}"
        for tag in tags:
            if tag.result == LEFT:
                yield f"  {tag.name} was left: {tag.why}"
    yield f"journal: {release.journal.parent.name}/{release.journal.name}"


def rows(release: Release) -> tuple[tuple[str, ...], ...]:
    """Return the table of what was released, a row for each platform; see `HEADINGS`."""
    return tuple(
        (_title(key), platform, size(index.sizes[platform]), short(digest))
        for key, index in release.indexes.items()
        for platform, digest in index.platforms.items()
    )


def document(release: Release) -> dict[str, Any]:
    """Return the same for programs, as plain data."""
    return {
        "kind": release.plan.kind,
        "title": release.plan.title,
        "commit": release.plan.commit,
        "annotations": dict(release.plan.annotations),
        "journal": str(release.journal),
        "images": [
            {
                "target": target,
                "python": python,
                "name": str(index.reference),
                "digest": index.digest,
                "platforms": {
                    platform: {"digest": digest, "size": index.sizes[platform]}
                    for platform, digest in index.platforms.items()
                },
            }
            for (target, python), index in release.indexes.items()
        ],
        "uploads": [
            {
                "target": each.image.variant.target.name,
                "python": each.image.variant.python,
                "platform": str(each.entry.platform),
                "name": str(each.reference),
                "digest": each.entry.digest,
                "sent": each.sent,
            }
            for each in release.uploads
        ],
        "tags": [vars(tag) for tag in release.tags],
    }


def markdown(release: Release) -> str:
    """Return the same as GitHub's Markdown, for the summary of a job."""
    text = [f"## Release: {_cell(release.plan.title)}", ""]
    if release.plan.commit:
        text += [f"Commit `{release.plan.commit}`", ""]
    for key, tags in _by_key(release).items():
        text += [f"### {_title(key)}", ""]
        standing = [tag for tag in tags if tag.result != LEFT]
        if standing:
            text += ["```sh", *(f"docker pull {tag.name}" for tag in standing), "```", ""]
        text += _table(
            ("platform", "size", "digest"),
            [
                (platform, size(index.sizes[platform]), f"`{digest}`")
                for index in [release.indexes[key]]
                for platform, digest in index.platforms.items()
            ],
        )
        text += _table(
            ("tag", "result", "digest", "before", "why"),
            [
                (f"`{tag.name}`", tag.result, f"`{tag.digest}`", f"`{tag.before or '-'}`", tag.why)
                for tag in tags
            ],
        )
    return "\n".join(text) + "\n"


def _by_key(release: Release) -> dict[Key, list[MovedTag]]:
    found: dict[Key, list[MovedTag]] = {key: [] for key in release.indexes}
    for tag in release.tags:
        found[tag.target, tag.python].append(tag)
    return found


def _title(key: Key) -> str:
    return f"{key[0]} (Python {key[1]})" if key[1] else key[0]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    cells = [headings, ["---"] * len(headings), *rows]
    return [*(f"| {' | '.join(map(_cell, row))} |" for row in cells), ""]


def _cell(text: str) -> str:
    """Return a text that ends no cell; a branch may be called nearly anything."""
    return text.replace("|", "\\|")
