"""Reports plain names that point to images of other workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.variants import Key


def report_names(run: Run, plans: Sequence[BuildPlan]) -> frozenset[Key]:
    """Warn of plain names that point elsewhere; return the variants that they are for."""
    from bailing_tasks.decision import ASKED_AT_ONCE, points_elsewhere
    from bailing_tasks.parallel import in_parallel

    found = in_parallel(
        lambda plan: points_elsewhere(plan, run.engine_for(plan.recipe.variant.platform)),
        plans,
        jobs=ASKED_AT_ONCE,
    )
    elsewhere = {plan.recipe.variant.key: plan for plan, there in found if there}
    for plan in plans:
        if plan.recipe.variant.key in elsewhere:
            run.console.warn(
                f"{plan.name} points to another image than this workspace's\n"
                "where two workspaces share it, the setting `name` gives one of them other names"
            )
    return frozenset(elsewhere)
