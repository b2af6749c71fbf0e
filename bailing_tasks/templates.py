"""Templates: files with `{{NAME}}` in them, that others are rendered from. Pure, but for finding.

A placeholder is a name between two braces on either side, blanks allowed: `{{NAME}}`, `{{ NAME }}`.
Everything else between braces belongs to whoever reads the file later, and stays as it is:
`{{ .Values.x }}`, `{{ range … }}` and `{{ $labels.job }}` (Go: Helm, Prometheus), `{{ a.b }}` and
`{{ a | upper }}` (Jinja, Ansible), `${{ github.sha }}` (GitHub). So do the four words that stand
alone in Go's templates: `{{ else }}`, `{{ end }}`, `{{ break }}`, `{{ continue }}`. A plain name
that somebody else is to fill, such as Grafana's `{{instance}}`, is written as in a Helm chart:
`{{ "{{" }}instance}}`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bailing_tasks import globs
from bailing_tasks.errors import SettingsError, UsageError

_PLACEHOLDER = re.compile(
    rb"\{\{[ \t]*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<quote>[\"'])\{\{(?P=quote))[ \t]*\}\}"
)
_GO_WORDS = frozenset({"else", "end", "break", "continue"})
_SUFFIX = re.compile(r"(?s:.*[^/])(?P<suffix>\.[^./*?\[\]]+)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a placeholder stands.

    Attributes:
        name: What it names.
        path: The file.
        line: The 1-based line.
    """

    name: str
    path: str
    line: int


def render(templates: Mapping[str, bytes], values: Mapping[str, str]) -> dict[str, bytes]:
    """Return what templates become; bytes that are no placeholder stay as they are.

    Values are put in as they are, and not looked through for further placeholders.

    Args:
        templates: The text of each template, by its path.
        values: What names stand for.

    Raises:
        UsageError: Names are not defined; every place is named.
    """
    unknown = dict.fromkeys(
        place
        for path, text in templates.items()
        for place in _places(text, path)
        if place.name not in values
    )
    if unknown:
        raise _undefined(list(unknown), values)

    def replaced(match: re.Match[bytes]) -> bytes:
        if match["quote"]:
            return b"{{"
        name = match["name"].decode()
        return match[0] if name in _GO_WORDS else os.fsencode(values[name])

    return {path: _PLACEHOLDER.sub(replaced, text) for path, text in templates.items()}


def _places(text: bytes, path: str) -> Iterator[Place]:
    line, position = 1, 0
    for match in _PLACEHOLDER.finditer(text):
        line += text.count(b"\n", position, match.start())
        position = match.start()
        if match["name"] and match["name"].decode() not in _GO_WORDS:
            yield Place(name=match["name"].decode(), path=path, line=line)


def _undefined(unknown: Sequence[Place], values: Mapping[str, str]) -> UsageError:
    names = list(dict.fromkeys(place.name for place in unknown))
    near = {name: difflib.get_close_matches(name, values, n=1, cutoff=0.75) for name in names}
    perhaps = [f"{name}: perhaps you meant {close[0]}" for name, close in near.items() if close]
    return UsageError(
        f"templates name {', '.join(names)}, which {'are' if names[1:] else 'is'} not defined",
        cause="; ".join(f"{place.path}:{place.line}: {place.name}" for place in unknown),
        remedy="\n  ".join(
            [
                *perhaps,
                "define it in .env, and in .env.example for everybody, or in the environment",
                'what another program is to fill in is written {{ "{{" }}NAME}}',
            ]
        ),
    )


def find(root: Path, patterns: Iterable[str]) -> dict[str, str]:
    """Return the templates that patterns find, by the path of what each is rendered to.

    All paths are from the workspace's root, and sorted. `*` and `**` enter no hidden folder, `**`
    follows no link to a folder and leaves `node_modules` out; all of these are found by their name.

    Args:
        root: The workspace's folder.
        patterns: Globs, in which `**` is any number of folders; one with a leading `!` excludes.

    Raises:
        SettingsError: A pattern finds nothing, has no suffix or leaves the workspace, or two
            templates are rendered to one file.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        paths = set(globs.files(root, pattern.removeprefix("!"), "templates"))
        if pattern.startswith("!"):
            found = {path: suffix for path, suffix in found.items() if path not in paths}
            continue
        suffix = _suffix(pattern)
        paths = {path for path in paths if PurePosixPath(path).name != suffix}
        if not paths:
            raise globs.nothing(root, pattern, "templates")
        found |= dict.fromkeys(paths, suffix)
    return _outputs(found)


def output(patterns: Iterable[str], path: str) -> str | None:
    """Return what a template is rendered to, be it there or not; None for what is no template.

    Args:
        patterns: As of `find`.
        path: A file, from the workspace's root.

    Raises:
        SettingsError: A pattern has no suffix or leaves the workspace.
    """
    found = None
    for pattern in patterns:
        text = pattern.removeprefix("!")
        if globs.matches(text, path, "templates"):
            found = None if pattern.startswith("!") else path.removesuffix(_suffix(pattern))
    return found


def _outputs(found: Mapping[str, str]) -> dict[str, str]:
    """Return templates by their outputs; given is the suffix of each."""
    outputs: dict[str, str] = {}
    for path in sorted(found):
        output = path.removesuffix(found[path])
        if output in outputs or output in found:
            other = f"rendered from {outputs[output]}" if output in outputs else "a template itself"
            raise SettingsError(
                f"{output} would be rendered from {path}, and is {other}",
                remedy="rename one of them, or exclude it by a pattern with a leading !",
            )
        outputs[output] = path
    return dict(sorted(outputs.items()))


def _suffix(pattern: str) -> str:
    """Return the suffix that all files of a pattern lose when they are rendered."""
    match = _SUFFIX.fullmatch(pattern)
    if match is None:
        raise SettingsError(
            f"[tool.bailing-tasks] templates: {pattern!r} has no suffix",
            cause="a file is rendered to the same name without the suffix of its pattern",
            remedy='end the pattern in one, such as "src/**/*.tpl"',
        )
    return match["suffix"]
