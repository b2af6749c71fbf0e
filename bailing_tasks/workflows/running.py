"""What a workflow does for an event: its jobs followed, step by step. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bailing_tasks.events import Event
from bailing_tasks.workflows import actions, fields, invocations, scripts
from bailing_tasks.workflows.builds import Build, Run, joined
from bailing_tasks.workflows.contexts import (
    Surroundings,
    github,
    matrix,
    plain,
    shell_variables,
)
from bailing_tasks.workflows.expressions import (
    UNKNOWN,
    Open,
    Truth,
    both,
    condition,
    interpolate,
    truth,
)
from bailing_tasks.workflows.model import PULL_REQUESTS, Job, Workflow
from bailing_tasks.workflows.nodes import Node

LOCAL = "./"
_OTHER_SHELLS = ("python", "pwsh", "powershell", "cmd")
"""Shells whose scripts are not followed."""

_MAX_DEPTH = 4
"""How deep GitHub lets workflows call each other."""


def run(workflow: Workflow, event: Event, around: Surroundings) -> Run:
    """Follow a workflow for an event.

    Raises:
        UsageError: A step is of another shape.
        EngineError: A bake file cannot be read.
    """
    inputs: Mapping[str, Any] = Open() if event.name == "workflow_dispatch" else {}
    found = _jobs(workflow, event, around, inputs, _MAX_DEPTH)
    return Run(workflow, event, tuple(found))


def _jobs(
    workflow: Workflow,
    event: Event,
    around: Surroundings,
    inputs: Mapping[str, Any],
    depth: int,
) -> Iterator[Build]:
    contexts: dict[str, Any] = {
        "github": github(event, around),
        "inputs": inputs,
        "env": {},
    }
    contexts["env"] = _env(workflow.details, contexts)
    for job in workflow.jobs.values():
        if condition(job.details.get("if").value, contexts) is False:
            continue
        strategy = job.details.get("strategy")
        for combination in matrix(strategy.get("matrix"), contexts):
            within = {**contexts, "matrix": combination}
            called = job.details.get("uses").value
            if called:
                yield from _called(called, job, event, around, within, depth)
            else:
                yield from joined(_Follower(workflow, job, event, around, within).follow())


def _called(
    called: str,
    job: Job,
    event: Event,
    around: Surroundings,
    contexts: Mapping[str, Any],
    depth: int,
) -> Iterator[Build]:
    """Follow a workflow of the same repository that a job calls; its builds are that job's."""
    workflow = around.workflows.get(called.removeprefix(LOCAL))
    if workflow is None or not depth:
        return
    runs = condition(job.details.get("if").value, contexts)
    declared = workflow.details.get("on").get("workflow_call").get("inputs").items
    inputs = {name: plain(node.get("default"), contexts) for name, node in declared.items()}
    inputs |= {name: plain(node, contexts) for name, node in job.details.get("with").items.items()}
    for build in _jobs(workflow, event, around, inputs, depth - 1):
        yield replace(build, job=job.name, runs=both(runs, build.runs))


def _env(holder: Node, contexts: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment with what a workflow, job or step adds."""
    node = holder.get("env")
    if node.text:
        return Open(contexts["env"])
    added = {key: interpolate(each.value, contexts) for key, each in node.items.items()}
    return _more(contexts["env"], added)


def _more(env: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with more; what was not all known still is not."""
    found = {**env, **added}
    return Open(found) if isinstance(env, Open) else found


@dataclass
class _Follower:
    """Follows the steps of one job, for one combination of its matrix."""

    workflow: Workflow
    job: Job
    event: Event
    around: Surroundings
    contexts: Mapping[str, Any]
    steps: dict[str, Any] = field(default_factory=Open)
    found: list[Build] = field(default_factory=list)

    def follow(self) -> list[Build]:
        details = self.job.details
        runs = condition(details.get("if").value, self.contexts)
        self.contexts = {
            **self.contexts,
            "env": _env(details, self.contexts),
            "steps": self.steps,
        }
        for number, step in enumerate(self.job.steps):
            within = {**self.contexts, "env": _env(step, self.contexts)}
            here = both(runs, condition(step.get("if").value, within))
            if here is False:
                self._skipped(step)
                continue
            self._step(number, step, within, here)
        return self.found

    def _skipped(self, step: Node) -> None:
        if name := step.get("id").value:
            self.steps[name] = {"outputs": {}, "outcome": "skipped", "conclusion": "skipped"}

    def _step(self, number: int, step: Node, contexts: Mapping[str, Any], runs: Truth) -> None:
        base = Build(
            path=self.workflow.path,
            job=self.job.name,
            step=number,
            line=(step.get("run") or step.get("uses")).line,
            runs=runs,
            platforms=(_runner_platform(self.job.details, contexts),),
        )
        if step.get("shell").value.startswith(_OTHER_SHELLS):
            self._outputs(step, Open())
        elif step.get("run"):
            self._script(step, base, contexts)
        elif step.get("uses"):
            use = actions.Use(step, base, contexts, self.event, self.around)
            builds, outputs = actions.use(use)
            self.found += builds
            self._outputs(step, outputs)

    def _script(self, step: Node, base: Build, contexts: Mapping[str, Any]) -> None:
        folder = self._folder(step, contexts)
        node = step.get("run")
        text = "\n".join(
            interpolate(line, contexts).replace("\n", " ") for line in node.value.split("\n")
        )
        script = scripts.run(text, shell_variables(contexts, folder), node.first)
        for command in script.commands:
            here = replace(base, line=command.line, runs=both(base.runs, command.runs))
            if here.runs is False:
                continue
            pulled = self.event.name in PULL_REQUESTS
            call = invocations.Call(
                command.argv, here, folder, script.variables, self.around, pulled
            )
            self.found = invocations.after(self.found, call)
        self._outputs(step, Open(script.written.get("GITHUB_OUTPUT", {})))
        if exported := script.written.get("GITHUB_ENV"):
            env = _more(self.contexts["env"], exported)
            self.contexts = {**self.contexts, "env": env}

    def _folder(self, step: Node, contexts: Mapping[str, Any]) -> str:
        holders = (step, *(each.get("defaults").get("run") for each in self._holders()))
        named = (each.get("working-directory").value for each in holders)
        return fields.inside("", interpolate(next(filter(None, named), ""), contexts))

    def _holders(self) -> tuple[Node, Node]:
        return (self.job.details, self.workflow.details)

    def _outputs(self, step: Node, outputs: Mapping[str, Any]) -> None:
        if name := step.get("id").value:
            self.steps[name] = Open(outputs=outputs)


def _runner_platform(details: Node, contexts: Mapping[str, Any]) -> str:
    """Return the platform of the machine that a job runs on, by the name it is asked for."""
    labels = [interpolate(each.value, contexts) for each in details.get("runs-on").each]
    text = " ".join(labels).lower()
    if UNKNOWN in text or not truth(text):
        return UNKNOWN
    if "arm" in text:
        return "linux/arm64"
    return "linux/amd64" if "ubuntu" in text or "x64" in text else UNKNOWN
