"""What expressions and scripts can refer to, as far as it is known before a run. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bailing_tasks.events import BRANCHES, PUSH, Event
from bailing_tasks.settings import Settings
from bailing_tasks.workflows.expressions import UNKNOWN, Open, resolve, to_text
from bailing_tasks.workflows.model import PULL_REQUESTS, Workflow
from bailing_tasks.workflows.nodes import Node

WORKSPACE = "/github/workspace"
_NUMBER = 1
_OF_SHELL = (
    *("repository", "repository_owner", "ref", "ref_name", "ref_type", "sha"),
    *("event_name", "head_ref", "base_ref", "workspace"),
)


@dataclass(frozen=True)
class BakeCall:
    """What `docker buildx bake --print` is asked.

    Attributes:
        files: Bake files from `folder`; one that starts with `{` is a file's content.
        targets: The targets; none for the default.
        sets: Values of `--set`.
        folder: From the repository's root.
        variables: The environment, as far as it is known.
        place: File and line, for messages.
    """

    files: tuple[str, ...]
    targets: tuple[str, ...]
    sets: tuple[str, ...]
    folder: str
    variables: Mapping[str, str]
    place: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known apart from the workflow.

    Attributes:
        settings: The workspace's settings.
        prefix: The workspace from the repository's root; empty for the root.
        slug: `owner/name` on GitHub; a stand-in where that is not known.
        bake: Returns the targets that `docker buildx bake --print` shows, by name.
        workflows: All workflows by path.
    """

    settings: Settings
    prefix: str
    slug: str
    bake: Callable[[BakeCall], Mapping[str, Mapping[str, Any]]]
    workflows: Mapping[str, Workflow] = field(default_factory=dict)


def github(event: Event, around: Surroundings) -> Open:
    """Return the context `github` for an event."""
    kind = "tag" if event.tag else "branch"
    pulled = event.name in PULL_REQUESTS
    return Open(
        event_name=event.name,
        ref=event.ref,
        ref_name=event.tag or event.branch or f"{_NUMBER}/merge",
        ref_type=kind,
        base_ref=event.base_branch,
        head_ref=UNKNOWN if pulled else "",
        repository=around.slug,
        repository_owner=around.slug.partition("/")[0],
        sha=event.commit,
        workspace=WORKSPACE,
        event=_payload(event, around),
    )


def _payload(event: Event, around: Surroundings) -> Open:
    payload = Open(repository=Open(default_branch=around.settings.default_branch))
    if event.name in PULL_REQUESTS:
        base = Open(ref=event.base_branch)
        payload["number"] = _NUMBER
        payload["pull_request"] = Open(number=_NUMBER, base=base)
        return payload
    payload["pull_request"] = None
    if event.name == PUSH:
        payload |= {"release": None, "workflow_run": None, "inputs": None, "schedule": None}
        payload |= {"deleted": False, "ref": event.ref}
    if event.name == "workflow_run":
        branch = event.ref.removeprefix(BRANCHES)
        payload["workflow_run"] = Open(conclusion="success", event=PUSH, head_branch=branch)
    return payload


def shell_variables(contexts: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Return the variables that a script starts with.

    Args:
        contexts: The contexts of its step.
        folder: Its working folder, from the repository's root.
    """
    own = contexts["github"]
    found = {f"GITHUB_{name.upper()}": to_text(own[name]) for name in _OF_SHELL}
    found |= {"GITHUB_ACTIONS": "true", "CI": "true"}
    found["PWD"] = f"{WORKSPACE}/{folder}" if folder not in ("", ".") else WORKSPACE
    return found | {name: to_text(value) for name, value in contexts["env"].items()}


def matrix(node: Node, contexts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the combinations of a job's matrix, as GitHub expands it; one of nothing for none."""
    if not node:
        return [{}]
    if node.text is not None:
        value = resolve(node.text, contexts)
        return _expand(value) if isinstance(value, Mapping) else [Open()]
    return _expand({key: plain(value, contexts) for key, value in node.items.items()})


def plain(node: Node, contexts: Mapping[str, Any]) -> Any:
    """Return a node's value, with its expressions evaluated."""
    if node.entries is not None:
        return [plain(each, contexts) for each in node.entries]
    if node.items:
        return {key: plain(value, contexts) for key, value in node.items.items()}
    return resolve(node.value, contexts)


def _expand(axes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return each combination: the product of the axes, without `exclude`, with `include`."""
    lists = {key: _values(value) for key, value in axes.items() if key not in _EXTRA}
    combos: list[dict[str, Any]] = [
        dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())
    ]
    excluded = _mappings(axes.get("exclude"))
    combos = [
        each for each in combos if lists and not any(_agrees(each, not_) for not_ in excluded)
    ]
    originals = [dict(each) for each in combos]
    for more in _mappings(axes.get("include")):
        fits = [at for at, each in enumerate(originals) if _agrees({**more, **each}, more)]
        for at in fits:
            combos[at] |= more
        if not fits:
            combos.append(dict(more))
    return list(combos) or [{}]


_EXTRA = ("include", "exclude")


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in _values(value) if isinstance(each, Mapping)]


def _agrees(combo: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(combo.get(key) == value for key, value in part.items())
