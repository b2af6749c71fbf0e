"""Carries out a planned build, or says why it need not be."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.build_plan import BuildPlan, changed_files, check_secrets
from bailing_tasks.console import Console
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.engine.connect import check_buildx
from bailing_tasks.errors import BuildError, EngineError, PullError
from bailing_tasks.kept import held_name
from bailing_tasks.names import BUILDER_LABEL, LABEL
from bailing_tasks.state import State

LOG_LINES = 30
"""How many of a failed build's last lines are shown on a terminal."""


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What a build step did.

    Attributes:
        target: The target's name.
        platform: The platform.
        python: The Python version.
        image: The local name.
        kept: The name that is never used twice.
        fingerprint: The digest of all inputs.
        result: `built` or `skipped`.
        reason: Why.
        digest: The image's id in the engine.
        size: Its bytes, as the engine counts them.
        seconds: How long it took.
        steps: How many steps of the Dockerfile ran or were cached.
        cached: How many of them came from the build cache.
    """

    target: str
    platform: str
    python: str
    image: str
    kept: str
    fingerprint: str
    result: str
    reason: str
    digest: str
    size: int
    seconds: float
    steps: int = 0
    cached: int = 0


def build(
    plan: BuildPlan,
    *,
    engine: Engine,
    state: State,
    console: Console,
    offline: bool = False,
    force: bool = False,
    no_cache: bool = False,
) -> BuildResult:
    """Carry out a planned build, or skip it where its image is there already.

    Args:
        plan: The build.
        engine: Where it is built.
        state: Where the copy of the Dockerfile and the log are written.
        console: Who is told.
        offline: Whether no registry may be asked.
        force: Build even if nothing changed.
        no_cache: Build, and let BuildKit not use its cache.

    Raises:
        PullError: A registry would have to be asked.
        BuildError: BuildKit failed or refused the build, or a file changed meanwhile.
        EngineError: There is no buildx, the platform cannot be run on this machine, or the engine
            stopped.
    """
    started = time.monotonic()
    variant = plan.recipe.variant
    reason = "forced" if force or no_cache else reason_to_build(plan, engine)
    if reason is None:
        _name(plan, engine)
        reason = f"nothing changed (fingerprint {plan.fingerprint[:16]})"
        console.say(f"{variant}: skipped, {reason}")
        return _result(plan, engine, "skipped", reason, time.monotonic() - started)
    check_buildx()
    check_platform(plan, engine)
    check_secrets(plan)
    _check_images(plan, engine, console, offline=offline)
    _write_copy(plan, state)
    with (
        console.activity(f"building {variant}: {reason}") as show,
        engine.receiving(plan.staged),
    ):
        log = buildx.build(replace(plan.request, no_cache=no_cache), show)
    log_path = state.write(f"logs/{plan.request.dockerfile.stem}.log", log.text + "\n")
    if log.interrupted:
        raise KeyboardInterrupt
    if not log.ok:
        raise _failed(plan, log.text, log_path, engine, console)
    _accept(plan, engine)
    result = _result(plan, engine, "built", reason, time.monotonic() - started)
    console.say(
        f"{variant}: built {plan.name} in {log.seconds:.1f} s, "
        f"{log.cached} of {log.steps} steps from the build cache"
    )
    return replace(result, steps=log.steps, cached=log.cached)


def commands(plan: BuildPlan, engine: Engine, *, force: bool, no_cache: bool) -> tuple[str, ...]:
    """Return what `build` would run, in a form for a shell; empty where it would skip."""
    if not (force or no_cache) and reason_to_build(plan, engine) is None:
        return ()
    request = replace(plan.request, no_cache=no_cache)
    return (
        f"# writes {request.dockerfile}, a copy of {plan.recipe.path} on pins",
        process.quote(request.command()),
        engine.shown("tag", plan.staged, plan.kept),
        engine.shown("tag", plan.staged, plan.name),
        engine.shown("rmi", plan.staged),
    )


def reason_to_build(plan: BuildPlan, engine: Engine) -> str | None:
    """Return why a build is needed; None where its image is there, made from the same inputs."""
    if plan.unpinned:
        return f"{plan.unpinned[0]} is not pinned and may have moved"
    if plan.remote:
        return f"{plan.remote[0]} may have changed"
    found = built_image(plan, engine)
    if found is None:
        return "no image with this fingerprint"
    if plan.recipe.own and found.labels.get(BUILDER_LABEL) != plan.builder_id:
        return "its builder was built anew"
    return None


def built_image(plan: BuildPlan, engine: Engine) -> Image | None:
    """Return the engine's image made from the same inputs; None where there is none."""
    found = engine.image(plan.kept)
    return found if found and found.labels.get(LABEL) == plan.label else None


