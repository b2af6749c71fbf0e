"""What the tasks share that build many images: the plan first, then a line for each that ends."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bailing_tasks.tasks.building import foreseen, print_commands
from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bailing_tasks.build import BuildResult
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.console import Console
    from bailing_tasks.ended import Ended
    from bailing_tasks.engine.base import Engine
    from bailing_tasks.lanes import Lane
    from bailing_tasks.settings import Settings, Target
    from bailing_tasks.tasks.building import Step


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the command line says of builds.

    Attributes:
        jobs: How many at a time; 0 for as many as there are.
        force: Whether they are built in any case, without the build cache.
        keep_going: Whether the others go on after a failure.
    """

    jobs: int
    force: bool
    keep_going: bool

    @classmethod
    def read(cls, *, jobs: str, force: bool, keep_going: bool) -> Wishes:
        """Read them.

        Raises:
            UsageError: The number is none.
        """
        from bailing_tasks.errors import UsageError
        from bailing_tasks.option import as_positive

        try:
            number = as_positive(jobs) if jobs else 0
        except TypeError as error:
            raise UsageError(f"--jobs: expected {error}, got {jobs!r}") from error
        return cls(jobs=number, force=force, keep_going=keep_going)


def outlook(run: Run, settings: Settings) -> Iterator[Step]:
    """Yield what builds of all targets would do, and why, whatever platform they are for."""
    yield from foreseen(run, settings, run.targets(settings), force=False)


def build_targets(
    run: Run,
    name: str,
    settings: Settings,
    chosen: Sequence[Target],
    wishes: Wishes,
    suited: Callable[[Lane, Iterable[Step]], Iterable[Step]] = lambda lane, steps: steps,
) -> list[BuildResult]:
    """Build targets and what they need, in the order of their needs; on all engines at once.

    Args:
        run: The run.
        name: The task.
        settings: The run's settings.
        chosen: The targets.
        wishes: What the command line says.
        suited: Returns the steps of a lane as they are to be carried out.

    Raises:
        BuildError: Some could not be built.
    """
    from bailing_tasks.lanes import side_by_side

    if not run.dry_run:
        run.hold()
    lanes = run.lanes(settings)
    # Made once, before several threads ask for them.
    _ = run.pins, run.lookup(settings), run.history
    steps: dict[Engine, list[Step]] = {}
    for lane in lanes:
        planned = _seen(run, foreseen(run, lane.settings, chosen, force=wishes.force))
        steps[lane.engine] = list(suited(lane, planned))
    every = [step for of_one in steps.values() for step in of_one]
    _show_plan(run, every)
    if run.dry_run:
        lines = [line for lane in lanes for line in _commands(lane, steps[lane.engine], wishes)]
        print_commands(run, name, lines, "nothing changed")
        return []
    tally = _Tally(run, name, every)
    started = time.monotonic()

    try:
        side_by_side(lanes, lambda lane: _build(run, lane, steps[lane.engine], wishes, tally))
    finally:
        run.lookup(settings).built(*tally.built)
        run.report(name, {"images": [_document(ended) for ended in tally.ended]})
    tally.end(time.monotonic() - started)
    return [ended.built for ended in tally.ended if ended.built]


