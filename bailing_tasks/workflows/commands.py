"""Command lines that build or push images: Docker's, and this project's own tasks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bailing_tasks.workflows.expressions import UNKNOWN, Truth

BUILD, BAKE, PUSH, TAG, CREATE = "build", "bake", "push", "tag", "create"

_VERBS = {
    ("build",): BUILD,
    ("image", "build"): BUILD,
    ("builder", "build"): BUILD,
    ("buildx", "build"): BUILD,
    ("buildx", "b"): BUILD,
    ("buildx", "bake"): BAKE,
    ("buildx", "f"): BAKE,
    ("push",): PUSH,
    ("image", "push"): PUSH,
    ("manifest", "push"): PUSH,
    ("tag",): TAG,
    ("image", "tag"): TAG,
    ("buildx", "imagetools", "create"): CREATE,
}
_FLAGS = (
    *("--push", "--load", "--pull", "--no-cache", "--quiet", "-q", "--rm", "--force-rm"),
    *("--squash", "--compress", "--debug", "-D", "--check", "--print", "--dry-run", "--append"),
    *("--all-tags", "-a", "--disable-content-trust", "--insecure", "--purge", "-p", "--tls"),
)
_SHORT = {"-t": "--tag", "-f": "--file", "-o": "--output", "-a": "--all-tags"}
_GLOBAL = ("--context", "-c", "--host", "-H", "--config", "--log-level", "-l", "--builder")
_TASKS = {"build-builder": ("builder",), "build-app": ("app",), "ci-run": ("builder", "app")}


@dataclass(frozen=True)
class DockerCommand:
    """One command of Docker's.

    Attributes:
        verb: What it does: `build`, `bake`, `push`, `tag` or `create`.
        options: Its options in order, by their long names.
        arguments: What else it is told.
        vague: Whether it has words that are not known.
    """

    verb: str
    options: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    vague: bool

    def all(self, name: str) -> list[str]:
        """Return the values of an option that may be repeated."""
        return [value for key, value in self.options if key == name]

    def last(self, name: str) -> str:
        """Return the value that counts, or `""`."""
        return (self.all(name) or [""])[-1]

    def flag(self, name: str) -> Truth:
        """Return whether a flag is set."""
        value = self.last(name)
        if UNKNOWN in value or (self.vague and not value):
            return None
        return value not in ("", "false", "0")


@dataclass(frozen=True)
class OwnTask:
    """One of this project's tasks: its targets, its platforms, and whether it pushes."""

    targets: tuple[str, ...]
    platforms: tuple[str, ...]
    pushes: bool


def docker_command(argv: Sequence[str]) -> DockerCommand | None:
    """Read a command of Docker's; None where it neither builds nor pushes an image."""
    words = list(argv)
    if not words or words[0].rpartition("/")[2] not in ("docker", "docker-buildx"):
        return None
    if words.pop(0).endswith("docker-buildx"):
        words.insert(0, "buildx")
    path: list[str] = []
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            if word in _GLOBAL and words:
                words.pop(0)
            continue
        path.append(word)
        if tuple(path) in _VERBS:
            return _read(_VERBS[tuple(path)], words)
    return None


def _read(verb: str, words: list[str]) -> DockerCommand:
    options: list[tuple[str, str]] = []
    arguments: list[str] = []
    vague = False
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if word == UNKNOWN and verb in (BUILD, BAKE):
            vague = True
        elif not word.startswith("-") or word == "-":
            arguments.append(word)
        elif len(word) > 2 and word[1] != "-" and word[:2] in _SHORT and not has_value:
            options.append((_SHORT[word[:2]], word[2:]))
        elif has_value:
            options.append((_SHORT.get(name, name), value))
        elif name in _FLAGS and not (verb == CREATE and name == "-f"):
            options.append((_SHORT.get(name, name), "true"))
        else:
            options.append((_SHORT.get(name, name), words.pop(0) if words else ""))
    return DockerCommand(verb, tuple(options), tuple(arguments), vague)


def own_tasks(argv: Sequence[str]) -> list[OwnTask]:
    """Return this project's tasks that a command runs, as `invoke` or through nox."""
    names = [word.rpartition("/")[2] for word in argv]
    for at, name in enumerate(names):
        if name in ("invoke", "inv"):
            return _tasks(argv[at + 1 :])
        if name == "nox" and "ci" in argv[at:]:
            return [OwnTask(_TASKS["ci-run"], (), "--push" in argv)]
    return []


def _tasks(words: Sequence[str]) -> list[OwnTask]:
    starts = [at for at, word in enumerate(words) if word in _TASKS]
    found = []
    for start, end in zip(starts, [*starts[1:], len(words)], strict=False):
        options = _options(words[start + 1 : end])
        chosen = tuple(value for name, value in options if name == "--target")
        found.append(
            OwnTask(
                targets=chosen or _TASKS[words[start]],
                platforms=tuple(value for name, value in options if name == "--platform"),
                pushes=any(name == "--push" for name, _ in options),
            )
        )
    return found


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for at, word in enumerate(words):
        name, has_value, value = word.partition("=")
        if name.startswith("--"):
            found.append((name, value if has_value else "".join(words[at + 1 : at + 2])))
    return found
