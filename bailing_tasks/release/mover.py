"""Moves the tags of a release: what a registry holds is compared before and after each.

Versions come first and `latest` last. Where a registry refuses one for good, those that were moved
go back to where they stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bailing_tasks import image_index
from bailing_tasks.console import Console
from bailing_tasks.errors import RegistryError, ReleaseError, UsageError
from bailing_tasks.outcomes import short
from bailing_tasks.release import journal as journals
from bailing_tasks.release.journal import LEFT, MOVED, THERE, Journal
from bailing_tasks.release.model import Index, MovedTag, Plan, ReleaseTag, Seen
from bailing_tasks.release.registry import Registry
from bailing_tasks.tag_moves import VERSION, Move

Judge = Callable[[ReleaseTag], Move]
"""Says whether a tag moves from where it stands now, asked anew each time."""


class Mover:
    """Moves tags.

    Args:
        registry: Asks registries.
        journal: Knows where tags stood, and is told each step.
        judge: Says whether a tag moves.
        console: Told what is done.
    """

    def __init__(
        self, registry: Registry, journal: Journal, judge: Judge, console: Console
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._judge = judge
        self._console = console

    def move(self, plan: Plan, indexes: Mapping[tuple[str, str], Index]) -> tuple[MovedTag, ...]:
        """Let each tag of a plan stand for its index, unless it stays where it is.

        Raises:
            UsageError: A version stands for another image; no tag has been moved then.
            RegistryError: A registry denies it, or cannot be reached.
            ReleaseError: Somebody else moved a tag at the same time.
        """
        seen = {tag: self._look(tag, indexes[tag.key], replace=plan.replace) for tag in plan.tags}
        if not plan.replace:
            check_versions({tag: each.move for tag, each in seen.items()})
        moved: list[MovedTag] = []
        for tag in plan.tags:
            try:
                moved.append(self._moved(tag, indexes[tag.key], seen[tag], replace=plan.replace))
            except (RegistryError, UsageError) as error:
                if isinstance(error, UsageError) or not error.transient:
                    self._undo(plan, indexes)
                raise
        for tag, each in zip(plan.tags, moved, strict=True):
            if each.result != LEFT:
                self._confirm(tag, each.digest)
        return tuple(moved)

    def _look(self, tag: ReleaseTag, index: Index, *, replace: bool) -> Seen:
        """Find out what a tag stands for; name who else has moved it."""
        digest = self._registry.digest(tag.reference)
        if digest == index.digest:
            move = Move(True, "it stands for this")
            return Seen(tag=tag, digest=digest, move=move, is_there=True)
        ours = self._journal.moved.get(tag.name)
        if digest not in (self._journal.before.get(tag.name, ""), ours):
            at = short(digest) if digest else "nothing"
            self._console.warn(f"{tag.name} was moved by somebody else: it stands for {at} now")
        move = self._judge(tag)
        if tag.kind == VERSION and move.moves is None and not replace:
            # Two versions of one commit: their indexes may differ in the version that they say.
            there = self._registry.raw(tag.reference, digest)
            if image_index.images(there) == image_index.images(index.raw):
                move = Move(True, "it stands for these images")
                return Seen(tag=tag, digest=digest, move=move, is_there=True)
        return Seen(tag=tag, digest=digest, move=move)

    def _moved(self, tag: ReleaseTag, index: Index, seen: Seen, *, replace: bool) -> MovedTag:
        if self._registry.digest(tag.reference) != seen.digest:
            seen = self._look(tag, index, replace=replace)
            if not replace:
                check_versions({tag: seen.move})
        takes = replace and tag.kind == VERSION
        result, why = MOVED, "" if takes else seen.move.why
        if seen.is_there:
            result = THERE
        elif not (seen.move.moves or takes):
            result = LEFT
        if result == MOVED:
            self._journal.add(journals.MOVE, name=tag.name, digest=index.digest, before=seen.digest)
            if not self._registry.put(index.raw, tag.reference, seen.digest):
                return self._moved(tag, index, seen, replace=replace)
            self._confirm(tag, index.digest)
        digest = index.digest if result == MOVED else seen.digest
        said = {MOVED: "is", THERE: "stays at", LEFT: "is left at"}[result]
        platforms = f": {why}" if result == LEFT else f" for {', '.join(index.platforms)}"
        self._console.say(f"{tag.name} {said} {short(digest)}{platforms}")
        self._journal.add(
            journals.TAG, name=tag.name, digest=digest, before=seen.digest, result=result, why=why
        )
        return MovedTag(
            target=tag.target,
            python=tag.python,
            name=tag.name,
            kind=tag.kind,
            digest=digest,
            before=self._journal.before.get(tag.name, ""),
            result=result,
            why=why,
        )

    def _confirm(self, tag: ReleaseTag, wanted: str) -> None:
        """Make sure that a tag stands where it was set, or that others have moved it on rightly."""
        found = self._registry.digest(tag.reference)
        if found == wanted:
            return
        move = self._judge(tag) if tag.kind != VERSION else Move(None, "")
        if move.moves is False:
            self._console.warn(f"{tag.name} was moved on by somebody else: {move.why}")
            return
        raise ReleaseError(
            f"{tag.name} is not what it was set to",
            cause=f"it stands for {found or 'nothing'}, not {wanted}: somebody else pushes at "
            "the same time",
            remedy="`invoke release-status` shows what each tag stands for; the same command "
            "run again puts right what the policy lets it",
        )

    def _undo(self, plan: Plan, indexes: Mapping[tuple[str, str], Index]) -> None:
        """Let the tags that this release has moved stand for what they stood for before."""
        for tag in reversed(plan.tags):
            ours, before = indexes[tag.key].digest, self._journal.before.get(tag.name, "")
            if self._journal.moved.get(tag.name) != ours:
                continue
            try:
                found = self._registry.digest(tag.reference)
                if found == ours:
                    self._put_back(tag, before, ours)
            except RegistryError as error:
                self._console.warn(f"{tag.name} could not be put back\n{error.cause}")
                continue
            if found == ours:
                self._console.say(f"{tag.name} is put back: {short(before) or 'it was not there'}")
            self._journal.add(journals.UNDONE, name=tag.name)

    def _put_back(self, tag: ReleaseTag, before: str, ours: str) -> None:
        if before:
            self._registry.put(self._registry.raw(tag.reference, before), tag.reference, ours)
        else:
            self._registry.remove_tag(tag.reference)


def check_versions(moves: Mapping[ReleaseTag, Move]) -> None:
    """Make sure that no version is taken from the image that it stands for.

    Raises:
        UsageError: One would be.
    """
    taken = [
        f"{tag.name}: {move.why}"
        for tag, move in moves.items()
        if tag.kind == VERSION and not move.moves
    ]
    if taken:
        raise UsageError(
            f"a version stands for one image for good: {len(taken)} stand for others",
            cause="; ".join(taken),
            remedy="release it under a new version; --replace takes these from what they stand for",
        )
