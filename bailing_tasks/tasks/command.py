"""What makes an Invoke task of a function: help for its options, its failures as exit codes.

Errors become exit codes here, and here alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.tasks import Task, task

from bailing_tasks.tasks.invoked import read
from bailing_tasks.tasks.run import join

if TYPE_CHECKING:
    from signal import Signals

    from invoke.context import Context

    from bailing_tasks.errors import BailingError
    from bailing_tasks.tasks.invoked import Invoked
    from bailing_tasks.tasks.run import Run

HELP = {
    "platform": "platform such as linux/arm64, or all (repeatable)",
    "python": "Python version such as 3.11, or all (repeatable)",
    "all": "remove what is up to date as well",
    "last": "how many builds are listed",
    "json": "print one JSON document about the run on standard output",
    "dry_run": "print the exact commands and change nothing",
    "force": "build even if nothing changed",
    "no_cache": "build, and let BuildKit not use its cache either",
    "strict": "end the run if an image cannot be pulled",
    "jobs": "how many images are pulled, or services built, at once",
    "keep_going": "after a failure, go on with what does not need it",
    "names": "services",
    "file": "the bundle, a file",
    "timeout": "seconds that all pulls may take; 0: as long as they take",
    "refresh": "follow tags that have moved",
    "frozen": "take no image that images.lock does not bind",
    "offline": "ask no registry",
    "update": "renew what is locked: all of it, or one image",
    "on_failure": "what to do about failed pulls: retry, continue, stop or ask",
    "explain": "list all that a target is made from: builder, app or a service",
    "builder_image": "the builder image to build on, by name",
    "dockerfile": "a Dockerfile, instead of those of the settings (repeatable)",
    "target": "what is built: a stage by name; for CI a target",
    "build_arg": "a build argument, as NAME=VALUE (repeatable)",
    "all_stages": "list the images of stages that are not built as well",
    "event": "push:BRANCH, pr:NUMBER[:BRANCH], tag:NAME, schedule, or github: the one it runs for",
    "base": "the revision that an event is compared with",
    "push": "publish what was built, under the event's tags",
    "yes": "go ahead without asking",
    "allow_dirty": "publish although files are uncommitted, or no remote has the commit",
    "replace": "take versions from what they stand for",
    "to": "the version that tags go back to; for a bundle the registry that takes it",
    "purge": "remove its engine, images and state as well",
    "overwrite": "replace files that were written or edited by hand",
    "place": "the registry and the project there, as registry.example/project",
    "store": "image store of the private engine: containerd or classic",
}
"""What each option does, the same wherever it stands."""

OPTIONAL = {"update"}
"""Options that may stand without a value."""

REPEATABLE = {option for option, text in HELP.items() if text.endswith("(repeatable)")}


def command(
    *options: str,
    name: str | None = None,
    repeatable: Collection[str] = (),
    klass: type[Task[Any]] = Task,
) -> Callable[[Callable[..., None]], Any]:
    """Make an Invoke task of a function: help for its options, its failures as exit codes.

    There are no one-letter options: they would mean different things in different tasks.

    Args:
        options: The options it has.
        name: Its name, where that is not the function's.
        repeatable: Options that may be given more than once in this task, though not in all.
        klass: What it is made as.
    """

    def decorate(body: Callable[..., None]) -> Any:
        return task(
            klass=klass,
            name=name,
            help={
                option: f"{HELP[option]} (repeatable)" if option in repeatable else HELP[option]
                for option in options
            },
            iterable=[option for option in options if option in {*REPEATABLE, *repeatable}],
            optional=[option for option in options if option in OPTIONAL],
            auto_shortflags=False,
        )(guarded(body))

    return decorate


def guarded(body: Callable[..., None]) -> Callable[..., None]:
    """Turn foreseen failures of a task, and what interrupts it, into a message and an exit code.

    Invoke's own options hold for it, as `invoked.read` says.
    """

    @functools.wraps(body)
    def guard(context: Context, *args: Any, **options: Any) -> None:
        from bailing_tasks import process
        from bailing_tasks.errors import BailingError, UsageError
        from bailing_tasks.interruption import interruptible

        invoked = read(context)
        run = join(invoked)
        over = run.began + invoked.seconds if invoked.seconds else None
        came: Sequence[Signals] = ()
        try:
            invoked.check()
            if invoked.echo:
                process.echo()
            with interruptible(over) as came:
                body(context, *args, **options)
        except BailingError as error:
            raise _exit(run, error) from None
        except OSError as error:
            raise _exit(
                run, UsageError("the system refused something", cause=str(error))
            ) from error
        except KeyboardInterrupt:
            raise _exit(run, _interrupted(came, invoked)) from None

    return guard


def _interrupted(came: Sequence[Signals], invoked: Invoked) -> BailingError:
    """Return the error for a run that was interrupted, by Ctrl-C where no signal came."""
    from bailing_tasks.errors import InterruptedRunError

    remedy = "run the same command again: it goes on from here"
    if not came:
        return InterruptedRunError("interrupted", remedy=remedy)
    if came[0].name == "SIGALRM":
        return InterruptedRunError(
            f"timed out after {invoked.seconds} s",
            cause="Invoke's --command-timeout (-T) limits the whole run",
            remedy=f"{remedy}; or allow more time",
        )
    return InterruptedRunError("interrupted", cause=came[0].name, remedy=remedy)


def _exit(run: Run, error: BailingError) -> Exit:
    from bailing_tasks.units import without_controls

    run.failed = {
        "message": error.message,
        "cause": error.cause,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
    }
    return Exit(without_controls(f"error: {error}"), error.exit_code)
