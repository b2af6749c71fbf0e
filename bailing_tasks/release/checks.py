"""What has to be true before anything is sent: each check by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bailing_tasks import git
from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.console import Console
from bailing_tasks.decision import BUILD, PULL, Decision, built_image
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import BailingError, UsageError, VerifyError
from bailing_tasks.events import Event
from bailing_tasks.platforms import Platform
from bailing_tasks.release.model import BuiltImage, ReleaseTag
from bailing_tasks.release.mover import check_versions
from bailing_tasks.tag_moves import VERSION, Move
from bailing_tasks.units import in_one_line

Check = tuple[str, Callable[[], str]]
"""What is checked, and the function that says what it found, or raises."""

SHOWN = 5
"""How many of the files that are in the way are named."""
BUILT_BY = "`invoke build-all --platform all --python all`"


@dataclass(frozen=True)
class Failed:
    """A check that failed."""

    name: str
    error: BailingError


def passed(checks: Iterator[Check], console: Console) -> tuple[Failed, ...]:
    """Make each check, show how it came out, and return those that failed."""
    failed = []
    for name, check in checks:
        try:
            console.say(f"ok    {name}: {check()}")
        except BailingError as error:
            failed.append(Failed(name, error))
            why = f" ({error.cause})" if error.cause else ""
            console.say(f"FAIL  {name}: {error.message}{why}")
    return tuple(failed)


def of_commit(
    root: Path, events: Sequence[Event], *, allow_dirty: bool, at_github: bool
) -> Iterator[Check]:
    """Yield the checks of what is checked out: it is what is published, and others have it.

    Args:
        root: The workspace.
        events: What it is published for.
        allow_dirty: Whether it may be published all the same.
        at_github: Whether GitHub itself says what the events are: it has what it speaks of.
    """
    for event in events:
        yield (
            f"{event}",
            lambda event=event: _checked_out(root, event, at_github=at_github),  # type: ignore[misc]
        )
    yield from of_tree(root, allow_dirty=allow_dirty)
    if at_github:
        return
    remote = _Remote(root)
    for event in events:
        yield (
            f"{event}, at the remote",
            lambda event=event: remote.has(event, allow_dirty=allow_dirty),  # type: ignore[misc]
        )


def of_tree(root: Path, *, allow_dirty: bool) -> Iterator[Check]:
    """Yield the check of the working tree: what is published is a commit."""
    yield "working tree", lambda: _clean(root, allow_dirty=allow_dirty)


class _Remote:
    """The remote, asked once, and only for what was not fetched."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @functools.cached_property
    def _refs(self) -> Mapping[str, str]:
        return git.remote_refs(self._root)

    def has(self, event: Event, *, allow_dirty: bool) -> str:
        """Say where others find what an event publishes.

        Raises:
            UsageError: They do not, or that is not known.
        """
        try:
            return self._tag(event) if event.tag else self._branch(event)
        except UsageError as error:
            if allow_dirty:
                return f"{error.message} (--allow-dirty)"
            raise

    def _branch(self, event: Event) -> str:
        fetched = git.remote_branch(self._root, event.branch)
        if fetched and self._follows(event.commit, fetched):
            return f"origin/{event.branch} has commit {event.commit[:7]}"
        there = self._refs.get(event.ref, "")
        if there and self._follows(event.commit, there):
            return f"its {event.branch} has commit {event.commit[:7]}"
        raise UsageError(
            f"the remote's branch {event.branch} does not have the commit {event.commit[:7]}"
            if there
            else f"the remote has no branch {event.branch}",
            cause="who looks at the image could not find what it was made from",
            remedy=f"push it first: git push origin {event.branch}; --allow-dirty publishes it all "
            "the same",
        )

    def _follows(self, commit: str, tip: str) -> bool:
        """Whether a branch that stands at a commit has another one."""
        known = git.commit_of(self._root, tip) is not None
        return commit == tip or (known and git.is_ancestor(self._root, commit, tip))

    def _tag(self, event: Event) -> str:
        # An annotated tag is an object of its own; what it names stands behind `^{}`.
        there = self._refs.get(f"{event.ref}^{{}}") or self._refs.get(event.ref)
        if there == event.commit:
            return f"its {event.tag} is commit {event.commit[:7]}"
        raise UsageError(
            f"the remote has {event.tag} at {there[:7]}, not at {event.commit[:7]}"
            if there
            else f"the remote has no Git tag {event.tag}",
            remedy=f"git push origin {event.tag}, or name another event with --event",
        )


