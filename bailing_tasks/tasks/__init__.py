"""The Invoke tasks: `from bailing_tasks import namespace` in a tasks.py has all of them.

What stands here is imported at `invoke --list`, which must feel instant: tasks import what they
need when they run.
"""

from __future__ import annotations

from invoke.collection import Collection

from bailing_tasks.tasks import (
    bundling,
    ci,
    events,
    keeping,
    looking,
    mirroring,
    pipeline,
    planning,
    preparing,
    release,
    sandbox,
    services,
)

namespace = Collection()
for _task in (
    pipeline.prefetch,
    pipeline.lock,
    pipeline.build_builder,
    pipeline.build_app,
    pipeline.verify,
    services.services,
    services.build_service,
    services.build_all,
    services.status,
    planning.plan,
    preparing.configure,
    preparing.render,
    looking.images,
    looking.settings,
    keeping.history,
    keeping.clean,
    events.changed,
    events.tags,
    release.push_builder,
    release.push_app,
    release.push,
    release.release_status,
    release.rollback,
    mirroring.mirror_push,
    mirroring.pull_all,
    ci.ci_write,
    ci.ci_run,
    ci.ci_check,
    bundling.bundle_save,
    bundling.bundle_load,
    sandbox.sandbox_up,
    sandbox.sandbox_down,
    sandbox.sandbox_status,
):
    namespace.add_task(_task)
