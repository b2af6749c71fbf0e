"""YAML as a tree in which each value knows its line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bailing_tasks.errors import UsageError

if TYPE_CHECKING:
    import yaml

MERGE = "<<"


@dataclass(frozen=True)
class Node:
    """One value.

    Attributes:
        line: Where it stands: the line of its key in a mapping, else its own.
        text: A scalar as it is written, `""` for null; None for anything else.
        entries: The values of a list.
        items: The values of a mapping by key.
        first: The line its text starts on.
    """

    line: int = 0
    text: str | None = None
    entries: tuple[Node, ...] | None = None
    items: Mapping[str, Node] = field(default_factory=dict)
    first: int = 0

    def __bool__(self) -> bool:
        return bool(self.text or self.entries or self.items)

    def get(self, key: str) -> Node:
        """Return a value of the mapping, or an empty node that stands where the mapping does."""
        return self.items[key] if key in self.items else Node(line=self.line)

    @property
    def value(self) -> str:
        """The scalar, or `""`."""
        return self.text or ""

    @property
    def each(self) -> tuple[Node, ...]:
        """The values of a list; a scalar is a list of one."""
        if self.entries is not None:
            return self.entries
        return (self,) if self.text else ()

    def mentions(self, text: str) -> bool:
        """Whether a text stands in one of the scalars."""
        if self.text is not None:
            return text in self.text
        inner = self.entries if self.entries is not None else self.items.values()
        return any(node.mentions(text) for node in inner)


MOST_NODES = 100_000
"""The most values of one file."""


def parse(text: str, path: str) -> Node:
    """Read a YAML file.

    Args:
        text: Its content.
        path: Its name, for messages.

    Raises:
        UsageError: It is not YAML.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return Node() if root is None else _Reader(path).node(root, root.start_mark.line + 1)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        raise UsageError(
            f"{place} is not YAML",
            cause=" ".join(filter(None, (error.context, error.problem))),
            remedy="mend the file",
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML", cause=str(error), remedy="mend the file") from error
    except RecursionError as error:
        raise UsageError(
            f"{path} cannot be read", cause="it nests too deeply", remedy="mend the file"
        ) from error


class _Reader:
    """Turns what PyYAML composed into nodes; an anchor wherever it is used."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: list[yaml.Node] = []
        self._count = 0

    def node(self, found: yaml.Node, line: int) -> Node:
        import yaml

        self._count += 1
        if self._count > MOST_NODES:
            raise UsageError(
                f"{self._path}:{line}: the file unfolds to more than {MOST_NODES} values",
                cause="anchors that hold anchors multiply",
                remedy="write out what is meant",
            )
        if any(found is each for each in self._open):
            raise UsageError(f"{self._path}:{line}: an anchor holds itself")
        self._open.append(found)
        try:
            if isinstance(found, yaml.MappingNode):
                return Node(line=line, items=self._items(found))
            if isinstance(found, yaml.SequenceNode):
                entries = (self.node(each, each.start_mark.line + 1) for each in found.value)
                return Node(line=line, entries=tuple(entries))
            null = found.tag == "tag:yaml.org,2002:null"
            block = isinstance(found, yaml.ScalarNode) and found.style in ("|", ">")
            start = found.start_mark.line + 1 + block
            return Node(line=line, text="" if null else found.value, first=start)
        finally:
            self._open.pop()

    def _items(self, found: yaml.MappingNode) -> dict[str, Node]:
        import yaml

        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in found.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"{self._path}:{line}: a key is no text")
            if key.value in own:
                raise UsageError(
                    f"{self._path}:{line}: {key.value!r} stands there twice",
                    cause="a key may stand once in a mapping",
                    remedy="join the two",
                )
            node = self.node(value, line)
            if key.value == MERGE:
                for each in node.entries or (node,):
                    merged = {**each.items, **merged}
            else:
                own[key.value] = node
        return {**merged, **own}
