"""Every failure this project foresees: what happened, why, what to do, and its exit code.

The exit codes are the project's interface to scripts and CI; each stands here once.
Only the task layer turns an error into an exit; everything below raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class BailingError(Exception):
    """A failure a person can act on.

    Args:
        message: What happened, in one line.
        cause: Why, as far as it is known.
        remedy: What to do about it; may hold several lines.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cause: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.remedy = remedy

    @property
    def headline(self) -> str:
        """Where and what, in a line."""
        return str(self).partition("\n")[0]

    def __str__(self) -> str:
        parts = [self.message]
        if self.cause:
            parts.append(f"cause: {self.cause}")
        if self.remedy:
            parts.append(f"remedy: {self.remedy}")
        return "\n  ".join(parts)


class FindingsError(BailingError):
    """A check has found something."""

    exit_code = 1


class UsageError(BailingError):
    """An argument or an environment variable that makes no sense here."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting that is unknown, of the wrong type, or contradicts another."""


class DockerfileError(BailingError):
    """A Dockerfile that is missing, or that BuildKit would refuse.

    Args:
        message: What is wrong.
        line: 1-based line of the instruction, 0 where no line is to blame.
        cause: Why BuildKit refuses it.
        remedy: What to write instead.
        path: The file, as people know it; empty for text that came from nowhere.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, line: int = 0, cause: str = "", remedy: str = "", path: str = ""
    ) -> None:
        super().__init__(message, cause=cause, remedy=remedy)
        self.line = line
        self.path = path

    def __str__(self) -> str:
        place = ":".join(part for part in (self.path, str(self.line) if self.line else "") if part)
        return f"{place}: {super().__str__()}" if place else super().__str__()


class EngineError(BailingError):
    """The engine, or a tool it needs, is missing, stopped, or too old."""

    exit_code = 4


class RemoteError(BailingError):
    """What was asked of a registry failed; asking again may help.

    Args:
        message: What happened.
        cause: Why, as far as it is known.
        remedy: What to do about it.
        transient: Whether asking again may help.

    Attributes:
        retry_after: How many seconds the registry asks to wait; None where it does not say.
    """

    def __init__(
        self, message: str, *, cause: str = "", remedy: str = "", transient: bool = False
    ) -> None:
        super().__init__(message, cause=cause, remedy=remedy)
        self.transient = transient
        self.retry_after: float | None = None


class PullError(RemoteError):
    """An image could not be resolved or pulled.

    Args:
        message: What happened.
        cause: Why, as far as it is known.
        remedy: What to do about it.
        transient: Whether asking again may help.
        final: Whether no other source can help either: the disk is full.
    """

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        remedy: str = "",
        transient: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__(message, cause=cause, remedy=remedy, transient=transient)
        self.final = final


class UnreachableError(PullError):
    """A registry that this process cannot speak to; an engine with settings of its own may."""


class AbsentError(PullError):
    """A registry has no such image or tag."""


class BuildError(BailingError):
    """BuildKit refused or failed a build."""

    exit_code = 6


class VerifyError(BailingError):
    """A built image is not what it has to be."""

    exit_code = 7


class RegistryError(RemoteError):
    """A registry denied a request or could not be reached.

    Args:
        message: What happened.
        cause: Why, as far as it is known.
        remedy: What to do about it.
        transient: Whether asking again may help.
        kind: What kind of failure it is, where that is asked for: `failures.LOGIN`, `IMMUTABLE`.
    """

    exit_code = 8

    def __init__(
        self,
        message: str,
        *,
        cause: str = "",
        remedy: str = "",
        transient: bool = False,
        kind: str = "",
    ) -> None:
        super().__init__(message, cause=cause, remedy=remedy, transient=transient)
        self.kind = kind


class IncompleteError(RegistryError):
    """A registry does not have all of an image."""


class ReleaseError(BailingError):
    """A release stopped halfway; the same command goes on from there."""

    exit_code = 9


class InterruptedRunError(BailingError):
    """The person stopped the run."""

    exit_code = 130


def perhaps_meant(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the remedy for a name that nothing has: the nearest one that is known, if any is near.

    Args:
        name: The name.
        known: Those that there are.
        otherwise: The remedy where none is near.
    """
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"perhaps you meant {near[0]!r}" if near else otherwise
