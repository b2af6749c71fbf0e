"""What two builds of one target have different: files, arguments, pins, instructions. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bailing_tasks.fingerprint import Inputs
from bailing_tasks.outcomes import short
from bailing_tasks.references import is_sha256
from bailing_tasks.units import in_one_line

NAMED = 3
"""How many changes of a kind are named before they are counted."""
WIDTH = 60
"""How many characters of an instruction are shown."""

OWN = "localhost/"
"""Where the names of the workspace's own images begin, whose tags tell them apart."""
KINDS = {"file": "files", "argument": "arguments", "pin": "pins", "instruction": "instructions"}
"""Each kind of change, and what several of them are called."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One input that is not what it was.

    Attributes:
        kind: `file`, `argument`, `pin` or `instruction`.
        name: The path, the argument, the image and its platform, or the instruction.
        before: Its digest or value before; empty where it was not there.
        after: The same now; empty where it is not there any more.
    """

    kind: str
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        name = in_one_line(self.name)
        if self.kind == "file":
            return name if self.before and self.after else f"{name} ({self._how})"
        if self.kind == "instruction":
            return f"{self._how}: {name}"
        return f"{name} ({self._value(self.before)} -> {self._value(self.after)})"

    @property
    def _how(self) -> str:
        return "new" if not self.before else "gone"

    def _value(self, value: str) -> str:
        if not value:
            return "none"
        if value.startswith(OWN):
            return in_one_line(value.rpartition(":")[2])
        return short(value) if is_sha256(value) else in_one_line(value)


def changes(before: Inputs, after: Inputs) -> tuple[Change, ...]:
    """Return what is different, files first, each kind sorted by name."""
    return (
        *_between("file", before.files, after.files),
        *_between("argument", before.build_args, after.build_args),
        *_between("pin", before.images, after.images),
        *_edits(before.instructions, after.instructions),
    )


def describe(found: Sequence[Change]) -> str:
    """Return the changes in one line; empty for none."""
    parts = []
    for kind, several in KINDS.items():
        of_kind = [change for change in found if change.kind == kind]
        if not of_kind:
            continue
        left = len(of_kind) - NAMED
        named = ", ".join(map(str, of_kind[:NAMED])) + (f" and {left} more" if left > 0 else "")
        parts.append(f"{kind if len(of_kind) == 1 else several} changed: {named}")
    return "; ".join(parts)


def _between(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    if before == after:
        return
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Change(kind=kind, name=name, before=old or "", after=new or "")


def _edits(before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    """Yield the instructions that went and came, in the order of the Dockerfile."""
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for verb, old, old_end, new, new_end in matcher.get_opcodes():
        if verb == "equal":
            continue
        for text in before[old:old_end]:
            yield Change(kind="instruction", name=_shown(text), before=text, after="")
        for text in after[new:new_end]:
            yield Change(kind="instruction", name=_shown(text), before="", after=text)


def _shown(instruction: str) -> str:
    line = " ".join(instruction.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