def _checked_out(root: Path, event: Event, *, at_github: bool) -> str:
    head, branch = git.head(root), event.branch
    if branch and not (at_github or git.branch(root, branch) or git.remote_branch(root, branch)):
        raise UsageError(
            f"there is no branch {branch} to publish",
            remedy="check its name, or `git fetch origin`",
        )
    if event.tag and not git.tag(root, event.tag):
        raise UsageError(
            f"there is no Git tag {event.tag} to publish",
            remedy=f"check its name, or make it first: git tag {event.tag}",
        )
    if event.commit != head:
        raise UsageError(
            f"{event} is of the commit {event.commit[:7]}, and {head[:7]} is checked out",
            remedy=f"check it out first: git switch --detach {event.commit[:7]}",
        )
    return f"commit {head[:7]} is checked out"


def _clean(root: Path, *, allow_dirty: bool) -> str:
    changed = git.uncommitted(root)
    names = ", ".join(map(in_one_line, changed[:SHOWN]))
    if changed and not allow_dirty:
        raise UsageError(
            "there are uncommitted changes: what would be published is no commit",
            cause=f"{len(changed)} files: {names}",
            remedy="commit or stash them; --allow-dirty publishes them all the same",
        )
    return f"{len(changed)} files are uncommitted (--allow-dirty): {names}" if changed else "clean"


def of_files(
    root: Path, files: Mapping[str, Iterable[Path]], *, allow_dirty: bool
) -> Iterator[Check]:
    """Yield a check for each target: no file that Git ignores, `.env` perhaps, gets into it.

    Args:
        root: The workspace.
        files: For each target, by name, what its builds read of their context.
        allow_dirty: Whether such files may be published all the same.
    """
    for target, paths in files.items():
        yield (
            f"files of {target}",
            lambda paths=paths: _committed(root, paths, allow_dirty=allow_dirty),  # type: ignore[misc]
        )


def _committed(root: Path, paths: Iterable[Path], *, allow_dirty: bool) -> str:
    top = git.top(root)
    ignored = {top / path for path in git.ignored(top) if "__pycache__" not in path.split("/")}
    found = sorted(ignored & {path.absolute() for path in paths})
    names = ", ".join(in_one_line(str(path.relative_to(top))) for path in found[:SHOWN])
    if found and not allow_dirty:
        raise UsageError(
            "files that Git ignores get into the image, and are in no commit",
            cause=f"{len(found)} files: {names}",
            remedy="a .dockerignore keeps files out of images; --allow-dirty publishes them all "
            "the same",
        )
    return f"Git ignores {len(found)} of them (--allow-dirty): {names}" if found else "committed"


def of_versions(
    tags: Sequence[ReleaseTag], policy: Callable[[ReleaseTag], Move], *, replace: bool
) -> Iterator[Check]:
    """Yield a check for each version: it is taken from no other image.

    Args:
        tags: The tags of the release.
        policy: Says whether a tag moves.
        replace: Whether it may be taken all the same.
    """
    for tag in tags:
        if tag.kind == VERSION:
            yield tag.name, lambda tag=tag: _is_free(tag, policy(tag), replace=replace)  # type: ignore[misc]


def _is_free(tag: ReleaseTag, move: Move, *, replace: bool) -> str:
    if move.moves is not None and not replace:
        check_versions({tag: move})
    return move.why


def of_images(
    steps: Sequence[tuple[BuildPlan, Decision]], engine_for: Callable[[Platform], Engine]
) -> Iterator[Check]:
    """Yield a check for each image: it is here, made from what is checked out."""
    for plan, decision in steps:
        yield (
            str(plan.recipe.variant),
            lambda plan=plan, decision=decision: _is_here(  # type: ignore[misc]
                plan, decision, engine_for(plan.recipe.variant.platform)
            ),
        )


def _is_here(plan: BuildPlan, decision: Decision, engine: Engine) -> str:
    image = built_image(plan, engine)
    stale = decision.certain and decision.action in (BUILD, PULL)
    if image is None or stale:
        raise VerifyError(
            f"{plan.recipe.variant} is not here as this commit makes it",
            cause=decision.reason,
            remedy=f"{BUILT_BY} makes or pulls it",
        )
    return f"{plan.kept}, made from this commit's files"


def built(plan: BuildPlan, decision: Decision, engine: Engine) -> BuiltImage:
    """Return the image of a plan, which the checks have found."""
    image = built_image(plan, engine)
    return BuiltImage(
        variant=plan.recipe.variant,
        name=plan.kept,
        fingerprint=plan.fingerprint,
        identity=image.id if image else "",
        content=image.content if image else "",
        # Another's image does not say that it was made from these inputs.
        certain=decision.certain and not plan.recipe.variant.target.from_image,
    )
