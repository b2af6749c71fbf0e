"""Checks of what runs, by name, as the tasks share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bailing_tasks.tasks.building import print_commands
from bailing_tasks.tasks.run import Run

if TYPE_CHECKING:
    from bailing_tasks.settings import Settings


def verify_apps(run: Run, settings: Settings) -> None:
    """Check the app images of a run, each check by name.

    Raises:
        UsageError: There is no app.
        VerifyError: One is not what it has to be.
    """
    from dataclasses import asdict

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
    host = run.host
    apps = variants(settings, settings.app, host)
    if run.dry_run:
        names = ", ".join(local_name(variant, settings, host) for variant in apps)
        print_commands(run, "verify", (), f"would check {names}")
        return
    run.hold()
    failed = []
    for variant in apps:
        app = local_name(variant, settings, host)
        builder = local_name(variant.of(settings.builder), settings, host)
        engine = run.engine_for(variant.platform)
        result = verify(
            engine, app, builder, variant, settings=settings.verify, owner=str(run.root)
        )
        with run.console.group(f"verify {app} ({variant.platform}) in {result.seconds:.1f} s"):
            for check in result.checks:
                run.console.say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
        failed += [f"{app}: {check.name}" for check in result.checks if not check.ok]
        if result.ok and (image := engine.image(app)):
            remember(run.state, image.id, settings.verify)
        run.report("verify", {"ok": result.ok, **asdict(result)})
    if failed:
        raise VerifyError(
            f"{len(failed)} checks failed: {', '.join(failed)}",
            remedy="mend the app's Dockerfile, or say what it has to be in "
            "[tool.bailing-tasks.verify]",
        )
