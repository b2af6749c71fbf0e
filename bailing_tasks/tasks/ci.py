"""The tasks of CI: ci-write."""

from __future__ import annotations

from invoke.context import Context

from bailing_tasks.tasks.run import command, current


@command("overwrite", "json", "dry_run", name="ci-write")
def ci_write(
    _context: Context, overwrite: bool = False, json: bool = False, dry_run: bool = False
) -> None:
    """Write the GitHub workflows of the builder and the app from the settings."""
    from bailing_tasks import ci_write as writer

    run = current(json=json, dry_run=dry_run)
    files = writer.planned(run.settings(), overwrite=overwrite)
    for file in files:
        if run.dry_run:
            run.console.say(f"# {file.name} ({file.status})\n{file.text}")
            continue
        writer.write(file)
        done = "unchanged" if file.status == "unchanged" else "written"
        run.console.say(f"{file.name}: {done}")
    result = [{"path": file.name, "status": file.status, "text": file.text} for file in files]
    run.report("ci-write", {"dry_run": run.dry_run, "files": result})
