"""Asks a person before something is done that cannot be taken back."""

from __future__ import annotations

from bailing_tasks.tasks.run import Run


def ask(run: Run, question: str, *, yes: bool, does: str) -> None:
    """Ask a person once, unless it was said before that it is wanted.

    Args:
        run: The run.
        question: What is asked.
        yes: Whether `--yes` was given.
        does: What that does then, such as `publishes`.

    Raises:
        UsageError: Nobody is there to be asked.
        InterruptedRunError: The person does not want it.
    """
    import sys

    from bailing_tasks.errors import InterruptedRunError, UsageError

    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():  # None where it was closed
        raise UsageError(
            "nobody is there to be asked whether all this is wanted",
            cause="standard input is no terminal",
            remedy=f"--yes {does} without asking",
        )
    if run.console.ask(question, ("yes", "no"), enter=False) == "no":
        raise InterruptedRunError("nothing was done: it was not wanted")
