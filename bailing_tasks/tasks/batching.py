"""What the tasks share that build many images: the plan first, then a line for each that ends."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bailing_tasks.tasks.building import decided, print_commands
from bailing_tasks.tasks.refusing import buildable, plans_of
from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bailing_tasks.build import BuildResult
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.console import Console
    from bailing_tasks.ended import Ended
    from bailing_tasks.engine.base import Engine
    from bailing_tasks.lanes import Lane
    from bailing_tasks.refusals import Refusal
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


def outlook(run: Run, settings: Settings) -> tuple[list[Step], list[Refusal]]:
    """Return what builds of all targets would do, and what is refused, for every platform."""
    from bailing_tasks.refusals import split

    targets = run.targets(settings)
    readings = run.in_order(settings, run.recipes(settings, *targets))
    plans, refused = split(plans_of(run, settings, readings))
    return list(decided(run, settings, plans, targets, force=False)), refused


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
        BailingError: Some are refused because of their files.
    """
    from bailing_tasks.ended import Ended
    from bailing_tasks.lanes import side_by_side
    from bailing_tasks.refusals import check, split

    if not run.dry_run:
        run.hold()
    lanes = run.lanes(settings)
    # Made once, before several threads ask for them.
    _ = run.pins, run.lookup(settings), run.history
    plans: dict[Engine, list[BuildPlan]] = {}
    refused: list[Refusal] = []
    for lane in lanes:
        readings = buildable(run, lane.settings, chosen)
        plans[lane.engine], of_lane = split(plans_of(run, lane.settings, readings))
        refused += of_lane
    if not wishes.keep_going:
        check(refused)
    steps: dict[Engine, list[Step]] = {}
    for lane in lanes:
        found = decided(run, lane.settings, plans[lane.engine], chosen, force=wishes.force)
        steps[lane.engine] = list(suited(lane, _seen(run, found)))
    every = [step for of_one in steps.values() for step in of_one]
    _show_plan(run, settings, every, refused)
    if run.dry_run:
        lines = [line for lane in lanes for line in _commands(lane, steps[lane.engine], wishes)]
        print_commands(run, name, lines, "nothing changed")
        check(refused)
        return []
    tally = _Tally(run, name, every, refused)
    started = time.monotonic()

    try:
        for each in refused:
            tally.tell(Ended.refused(each), run.console)
        side_by_side(lanes, lambda lane: _build(run, lane, steps[lane.engine], wishes, tally))
    finally:
        run.lookup(settings).built(*tally.built)
        run.report(name, {"images": [_document(ended) for ended in tally.ended]})
    tally.end(time.monotonic() - started)
    check(refused)
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
    from bailing_tasks.decision import BUILD
    from bailing_tasks.holding import remove_staged

    if any(decision.action == BUILD for _, decision in steps):
        remove_staged(run.state, lane.engine, lane.settings.targets)
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

    def __init__(
        self, run: Run, task: str, steps: Sequence[Step], refused: Sequence[Refusal]
    ) -> None:
        self.ended: list[Ended] = []
        self._run = run
        self._task = task
        self._plans = {plan.recipe.variant.key: plan for plan, _ in steps}
        self._count = len(steps) + len(refused)
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
            number = f"[{len(self.ended)}/{self._count}]"
            console.say(f"{number} {ended.variant}: {_line(ended)}")
            if ended.error and ended.error.remedy:
                console.say(f"  remedy: {ended.error.remedy}")
            self._remember(ended)

    def _remember(self, step: Ended) -> None:
        from bailing_tasks.history import ended

        reason, cause = ("", step.reason) if step.error else (step.reason, "")
        plan = self._plans.get(step.variant.key)
        if plan is None:  # it is refused: nothing was begun
            return
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
        words = ("built", "pulled", "tagged", "skipped", "failed", "refused", "left out", "stopped")
        said = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
        self._run.console.say(f"{len(self.ended)} images: {said or 'none'}; {seconds:.1f} s")
        failed = [ended for ended in self.ended if not ended.ok]
        if not any(ended.result == "failed" for ended in failed):
            return
        names = ", ".join(str(ended.variant) for ended in failed if ended.result == "failed")
        also = ("refused", "left out", "stopped")
        others = [f"{counts[word]} {word}" for word in also if counts[word]]
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


def _show_plan(
    run: Run, settings: Settings, steps: Sequence[Step], refused: Sequence[Refusal]
) -> None:
    from bailing_tasks.names import local_name

    run.console.table(
        ("image", "platform", "action", "why"),
        [
            (plan.name, str(plan.recipe.variant.platform), decision.action, decision.reason)
            for plan, decision in steps
        ]
        + [
            (
                local_name(each.variant, settings, run.host),
                str(each.variant.platform),
                each.action,
                each.reason,
            )
            for each in refused
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
