"""The tasks of the sandbox: a private engine, registry and stand-in base images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from bailing_tasks.tasks.command import command
from bailing_tasks.tasks.run import Run, current

if TYPE_CHECKING:
    from bailing_tasks.sandbox import SandboxStatus


@command("platform", "python", "store", "json", "dry_run", name="sandbox-up")
def sandbox_up(
    _context: Context,
    platform: list[str],
    python: list[str],
    store: str = "containerd",
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Start the private engine and registry, with stand-ins for the workspace's images."""
    from bailing_tasks import sandbox
    from bailing_tasks.needs import standin_needs

    run = current(json=json, dry_run=dry_run)
    settings = run.settings(platform, python)
    references, platforms = standin_needs(settings)
    if run.dry_run:
        lines = sandbox.planned(references, platforms, store)
        for line in lines or ["# nothing to do: it is up"]:
            run.console.say(line)
        run.report("sandbox-up", {"dry_run": True, "steps": lines})
        return
    status = sandbox.up(
        references=references, platforms=platforms, store=store, report=run.console.say
    )
    environment = sandbox.environment(status, store)
    _show(run, status)
    run.console.say("to use it in this shell:")
    for name, value in environment.items():
        run.console.say(f"  export {name}={_quoted(value)}")
    run.report("sandbox-up", {**_plain(status), "environment": environment})


@command("purge", "json", "dry_run", name="sandbox-down")
def sandbox_down(
    _context: Context, purge: bool = False, json: bool = False, dry_run: bool = False
) -> None:
    """Stop the private engine and registry; what they hold stays, unless --purge."""
    from dataclasses import asdict

    from bailing_tasks import sandbox

    run = current(json=json, dry_run=dry_run)
    if run.dry_run:
        status = sandbox.status()
        lines = [
            f"stop the {engine.store} engine (pid {engine.pid})"
            for engine in status.engines
            if engine.running
        ]
        if status.registry.running:
            lines.append(f"stop the registry (pid {status.registry.pid})")
        if purge:
            lines.append(f"remove {status.home}")
        for line in lines or ["# nothing to do: it is down"]:
            run.console.say(line)
        run.report("sandbox-down", {"dry_run": True, "steps": lines})
        return
    result = sandbox.down(purge=purge, report=run.console.say)
    if not result.stopped and not result.removed:
        run.console.say("the sandbox was down already")
    run.report("sandbox-down", asdict(result))


@command("json", name="sandbox-status")
def sandbox_status(_context: Context, json: bool = False) -> None:
    """Show the private engine, its registry and the stand-ins it holds."""
    from bailing_tasks import sandbox

    run = current(json=json)
    status = sandbox.status()
    _show(run, status)
    run.report("sandbox-status", _plain(status))


def _show(run: Run, status: SandboxStatus) -> None:
    for engine in status.engines:
        state = f"runs (pid {engine.pid}) at {engine.socket}" if engine.running else "is stopped"
        run.console.say(f"engine ({engine.store} store) {state}")
    registry = status.registry
    if registry.running:
        run.console.say(
            f"registry runs (pid {registry.pid}) at {registry.address}, "
            f"access log {registry.access_log}"
        )
    else:
        run.console.say("registry is stopped; `invoke sandbox-up` starts it")
    if status.images:
        rows = [(image.reference, ", ".join(image.platforms)) for image in status.images]
        run.console.table(("stand-in", "platforms"), rows)


def _plain(status: SandboxStatus) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(status)


def _quoted(value: str) -> str:
    from bailing_tasks import process

    return process.quote([value])
