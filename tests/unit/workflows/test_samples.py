"""Events that stand for what starts a workflow."""

from __future__ import annotations

import pytest

from bailing_tasks.workflows import model
from bailing_tasks.workflows.samples import samples

BRANCHES = ("heads/main", "heads/topic", "heads/feature/topic")


@pytest.mark.parametrize(
    ("on", "refs"),
    [
        ("push", [*BRANCHES, "tags/v1.2.3", "tags/v1.2.4"]),
        ("{push: {paths: [a]}}", [*BRANCHES, "tags/v1.2.3", "tags/v1.2.4"]),
        ("{push: {branches: [main]}}", ["heads/main"]),
        ("{push: {branches: ['release/**', dev]}}", ["heads/release/topic", "heads/dev"]),
        ("{push: {branches: ['**', '!topic']}}", ["heads/main", "heads/feature/topic"]),
        ("{push: {branches-ignore: ['feature/**']}}", ["heads/main", "heads/topic"]),
        ("{push: {tags: ['v*']}}", ["tags/v1.2.3", "tags/v1.2.4"]),
        ("{push: {tags: ['*']}}", ["tags/v1.2.3", "tags/v1.2.4"]),
        ("{push: {tags: ['v1.*']}}", ["tags/v1.2.3", "tags/v1.2.4"]),
        ("{push: {tags: ['[0-9]+.[0-9]+.[0-9]+']}}", ["tags/1.2.3", "tags/1.2.4"]),
        ("{push: {tags: ['app-v*', '!x']}}", ["tags/app-v1.2.3", "tags/app-v1.2.4"]),
        ("{push: {tags: ['**/v*']}}", ["tags/v1.2.3", "tags/v1.2.4"]),
        ("{push: {tags: [nightly]}}", ["tags/nightly", "tags/nightly"]),
        ("{push: {tags: ['v?\\*x']}}", ["tags/v*x", "tags/v*x"]),
        ("{push: {tags: ['[x']}}", []),
        ("{push: {tags: ['a+b', '!a*']}}", []),
        ("{push: {tags-ignore: ['v*']}}", ["tags/1.2.3", "tags/1.2.4"]),
        ("pull_request", ["pull/1/merge"]),
        ("pull_request_target", ["heads/main"]),
        ("{pull_request: {branches: ['release/*']}}", ["pull/1/merge"]),
        ("{pull_request: {branches-ignore: ['**']}}", []),
        ("[release, workflow_call]", ["tags/v1.2.3"]),
        ("[workflow_dispatch, schedule]", ["heads/main", "heads/main"]),
    ],
)
def test_events_start_the_workflow(on: str, refs: list[str]) -> None:
    workflow = model.read(f"on: {on}\njobs: {{a: {{x: y}}}}", "w.yml")
    found = [each.event.ref.removeprefix("refs/") for each in samples(workflow, "main")]
    assert found == refs


def test_a_pull_request_is_to_a_branch_that_the_filter_takes() -> None:
    text = "on: {pull_request: {branches: ['release/*']}}\njobs: {a: {x: y}}"
    (found,) = samples(model.read(text, "w.yml"), "main")
    assert found.event.base_branch == "release/topic"
