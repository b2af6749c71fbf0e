"""Arguments that take several words: `invoke build-service backend frontend`.

Invoke's own take one word each, or want the option's name before each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from invoke.parser.argument import Argument
from invoke.tasks import Task


class Words(Argument):
    """Takes each word up to the next option or the next task.

    Args:
        name: Its name.
        text: What it is, for people.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name=name, kind=list, positional=True, help=text)

    @property
    def value(self) -> Any:
        """The words; None, by which the parser knows that it takes another one."""
        return None if not self._value or self._takes_more() else self._value

    @value.setter
    def value(self, word: str) -> None:
        self.set_value(word)

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: ARG002
        """Add a word; one may hold several, with commas between them."""
        self.raw_value = f"{self.raw_value or ''} {value}".strip()
        words: Any = self._value
        self._value = [*words, *filter(None, str(value).split(","))]

    def _takes_more(self) -> bool:
        taken = str(self.raw_value).split()
        words = sys.argv[1:]
        for place in range(len(words) - len(taken)):
            if words[place : place + len(taken)] == taken:
                following = words[place + len(taken)]
                return not following.startswith("-") and following not in _tasks()
        return False


def _tasks() -> Collection[str]:
    from bailing_tasks.tasks import namespace

    return namespace.task_names


class WordsTask(Task):  # type: ignore[type-arg]
    """A task whose first argument, called `names`, takes several words."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return its arguments."""
        text = self.help.get("names", "")
        found = super().get_arguments(ignore_unknown_help)
        return [Words("names", text), *(each for each in found if each.name != "names")]
