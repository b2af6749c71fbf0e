"""Bake files, as `docker buildx bake --print` resolves them; no engine is asked."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bailing_tasks import process
from bailing_tasks.engine.connect import check_buildx
from bailing_tasks.errors import EngineError
from bailing_tasks.workflows.actions import INLINE
from bailing_tasks.workflows.contexts import BakeCall
from bailing_tasks.workflows.expressions import UNKNOWN

Targets = Mapping[str, Mapping[str, Any]]


def targets(root: Path, call: BakeCall) -> Targets:
    """Return the targets of a bake by name.

    Args:
        root: The repository's root.
        call: What is asked.

    Raises:
        EngineError: There is no buildx, or it refuses the file.
    """
    known = {name: value for name, value in call.variables.items() if UNKNOWN not in value}
    with tempfile.TemporaryDirectory() as folder:
        argv = [*_buildx(call.place), "bake", "--print"]
        for number, file in enumerate(call.files):
            if file.startswith(INLINE):
                written = Path(folder) / f"{number}.json"
                written.write_text(file, encoding="utf-8")
                argv += ["--file", str(written)]
            else:
                argv += ["--file", file]
        argv += [word for each in call.sets for word in ("--set", each)]
        environment = {**os.environ, **known, "PATH": os.environ.get("PATH", os.defpath)}
        result = process.run([*argv, *call.targets], env=environment, cwd=root / call.folder)
    if not result.ok:
        again = process.quote([*argv, *call.targets])
        said = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise EngineError(
            f"{call.place}: buildx refuses the bake file",
            cause=" ".join(said) or result.stderr.strip(),
            remedy=f"try it in {call.folder or 'the root'}: {again}",
        )
    found: Targets = json.loads(result.stdout).get("target", {})
    return found


def _buildx(place: str) -> list[str]:
    """Return the command that is buildx: Docker's plugin, else the one the sandbox has unpacked."""
    from bailing_tasks.sandbox import buildx

    try:
        check_buildx()
    except EngineError as error:
        own = buildx()
        if own is None:
            message = f"{place} uses a bake file, which only buildx reads: {error.message}"
            raise EngineError(message, cause=error.cause, remedy=error.remedy) from error
        return [str(own)]
    return ["docker", "buildx"]