def _seen(run: Run, steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps; from the first build on buildx is asked for, which takes a while to answer."""
    from bailing_tasks.decision import BUILD
    from bailing_tasks.engine.connect import ask_buildx

    for step in steps:
        if step[1].action == BUILD and not run.dry_run:
            ask_buildx()
        yield step


def _build(run: Run, lane: Lane, steps: Sequence[Step], wishes: Wishes, tally: _Tally) -> None:
    """Carry out the steps of one lane."""
    from bailing_tasks.batch import Batch
    from bailing_tasks.board import board

    with board(lane.console) as shown:
        batch = Batch(
            prefetcher=run.prefetcher(lane),
            state=run.state,
            board=shown,
            tell=lambda ended: tally.tell(ended, lane.console),
            jobs=wishes.jobs,
            no_cache=wishes.force,
            keep_going=wishes.keep_going,
        )
        batch.run(steps)


class _Tally:
    """Counts and tells how steps end, whichever engine they end on."""

    def __init__(self, run: Run, task: str, steps: Sequence[Step]) -> None:
        self.ended: list[Ended] = []
        self._run = run
        self._task = task
        self._plans = {plan.recipe.variant.key: plan for plan, _ in steps}
        self._one_at_a_time = threading.Lock()

    @property
    def built(self) -> list[BuildPlan]:
        """The builds that BuildKit had to be asked for."""
        return [self._plans[each.variant.key] for each in self.ended if each.result == "built"]

    def tell(self, ended: Ended, console: Console) -> None:
        """Write the line that ends one step; where it failed, the end of its log before it."""
        with self._one_at_a_time:
            self.ended.append(ended)
            for line in ended.log:
                console.say(f"  {ended.variant.target.name} | {line}")
            number = f"[{len(self.ended)}/{len(self._plans)}]"
            console.say(f"{number} {ended.variant}: {_line(ended)}")
            if ended.error and ended.error.remedy:
                console.say(f"  remedy: {ended.error.remedy}")
            self._remember(ended)

    def _remember(self, step: Ended) -> None:
        from bailing_tasks.history import ended

        reason, cause = ("", step.reason) if step.error else (step.reason, "")
        plan = self._plans[step.variant.key]
        self._run.history.add(
            ended(
                self._task,
                plan,
                step.result,
                reason,
                seconds=step.seconds,
                cause=cause,
                built=step.built,
            )
        )

    def end(self, seconds: float) -> None:
        """Write the summary.

        Raises:
            BuildError: Some failed.
        """
        from bailing_tasks.errors import BuildError

        counts = Counter(ended.result for ended in self.ended)
        words = ("built", "pulled", "tagged", "skipped", "failed", "left out", "stopped")
        said = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
        self._run.console.say(f"{len(self.ended)} images: {said or 'none'}; {seconds:.1f} s")
        failed = [ended for ended in self.ended if not ended.ok]
        if not failed:
            return
        names = ", ".join(str(ended.variant) for ended in failed if ended.result == "failed")
        others = [f"{counts[word]} {word}" for word in ("left out", "stopped") if counts[word]]
        raise BuildError(
            "; ".join([f"{names} could not be built", *others]),
            cause=next((ended.reason for ended in failed if ended.result == "failed"), ""),
            remedy=f"the logs are in {self._run.state.folder / 'logs'}; what is built stays, and "
            "is not built again"
            + ("\n  --keep-going goes on with what needs none of it" if counts["stopped"] else ""),
        )


def _line(ended: Ended) -> str:
    """Return how a step ended, in a line."""
    result = "FAILED" if ended.result == "failed" else ended.result
    steps = ""
    if result == "built" and ended.built:
        steps = f", {ended.built.cached} of {ended.built.steps} steps cached"
    return f"{result}, {ended.seconds:.1f} s{steps}: {ended.reason}"


def _show_plan(run: Run, steps: Sequence[Step]) -> None:
    run.console.table(
        ("image", "platform", "action", "why"),
        [
            (plan.name, str(plan.recipe.variant.platform), decision.action, decision.reason)
            for plan, decision in steps
        ],
    )


def _commands(lane: Lane, steps: Sequence[Step], wishes: Wishes) -> Iterator[str]:
    from bailing_tasks.build import commands

    if any(decision.action == "build" for _, decision in steps):
        yield "# in one run of `docker buildx bake`; one after the other, this is the same:"
    for plan, decision in steps:
        yield from commands(plan, decision, lane.engine, no_cache=wishes.force)


def _document(ended: Ended) -> dict[str, Any]:
    variant = ended.variant
    known = asdict(ended.built) if ended.built else {"seconds": ended.seconds}
    return {
        **known,
        "target": variant.target.name,
        "platform": str(variant.platform),
        "python": variant.python,
        "result": ended.result,
        "reason": ended.reason,
    }
