"""What cannot be built because of its own files. It ends nothing but itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from bailing_tasks.errors import BailingError
from bailing_tasks.variants import Variant

_T = TypeVar("_T")
NO_TARGET = "-"
"""What is shown as the target of images and files that belong to none."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A file that cannot be used as it is.

    Attributes:
        error: What is wrong with it.
    """

    error: BailingError

    @property
    def document(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "target": NO_TARGET,
            "platform": "",
            "python": "",
            "needs": [],
            "message": self.error.headline,
            "cause": self.error.cause,
            "remedy": self.error.remedy,
            "exit_code": self.error.exit_code,
        }


@dataclass(frozen=True, kw_only=True)
class Refusal(Refused):
    """A variant that cannot be built because of its files.

    Attributes:
        variant: The variant.
        needs: Which targets that it needs cannot be built; empty where it is to blame itself.
    """

    variant: Variant
    needs: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """What a run does about it, in a word."""
        return "leave out" if self.needs else "refuse"

    @property
    def reason(self) -> str:
        """Why, in a line."""
        return f"it needs {', '.join(self.needs)}" if self.needs else self.error.headline

    @property
    def document(self) -> dict[str, Any]:
        """The same as plain data."""
        target, platform, python = self.variant.key
        known = {"target": target, "platform": platform, "python": python}
        return {**super().document, **known, "needs": list(self.needs)}


def split(items: Iterable[_T | Refusal]) -> tuple[list[_T], list[Refusal]]:
    """Return what can be used, and what is refused."""
    usable: list[_T] = []
    refused: list[Refusal] = []
    for each in items:
        if isinstance(each, Refusal):
            refused.append(each)
        else:
            usable.append(each)
    return usable, refused


def checked(items: Iterable[_T | Refusal]) -> list[_T]:
    """Return items of which none may be refused.

    Raises:
        BailingError: Some are; as `check`.
    """
    usable, refused = split(items)
    check(refused)
    return usable


def check(refused: Iterable[Refused]) -> None:
    """End a run in which something was refused.

    Raises:
        BailingError: As `combined`.
    """
    if errors := [each.error for each in refused]:
        raise combined(errors)


def combined(errors: Iterable[BailingError]) -> BailingError:
    """Return the one error that there is, or one for all of them, of the highest exit code."""
    found = list({str(error): error for error in errors}.values())
    if len(found) == 1:
        return found[0]
    worst = max(found, key=lambda error: error.exit_code)
    return type(worst)(
        "; ".join(error.headline for error in found),
        cause="; ".join(dict.fromkeys(error.cause for error in found if error.cause)),
        remedy="; ".join(dict.fromkeys(error.remedy for error in found if error.remedy)),
    )


def documents(refused: Iterable[Refused]) -> list[dict[str, Any]]:
    """Return refusals as plain data, each once."""
    found = [each.document for each in refused]
    return [each for number, each in enumerate(found) if each not in found[:number]]