def check_platform(plan: BuildPlan, engine: Engine) -> None:
    """Make sure that the engine can run what it builds.

    Raises:
        EngineError: There is no emulation for the platform.
    """
    platform = plan.recipe.variant.platform
    if platform == engine.platform:
        return
    known = buildx.platforms(engine.builder)
    if platform not in known:
        raise EngineError(
            f"{platform} cannot be built on this machine",
            cause=f"the engine runs {', '.join(map(str, known))}, and has no emulation for it",
            remedy="install emulation (`apt-get install qemu-user-static binfmt-support`), or "
            f"build on a machine of that architecture; `invoke sandbox-up --platform {platform}` "
            "sets it up for the private engine",
        )


def _check_images(plan: BuildPlan, engine: Engine, console: Console, *, offline: bool) -> None:
    """Warn of images that are not here; a run that may ask no registry ends."""
    absent = [f"{reference} is not prefetched" for reference in plan.unpinned] + [
        f"{pin.reference} for {pin.platform} is pinned, but not here"
        for pin in plan.pins
        if held_name(engine, pin) is None
    ]
    if absent and offline:
        raise PullError(
            f"{plan.recipe.variant} cannot be built: {absent[0]}",
            cause="; ".join([*absent, "--offline forbids asking a registry"]),
            remedy="run `invoke prefetch` without --offline",
        )
    for text in absent:
        console.warn(f"{text}: the build will ask its registry\n`invoke prefetch` brings it")


def _name(plan: BuildPlan, engine: Engine) -> None:
    """Let the name that people use stand for the image, unless it does."""
    named, built = engine.image(plan.name), engine.image(plan.kept)
    if not named or not built or named.id != built.id:
        engine.tag(plan.kept, plan.name)


def _write_copy(plan: BuildPlan, state: State) -> None:
    copy = plan.request.dockerfile.relative_to(state.folder)
    state.write(str(copy), plan.dockerfile)
    state.write(f"{copy}.dockerignore", os.fsencode(plan.ignore))


def _accept(plan: BuildPlan, engine: Engine) -> None:
    """Give an image its names, unless it was not, or not wholly, made from what was planned."""
    try:
        changed = changed_files(plan)
        if changed:
            raise BuildError(
                f"{plan.recipe.variant} is not what was planned",
                cause=f"{len(changed)} files changed while it was built: {', '.join(changed[:5])}",
                remedy="run it again",
            )
        engine.tag(plan.staged, plan.kept)
        engine.tag(plan.staged, plan.name)
    finally:
        engine.untag(plan.staged)


def _result(
    plan: BuildPlan, engine: Engine, result: str, reason: str, seconds: float
) -> BuildResult:
    variant = plan.recipe.variant
    image = engine.image(plan.kept)
    if image is None:
        raise BuildError(
            f"{variant} was built, but the engine does not have it",
            remedy="another program may have removed it; run it again",
        )
    return BuildResult(
        target=variant.target.name,
        platform=str(variant.platform),
        python=variant.python,
        image=plan.name,
        kept=plan.kept,
        fingerprint=plan.fingerprint,
        result=result,
        reason=reason,
        digest=image.id,
        size=image.size,
        seconds=seconds,
    )


def _failed(
    plan: BuildPlan, log: str, log_path: Path, engine: Engine, console: Console
) -> BuildError | EngineError:
    if console.live:
        for line in log.splitlines()[-LOG_LINES:]:
            console.say(line)
    if not engine.answers():
        return EngineError(
            f"the engine stopped while {plan.recipe.variant} was built",
            remedy="start it again, then run the same command: it goes on from here",
        )
    from bailing_tasks.diagnosis import diagnose

    found = diagnose(log, plan.recipe)
    return BuildError(
        f"{plan.recipe.variant} could not be built",
        cause=found.cause,
        remedy="\n  ".join([*found.advice, f"the whole log is in {log_path}"]),
    )
