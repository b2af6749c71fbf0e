"""Checks of what runs, by name, as the tasks share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailing_tasks.tasks.building import print_commands
from bailing_tasks.tasks.pointing import report_names
from bailing_tasks.tasks.refusing import plans_of
from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from bailing_tasks.build_plan import BuildPlan
    from bailing_tasks.engine.base import Engine
    from bailing_tasks.settings import Settings
    from bailing_tasks.variants import Key


def verify_apps(run: Run, settings: Settings) -> None:
    """Check the app images of a run, each check by name.

    Raises:
        UsageError: There is no app.
        VerifyError: One is not here, or not what it has to be.
    """
    from dataclasses import asdict

    from bailing_tasks.decision import workspace_image
    from bailing_tasks.errors import UsageError, VerifyError
    from bailing_tasks.names import local_name
    from bailing_tasks.variants import variants
    from bailing_tasks.verified import remember
    from bailing_tasks.verify import verify

    if settings.app not in settings.pair:
        raise UsageError(
            "there is no app to verify, only services",
            remedy="name its Dockerfile: app.dockerfile in [tool.bailing-tasks]",
        )
    apps = variants(settings, settings.app, run.host)
    if run.dry_run:
        names = ", ".join(local_name(variant, settings, run.host) for variant in apps)
        print_commands(run, "verify", (), f"would check {names}")
        return
    run.hold()
    plans = _plans(run, settings)
    failed = []
    for variant in apps:
        plan, engine = plans[variant.key], run.engine_for(variant.platform)
        app = _image(run, plan, engine)
        below = plans.get(variant.of(settings.builder).key)
        builder = workspace_image(below, engine) if below else None
        result = verify(
            engine,
            app,
            builder or "",
            variant,
            settings=settings.verify,
            owner=run.state.workspace,
        )
        with run.console.group(
            f"verify {plan.name} ({variant.platform}) in {result.seconds:.1f} s"
        ):
            for check in result.checks:
                run.console.say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
        failed += [f"{plan.name}: {check.name}" for check in result.checks if not check.ok]
        if result.ok and (image := engine.image(app)):
            remember(run.state, image.id, settings.verify)
        document = {**asdict(result), "image": plan.name, "kept": app}
        run.report("verify", {"ok": result.ok, **document})
    if failed:
        raise VerifyError(
            f"{len(failed)} checks failed: {', '.join(failed)}",
            remedy="mend the app's Dockerfile, or say what it has to be in "
            "[tool.bailing-tasks.verify]",
        )


def _plans(run: Run, settings: Settings) -> dict[Key, BuildPlan]:
    """Return how app and builder are built; no registry is asked.

    Raises:
        BailingError: One cannot be built because of its files.
    """
    from bailing_tasks.refusals import checked

    targets = [target for target in run.targets(settings) if target in settings.pair]
    readings = run.in_order(settings, run.recipes(settings, *targets))
    plans = checked(plans_of(run, settings, readings))
    return {plan.recipe.variant.key: plan for plan in plans}


def _image(run: Run, plan: BuildPlan, engine: Engine) -> str:
    """Return the name of the image to check: this run's, else this workspace's.

    Raises:
        VerifyError: There is none.
    """
    from bailing_tasks.decision import workspace_image
    from bailing_tasks.errors import VerifyError

    variant = plan.recipe.variant
    name = run.images.get(variant.key) or workspace_image(plan, engine)
    report_names(run, [plan])
    if name is None:
        raise VerifyError(
            f"there is no image of {variant}",
            cause=f"{plan.kept} is not here",
            remedy="run `invoke build-app` first",
        )
    if name == plan.current:
        run.console.warn(
            f"{variant} was made from other inputs than are here now\n"
            "`invoke build-app` builds it from these"
        )
    return name
