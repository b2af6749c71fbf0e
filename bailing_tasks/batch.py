"""Builds many images in the order of their needs, as many at a time as fit.

What has to be built goes to BuildKit together: an image of the same run that one is built on is
linked to it, and never leaves BuildKit in between. One that fails leaves out those that need it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bailing_tasks import build
from bailing_tasks.board import Board
from bailing_tasks.build import BuildResult
from bailing_tasks.build_plan import BuildPlan, current_request, plain
from bailing_tasks.build_request import context_names
from bailing_tasks.decision import ASKED_AT_ONCE, PULL, SKIP, TAG, Decision
from bailing_tasks.ended import LEFT_OUT, STOPPED, Ended
from bailing_tasks.engine import baking
from bailing_tasks.engine.baking import Part, PartLog
from bailing_tasks.engine.connect import check_buildx
from bailing_tasks.errors import BuildError, PullError, SettingsError
from bailing_tasks.history import FAILED, INTERRUPTED
from bailing_tasks.log_file import LogFile
from bailing_tasks.names import BUILDER_LABEL, file_name
from bailing_tasks.parallel import beside, in_parallel
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.state import State
from bailing_tasks.variants import Key, Variant

FILE = "bake/{}.json"
TOGETHER = 50
"""How many BuildKit is given at a time; of several hundred it loses some ("no such job")."""
_NOT_IN_PART = re.compile(r"[^a-zA-Z0-9_-]+")

Step = tuple[BuildPlan, Decision]


@dataclass(kw_only=True)
class Batch:
    """Builds the steps of a run on one engine.

    Attributes:
        prefetcher: Knows the engine, and pulls.
        state: Where copies of Dockerfiles, definitions and logs are written.
        board: Shows what is going on.
        tell: Told of each step as it ends.
        jobs: How many are given to BuildKit at a time; 0 for as many as fit.
        no_cache: Let BuildKit not use its cache.
        keep_going: Whether the others go on after a failure.
    """

    prefetcher: Prefetcher
    state: State
    board: Board
    tell: Callable[[Ended], None]
    jobs: int = 0
    no_cache: bool = False
    keep_going: bool = False
    _ended: dict[Key, Ended] = field(default_factory=dict, init=False)
    _names: dict[Key, str] = field(default_factory=dict, init=False)

    def run(self, steps: Iterable[Step]) -> tuple[Ended, ...]:
        """Carry out steps that stand in order; a failure is how a step ended.

        Raises:
            EngineError: There is no buildx, a platform cannot be run, or the engine stopped.
            PullError: A registry would have to be asked, and may not.
        """
        every = list(steps)
        self._skip([step for step in every if step[1].action == SKIP])
        waiting = [step for step in every if not self._settled(*step)]
        together = check_buildx() >= baking.OLDEST_BUILDX if waiting else False
        waiting = self._left([step for step in waiting if self._prepared(step[0])])
        while waiting:
            if together:
                self._bake(self._ready(waiting)[: self.jobs or TOGETHER])
            else:
                self._alone(waiting[0])
            waiting = self._left(waiting)
        return tuple(self._ended.values())

    def _left(self, steps: Sequence[Step]) -> list[Step]:
        """Return the steps that are still to be carried out."""
        left = [step for step in steps if not self._is_over(step[0])]
        if self.keep_going or all(each.result != FAILED for each in self._ended.values()):
            return left
        why = "another one failed before it was done"
        for plan, _ in left:
            self._end(Ended(variant=plan.recipe.variant, result=STOPPED, reason=why))
        return []

    def _ready(self, steps: Sequence[Step]) -> list[Step]:
        """Return the steps that BuildKit can be given together, in their order.

        It knows what is built on what; what the settings say is needed has to be over.
        """
        ready: dict[Key, Step] = {}
        waiting = {plan.recipe.variant.key for plan, _ in steps}
        for step in steps:
            recipe = step[0].recipe
            linked = ready.keys() & {each.base.key for each in recipe.own}
            if not waiting & {need.key for need in recipe.needs} - linked:
                ready[recipe.variant.key] = step
        return list(ready.values())

    def _skip(self, steps: Sequence[Step]) -> None:
        """Carry out the steps whose images are here already."""
        engine = self.prefetcher.engine

        def find(step: Step) -> BuildResult:
            return build.ended(step[0], "skipped", step[1], engine, self.state, time.monotonic())

        found = in_parallel(find, steps, jobs=ASKED_AT_ONCE)
        made = {plan.recipe.variant.key: built for (plan, _), built in found}
        for plan, _ in steps:
            self._end(Ended.made(plan.recipe.variant, made[plan.recipe.variant.key]))

    def _settled(self, plan: BuildPlan, decision: Decision) -> bool:
        """Carry out a step that needs no build."""
        started = time.monotonic()
        if decision.action == TAG:
            self._rename(plan, decision, started)
            return True
        if decision.action == PULL and build.pulled(plan, self.prefetcher):
            self._accepted(plan, decision, "pulled", started)
            return True
        return decision.action == SKIP

    def _prepared(self, plan: BuildPlan) -> bool:
        """Make sure that a build can run; one that lacks a secret or an image has failed."""
        try:
            build.prepare(plan, self.prefetcher, self.state)
        except (SettingsError, PullError) as error:
            self._end(Ended.failed(plan.recipe.variant, error))
            return False
        return True

    def _rename(self, plan: BuildPlan, decision: Decision, started: float) -> None:
        """Give another's image the names that it has here."""
        try:
            build.rename(plan, self.prefetcher.engine)
        except PullError as error:
            self._end(Ended.failed(plan.recipe.variant, error))
            return
        self._accepted(plan, decision, "tagged", started)

    def _is_over(self, plan: BuildPlan) -> bool:
        """Whether a step has ended; one that needs what failed is left out."""
        if plan.recipe.variant.key in self._ended:
            return True
        failed = [
            self._ended[need.key].variant
            for need in plan.recipe.needs
            if need.key in self._ended and not self._ended[need.key].ok
        ]
        if not failed:
            return False
        names = ", ".join(variant.target.name for variant in failed)
        self._end(Ended(variant=plan.recipe.variant, result=LEFT_OUT, reason=f"it needs {names}"))
        return True

    def _bake(self, steps: Sequence[Step]) -> None:
        """Give builds to BuildKit together; no result stays that is not accepted."""
        try:
            self._bake_together(steps)
        finally:
            for plan, _ in steps:
                ended = self._ended.get(plan.recipe.variant.key)
                if not ended or not ended.ok:
                    build.unstage(plan, self.prefetcher.engine)

    def _bake_together(self, steps: Sequence[Step]) -> None:
        """Give builds to BuildKit together, and take in what came of it."""
        parts = self._parts(steps)
        asked = {name: part for name, (part, _) in parts.items()}
        name_of_file = FILE.format(file_name(self.prefetcher.engine.builder))
        definition = json.dumps(baking.definition(asked))
        file = self.state.write(name_of_file, definition, durable=False)
        logs = {name: LogFile(self.state, step[0].log) for name, (_, step) in parts.items()}
        words = _words(steps)
        begun: dict[str, PartLog] = {}
        handed_over: dict[str, PartLog] = {}

        def on_line(log: PartLog, number: int, text: str) -> None:
            begun[log.name] = log
            said = plain(text, words)
            logs[log.name].add(f"#{number} {said}")
            self.board.show(log.name, said)
            if log.ended and not log.error and log.name not in handed_over:
                handed_over[log.name] = log
                look()

        try:
            with self._receiving(steps), beside(lambda: self._take(parts, handed_over)) as look:
                baked = baking.bake(asked, file, on_line)
            if baked.interrupted:
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            for name, part_log in begun.items():
                self._interrupted(*parts[name][1], part_log.seconds)
            raise
        finally:
            self.board.clear()
            for log in logs.values():
                log.flush()
        self._take(parts, baked.logs if baked.ok else handed_over)
        self._blame(parts, baked, logs)

    def _parts(self, steps: Sequence[Step]) -> dict[str, tuple[Part, Step]]:
        """Return the builds by the names that BuildKit tells of them by."""
        names = {plan.recipe.variant.key: self._name(plan.recipe.variant) for plan, _ in steps}
        found = {}
        for plan, decision in steps:
            bases = {
                name: names[each.base.key]
                for each in plan.recipe.own
                if each.base.key in names
                for name in context_names(each.image)
            }
            request = current_request(plan, self.prefetcher.engine, no_cache=self.no_cache)
            if bases:  # which are not what they were when this was planned
                request = replace(request, labels={**request.labels, BUILDER_LABEL: ""})
            part = Part(request=request, bases=bases)
            found[names[plan.recipe.variant.key]] = (part, (plan, decision))
        return found

    @contextlib.contextmanager
    def _receiving(self, steps: Sequence[Step]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for plan, _ in steps:
                stack.enter_context(self.prefetcher.engine.receiving(plan.staged))
            yield

    def _take(
        self, parts: Mapping[str, tuple[Part, Step]], handed_over: Mapping[str, PartLog]
    ) -> None:
        """Accept what BuildKit has made and the engine has, each after what it is built on."""

        def take(name: str) -> bool:
            plan, decision = parts[name][1]
            image = self.prefetcher.engine.image(plan.staged)
            if image is not None:
                self._accept(plan, decision, handed_over[name])
            return image is not None

        def is_ready(name: str) -> bool:
            part, (plan, _) = parts[name]
            below = (parts[base][1][0].recipe.variant.key for base in part.bases.values())
            return plan.recipe.variant.key not in self._ended and all(
                base in self._ended and self._ended[base].ok for base in below
            )

        while ready := list(filter(is_ready, list(handed_over))):
            if not [there for _, there in in_parallel(take, ready, jobs=ASKED_AT_ONCE) if there]:
                return

    def _accept(self, plan: BuildPlan, decision: Decision, log: PartLog) -> None:
        """Let an image that BuildKit has made have its names."""
        engine = self.prefetcher.engine
        try:
            image = build.accept(plan, engine, self.state)
        except BuildError as error:
            self._end(Ended.failed(plan.recipe.variant, error, log.seconds))
            return
        now = time.monotonic()
        made = build.ended(plan, "built", decision, engine, self.state, now, image)
        made = replace(made, steps=len(log.steps), cached=len(log.cached), seconds=log.seconds)
        self._end(Ended.made(plan.recipe.variant, made))

    def _accepted(self, plan: BuildPlan, decision: Decision, result: str, started: float) -> None:
        engine = self.prefetcher.engine
        made = build.ended(plan, result, decision, engine, self.state, started)
        self._end(Ended.made(plan.recipe.variant, made))

    def _blame(
        self,
        parts: Mapping[str, tuple[Part, Step]],
        baked: baking.Baked,
        logs: Mapping[str, LogFile],
    ) -> None:
        """Find out which builds failed by themselves; the others were ended with them.

        Where BuildKit does not say, or has none of it, what is left is built one after the other.
        """
        left = {name for name, (_, step) in parts.items() if not self._is_over(step[0])}
        wrong = baked.failed & left
        blamed = [name for name in wrong if not wrong & set(parts[name][0].bases.values())]
        said = plain(baked.said, _words([step for _, step in parts.values()]))
        for name in sorted(blamed):
            for line in said.splitlines():
                logs[name].add(line)
            self._fail(parts[name][1][0], logs[name], baked.logs[name].seconds)
        if not blamed:
            for _, step in parts.values():
                if not self._is_over(step[0]):
                    self._alone(step)
                    if not self.keep_going and not self._ended[step[0].recipe.variant.key].ok:
                        return

    def _fail(self, plan: BuildPlan, log: LogFile, seconds: float) -> None:
        text = log.text()
        error = build.failed(plan, text, log.path, self.prefetcher.engine)
        if not isinstance(error, BuildError):
            raise error
        self._end(
            Ended.failed(plan.recipe.variant, error, seconds, text.splitlines()[-build.LOG_LINES :])
        )

    def _alone(self, step: Step) -> None:
        plan, decision = step
        started = time.monotonic()
        try:
            made = build.build(
                plan,
                decision,
                prefetcher=self.prefetcher,
                state=self.state,
                no_cache=self.no_cache,
            )
        except BuildError as error:
            self._end(Ended.failed(plan.recipe.variant, error, time.monotonic() - started))
        except KeyboardInterrupt:
            self._interrupted(plan, decision, time.monotonic() - started)
            raise
        else:
            self._end(Ended.made(plan.recipe.variant, made))

    def _interrupted(self, plan: BuildPlan, decision: Decision, seconds: float) -> None:
        """Tell of a build that Ctrl-C ended, unless its image had come before."""
        variant, why = plan.recipe.variant, decision.reason
        if variant.key not in self._ended:
            self._end(Ended(variant=variant, result=INTERRUPTED, reason=why, seconds=seconds))

    def _name(self, variant: Variant) -> str:
        """Return what a build is called in BuildKit's own words, and on the board."""
        if variant.key not in self._names:
            parts = (variant.target.name, variant.platform.short, variant.python)
            name = _NOT_IN_PART.sub("-", "-".join(filter(None, parts)))
            several = (f"{name}-{number}" for number in itertools.count(2))
            taken = set(self._names.values())
            self._names[variant.key] = next(
                each for each in itertools.chain([name], several) if each not in taken
            )
        return self._names[variant.key]

    def _end(self, ended: Ended) -> None:
        self._ended[ended.variant.key] = ended
        self.board.ended(self._name(ended.variant))
        self.tell(ended)


def _words(steps: Iterable[Step]) -> dict[str, str]:
    """Return the words of several builds: what they share is called after one of them."""
    return {ours: theirs for plan, _ in steps for ours, theirs in plan.words.items()}
