"""All rules, and what they find together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bailing_tasks.workflows import (
    patterns,
    rules_order,
    rules_publishing,
    rules_settings,
    rules_triggers,
)
from bailing_tasks.workflows.builds import Finding
from bailing_tasks.workflows.facts import Facts

RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    rules_triggers.not_triggered,
    rules_triggers.triggered_for_nothing,
    rules_triggers.differing,
    patterns.misleading,
    patterns.refused,
    rules_publishing.from_pull_request,
    rules_publishing.latest_from_topic,
    rules_publishing.of_git_tags,
    rules_order.not_waited_for,
    rules_order.shared_cache,
    rules_settings.cannot_build,
    rules_settings.refused,
    rules_settings.otherwise_built,
    rules_settings.otherwise_named,
    rules_settings.on_another_builder,
    rules_settings.platforms,
    rules_settings.settings_triggers,
)


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Return all findings, sorted by file and line; one for each rule and place.

    A step that several events run is found once, but an instruction or pattern each.
    """
    found = sorted({finding for rule in RULES for finding in rule(facts)})
    kept: dict[tuple[str, int, str, str], Finding] = {}
    for finding in found:
        repeats = finding.rule not in rules_triggers.SEVERAL
        key = "" if repeats else finding.message
        kept.setdefault((finding.file, finding.line, finding.rule, key), finding)
    return tuple(kept.values())
