"""Where events come from: written by hand, or GitHub's environment in a workflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bailing_tasks import git
from bailing_tasks.errors import UsageError
from bailing_tasks.events import BRANCHES, PULL_REQUEST, PULLS, PUSH, TAGS, Event
from bailing_tasks.settings import Settings

GITHUB = "github"
SCHEDULE = "schedule"
WORKFLOW_DISPATCH = "workflow_dispatch"
FORMS = "push:BRANCH, pr:NUMBER, pr:NUMBER:BASE-BRANCH, tag:NAME, schedule or github"


def read(
    text: str,
    *,
    root: Path,
    settings: Settings,
    environment: Mapping[str, str],
    base: str = "",
    say: Callable[[str], object] = lambda text: None,
) -> Event:
    """Return the event that is meant.

    Args:
        text: `push:main`, `pr:12`, `pr:12:release`, `tag:v1.2.3`, `schedule`, or `github` for the
            one that GitHub's variables describe. Empty for that one where there is one, else a
            push of the current branch.
        root: The workspace.
        settings: Its settings.
        environment: Environment variables.
        base: What it is compared with, instead of what follows from the event: a revision; for a
            pull request by hand a branch as well.
        say: Told what was assumed: a tag that is not there yet, for one.

    Raises:
        UsageError: There is no repository, the text or GitHub's file describes no event, or what it
            names is not here.
    """
    git.check_repository(root)
    by_hand = _ByHand(root, settings, base, say)
    if text == GITHUB or (not text and environment.get("GITHUB_EVENT_NAME")):
        event = _GitHub(root, settings, environment, by_hand.base()).event()
    else:
        event = _written(text or f"push:{_current(root)}", by_hand)
    if base and not event.base:
        raise UsageError(f"a {event} is compared with nothing", remedy="leave --base away")
    return event


def _written(text: str, by_hand: _ByHand) -> Event:
    kind, _, name = text.partition(":")
    if kind == "push" and name:
        return by_hand.push(name)
    if kind == "pr" and name:
        return by_hand.pull_request(*name.partition(":")[::2])
    if kind == "tag" and name:
        return by_hand.tag(name)
    if text == SCHEDULE:
        return by_hand.schedule()
    raise UsageError(f"{text!r} is no event", remedy=f"an event is {FORMS}")


def _current(root: Path) -> str:
    branch = git.current_branch(root)
    if not branch:
        raise UsageError(
            "no branch is checked out",
            cause="a commit is checked out by itself, so whose push is meant is not known",
            remedy="name the event, such as --event push:main",
        )
    return branch


class _ByHand:
    """Events that a person writes, for the commits of this clone.

    Args:
        root: The workspace.
        settings: Its settings.
        base: The revision, or for a pull request the branch, to compare with; empty for the usual.
        say: Told what was assumed.
    """

    def __init__(
        self, root: Path, settings: Settings, base: str, say: Callable[[str], object]
    ) -> None:
        self._root = root
        self._default = settings.default_branch
        self._base = base
        self._say = say

    def base(self) -> str:
        """Return the commit that was given to compare with; empty for none."""
        return git.resolve(self._root, self._base) if self._base else ""

    def push(self, branch: str) -> Event:
        """Return the push of a branch as it stands here."""
        commit = self._tip(branch)
        base = self.base() or self._pushed_before(branch, commit)
        return Event(name=PUSH, ref=BRANCHES + branch, commit=commit, base=base)

    def pull_request(self, number: str, branch: str) -> Event:
        """Return a pull request of what is checked out."""
        if not (number.isascii() and number.isdigit()):
            raise UsageError(f"{number!r} is no number of a pull request", remedy="such as pr:12")
        target = self._base.removeprefix("origin/")
        tip = self._remote_or_local(target) if target else None
        if tip is None:
            target = branch or self._default
            tip = self.base() or self._remote_or_local(target)
        if tip is None:
            raise _no_branch(target)
        return Event(
            name=PULL_REQUEST,
            ref=f"{PULLS}{number}/merge",
            commit=git.head(self._root),
            base=tip,
            base_branch=target,
        )

    def tag(self, name: str) -> Event:
        """Return the push of a tag; one that is not there yet would be put on what is checked out.

        It is compared with nothing: path filters do not count for tags.
        """
        commit = git.tag(self._root, self._checked(name))
        if commit is None:
            commit = git.head(self._root)
            self._say(f"there is no tag {name} yet: HEAD ({commit[:7]}) stands in for it")
        return Event(name=PUSH, ref=TAGS + name, commit=commit)

    def schedule(self) -> Event:
        """Return a scheduled run, which GitHub starts on the default branch."""
        return Event(name=SCHEDULE, ref=BRANCHES + self._default, commit=self._tip(self._default))

    def _tip(self, branch: str) -> str:
        name = self._checked(branch)
        commit = git.branch(self._root, name) or git.remote_branch(self._root, name)
        if commit is None:
            commit = git.head(self._root)
            self._say(f"there is no branch {name} yet: HEAD ({commit[:7]}) stands in for it")
        return commit

    def _pushed_before(self, branch: str, commit: str) -> str:
        """Return where a branch stood before; for a new one, where it left the default branch."""
        pushed = git.remote_branch(self._root, branch)
        if pushed and pushed != commit:
            return pushed
        if pushed or branch == self._default:
            return git.parent(self._root, commit)
        tip = self._remote_or_local(self._default)
        if tip is None:
            raise _no_branch(self._default)
        return git.merge_base(self._root, tip, commit) or ""

    def _remote_or_local(self, branch: str) -> str | None:
        return git.remote_branch(self._root, branch) or git.branch(self._root, branch)

    def _checked(self, name: str) -> str:
        if not git.is_name(self._root, name):
            raise UsageError(
                f"Git allows no branch or tag to be called {name!r}",
                remedy="`git help check-ref-format` has the rules",
            )
        return name


class _GitHub:
    """The event that GitHub's variables and its file describe (Variables; Webhook events).

    Args:
        root: The workspace.
        settings: Its settings.
        environment: Environment variables.
        base: The commit to compare with; empty for the event's own.
    """

    def __init__(
        self, root: Path, settings: Settings, environment: Mapping[str, str], base: str
    ) -> None:
        self._root = root
        self._default = settings.default_branch
        self._environment = environment
        self._base = base

    def event(self) -> Event:
        """Return it."""
        name = self._variable("GITHUB_EVENT_NAME")
        if name == PUSH:
            return self._push()
        if name == PULL_REQUEST:
            return self._pull_request()
        if name in (SCHEDULE, WORKFLOW_DISPATCH):
            return Event(
                name=name,
                ref=self._variable("GITHUB_REF"),
                commit=self._variable("GITHUB_SHA"),
            )
        raise UsageError(
            f"the event {name!r} builds nothing here",
            cause=f"only {PUSH}, {PULL_REQUEST}, {SCHEDULE} and {WORKFLOW_DISPATCH} do",
            remedy=f"say what is meant by --event: {FORMS}",
        )

    def _push(self) -> Event:
        payload = self._payload()
        ref, before, after = (payload.text(key) for key in ("ref", "before", "after"))
        if not ref.startswith((BRANCHES, TAGS)):
            raise payload.other(f"its ref is {ref!r}")
        if set(after) == {"0"}:
            return Event(name=PUSH, ref=ref, commit="")
        # What is pushed under a tag may be the tag itself, an object of its own.
        commit = git.commit_of(self._root, after) or after
        if ref.startswith(TAGS):
            return Event(name=PUSH, ref=ref, commit=commit)
        if set(before) == {"0"}:
            before = self._base or self._before_first(payload, commit)
        return Event(name=PUSH, ref=ref, commit=commit, base=self._base or before)

    def _before_first(self, payload: _Payload, commit: str) -> str:
        """Return the parent of the oldest commit that came with a new branch."""
        # A checkout of one commit lacks what it is compared with. That is for whoever compares to
        # say: the tags of an image, for one, do not depend on it.
        oldest = payload.first_commit()
        if oldest:
            here = git.commit_of(self._root, oldest)
            return git.parent(self._root, here) if here else f"{oldest}^"
        here = git.remote_branch(self._root, self._default)
        return git.merge_base(self._root, here, commit) or "" if here else f"origin/{self._default}"

    def _pull_request(self) -> Event:
        payload = self._payload()
        number = payload.value(int, "number")
        head = payload.text("pull_request", "head", "sha")
        return Event(
            name=PULL_REQUEST,
            ref=f"{PULLS}{number}/merge",
            commit=self._environment.get("GITHUB_SHA") or head,
            base=self._base or payload.text("pull_request", "base", "sha"),
            base_branch=payload.text("pull_request", "base", "ref"),
            head=head,
        )

    def _variable(self, name: str) -> str:
        value = self._environment.get(name, "")
        if not value:
            raise UsageError(
                f"the variable {name} is not set",
                cause="GitHub sets it in a workflow; this does not run in one",
                remedy=f"say what is meant by --event: {FORMS}",
            )
        return value

    def _payload(self) -> _Payload:
        return _Payload(
            Path(self._variable("GITHUB_EVENT_PATH")), self._variable("GITHUB_EVENT_NAME")
        )


class _Payload:
    """The file that describes GitHub's event.

    Args:
        path: The file.
        name: The event it should describe.

    Raises:
        UsageError: It cannot be read, or is no JSON object.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        try:
            self._document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(
                f"the event file {path} cannot be read",
                cause=str(error),
                remedy="GITHUB_EVENT_PATH has to name the file that GitHub wrote",
            ) from error
        if not isinstance(self._document, dict):
            raise self.other("it is no object")

    def text(self, *keys: str) -> str:
        """Return a text that has to be there."""
        found = str(self.value(str, *keys))
        if not found:
            raise self.other(f"{'.'.join(keys)} is empty")
        return found

    def value(self, kind: type, *keys: str) -> Any:
        """Return a value that has to be there, and of a type."""
        found: Any = self._document
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, kind):
            raise self.other(f"it has no {'.'.join(keys)}")
        if isinstance(found, str) and not _is_text(found):
            raise self.other(f"{'.'.join(keys)} is no text")
        return found

    def first_commit(self) -> str:
        """Return the oldest commit that a push brought; empty where it brought none."""
        commits = self.value(list, "commits")
        found = commits[0].get("id") if commits and isinstance(commits[0], dict) else ""
        return found if isinstance(found, str) and _is_text(found) else ""

    def other(self, cause: str) -> UsageError:
        """Return the error that it describes something else."""
        return UsageError(
            f"the event file {self._path} describes no {self._name}",
            cause=cause,
            remedy="GITHUB_EVENT_NAME and GITHUB_EVENT_PATH have to describe the same event",
        )


def _is_text(text: str) -> bool:
    """Whether programs can be told a text: JSON can hold NUL and halves of characters."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _no_branch(name: str) -> UsageError:
    return UsageError(
        f"there is no branch {name} here to compare with",
        cause="neither this clone nor its remote origin, when it was last fetched, has it",
        remedy=f"git fetch origin {name}, or set default-branch, or name a commit by --base",
    )
