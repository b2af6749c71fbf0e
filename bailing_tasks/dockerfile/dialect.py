"""Whose syntax a Dockerfile is in: that of BuildKit's built-in frontend, or of another one.

What the built-in frontend does not know is refused. Another frontend may know it: then it is
collected as a warning, and that frontend decides when it builds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bailing_tasks.dockerfile.text import Refused
from bailing_tasks.errors import DockerfileError
from bailing_tasks.references import Reference

_BUILT_IN = "docker.io/docker/dockerfile"
_LABS = "labs"

Unknown = Callable[[Refused], None]
"""What is done with a refusal of what another frontend may know."""


def other_frontend(frontend: Reference | None) -> str:
    """The frontend that decides in place of the built-in one; empty for that one itself.

    The stable releases of ``docker/dockerfile`` are the built-in frontend. Its labs channel and
    ``docker/dockerfile-upstream`` know more than that.
    """
    if frontend is None:
        return ""
    is_stable = not (frontend.tag or "").endswith(_LABS)
    return "" if frontend.repository == _BUILT_IN and is_stable else frontend.familiar


@dataclass(slots=True)
class Dialect:
    """The frontend that a file is for, and what the built-in one does not know of the file.

    Attributes:
        frontend: Another frontend's name; empty for the built-in one.
        unknown: One error for each place, in the order in which they are found.
    """

    frontend: str = ""
    unknown: list[DockerfileError] = field(default_factory=list)

    def report(self, refused: Refused, line: int) -> None:
        """Collect what is unknown.

        Raises:
            Refused: The file is for the built-in frontend.
        """
        if not self.frontend:
            raise refused
        self.unknown.append(
            DockerfileError(
                refused.cause,
                line=line,
                cause="BuildKit's built-in frontend does not know it",
                remedy=f"correct it, unless {self.frontend}, which reads this file, knows it",
            )
        )
