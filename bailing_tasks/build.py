"""Carries out a planned build, or says why it need not be."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.build_plan import (
    BuildPlan,
    bases_id,
    changed_files,
    check_secrets,
    current_request,
    plain,
)
from bailing_tasks.console import Console
from bailing_tasks.decision import PULL, SKIP, TAG, Decision
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.engine.connect import check_buildx
from bailing_tasks.errors import BuildError, EngineError, PullError
from bailing_tasks.holding import give_lasting_name
from bailing_tasks.kept import find, held_name, moved_message
from bailing_tasks.made import remember
from bailing_tasks.names import kept_name, published_name
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.published import take
from bailing_tasks.state import Pin, State

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
        builder: The buildx builder of the engine that has it.
        fingerprint: The digest of all inputs.
        result: `built`, `pulled`, `tagged` or `skipped`.
        reason: Why.
        certain: Whether the fingerprint tells all that it was made from.
        digest: The image's id in the engine.
        content: What makes it the same as another, by `image_content`.
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
    builder: str
    fingerprint: str
    result: str
    reason: str
    certain: bool
    digest: str
    content: str
    size: int
    seconds: float
    steps: int = 0
    cached: int = 0


def build(
    plan: BuildPlan,
    decision: Decision,
    *,
    prefetcher: Prefetcher,
    state: State,
    no_cache: bool = False,
) -> BuildResult:
    """Carry out a planned build, as it was decided: skip it, pull its image, or build it.

    An image that cannot be pulled is built.

    Args:
        plan: The build.
        decision: What is done about it.
        prefetcher: Knows the engine, and pulls.
        state: Where the copy of the Dockerfile and the log are written.
        no_cache: Let BuildKit not use its cache.

    Raises:
        PullError: A registry would have to be asked, and may not.
        BuildError: BuildKit failed or refused the build, or a file changed meanwhile.
        EngineError: There is no buildx, the platform cannot be run on this machine, or the engine
            stopped.
    """
    started = time.monotonic()
    console, variant = prefetcher.console, plan.recipe.variant
    if decision.action == SKIP:
        console.say(f"{variant}: skipped, {decision.reason}")
        return ended(plan, "skipped", decision, prefetcher.engine, state, started)
    if decision.action == PULL and pulled(plan, prefetcher):
        console.say(f"{variant}: pulled, {decision.reason}")
        return ended(plan, "pulled", decision, prefetcher.engine, state, started)
    log, image = _built(plan, decision, prefetcher, state, no_cache=no_cache)
    console.say(
        f"{variant}: built {plan.name} in {log.seconds:.1f} s, "
        f"{log.cached} of {log.steps} steps from the build cache"
    )
    result = ended(plan, "built", decision, prefetcher.engine, state, started, image)
    return replace(result, steps=log.steps, cached=log.cached)


def pulled(plan: BuildPlan, prefetcher: Prefetcher) -> bool:
    """Pull the image of a planned build; return whether that went well, and warn if not."""
    try:
        take(plan, prefetcher)
    except PullError as error:
        prefetcher.console.warn(f"{error.message}: it is built instead\n{error.cause}")
        return False
    return True


def _built(
    plan: BuildPlan, decision: Decision, prefetcher: Prefetcher, state: State, *, no_cache: bool
) -> tuple[buildx.BuildLog, Image | None]:
    """Build, and let the image have its names if it is what was planned."""
    engine, console = prefetcher.engine, prefetcher.console
    words = plan.words
    check_buildx()
    prepare(plan, prefetcher, state)
    try:
        with (
            console.activity(f"building {plan.recipe.variant}: {decision.reason}") as show,
            engine.receiving(plan.staged),
        ):
            request = current_request(plan, engine, no_cache=no_cache)
            log = buildx.build(request, lambda line: show(plain(line, words)))
        text = plain(log.text, words)
        log_path = state.write(plan.log, text + "\n", durable=False)
        if log.interrupted:
            raise KeyboardInterrupt
        if not log.ok:
            for line in text.splitlines()[-LOG_LINES:] if console.live else ():
                console.say(line)
            raise failed(plan, text, log_path, engine)
        return log, accept(plan, engine, state)
    except BaseException:
        unstage(plan, engine)
        raise


def prepare(plan: BuildPlan, prefetcher: Prefetcher, state: State) -> None:
    """Make sure that a build can run, and write its copy of the Dockerfile.

    Raises:
        PullError: A registry would have to be asked, and may not.
        EngineError: The platform cannot be run on this machine.
        SettingsError: A build secret is not there.
    """
    engine, console = prefetcher.engine, prefetcher.console
    check_platform(plan, engine)
    check_secrets(plan)
    if plan.unattested:
        console.warn(
            f"{plan.recipe.variant}: built without {plan.unattested}\n"
            "a Docker engine with the classic image store cannot make them; the containerd store "
            "or a BuildKit of its own can"
        )
    _check_images(plan, engine, console, offline=prefetcher.resolver.offline)
    _write_copy(plan, state)


def rename(plan: BuildPlan, engine: Engine) -> None:
    """Let the names of a target that is another's image stand for that.

    Raises:
        PullError: It is not here.
    """
    (pin,) = plan.pins or (None,)
    held = held_name(engine, pin) if pin else None
    if held is None:
        raise PullError(
            f"{plan.recipe.variant.target.from_image} is not here",
            cause=_missing(pin, engine) if pin else "it is not prefetched",
            remedy="`invoke prefetch` brings it, or says why it cannot",
        )
    engine.tag(held, plan.current)
    engine.tag(held, plan.kept)


def commands(
    plan: BuildPlan, decision: Decision, engine: Engine, *, no_cache: bool
) -> tuple[str, ...]:
    """Return what `build` would run, in a form for a shell; empty where it would skip."""
    if decision.action == SKIP:
        return ()
    request = replace(plan.request, no_cache=no_cache)
    why = f"# {plan.recipe.variant}: {decision.reason}"
    if decision.action == PULL:
        name = published_name(plan.recipe.variant.target, plan.fingerprint)
        return (
            why,
            engine.shown("pull", "--platform", str(request.platform), name),
            engine.shown("tag", name, plan.current),
            engine.shown("tag", name, plan.kept),
            engine.shown("tag", name, plan.name),
        )
    if decision.action == TAG:
        upstream = kept_name(*plan.pins[0].key, plan.pins[0].digest) if plan.pins else "(its image)"
        return (
            why,
            engine.shown("tag", upstream, plan.current),
            engine.shown("tag", upstream, plan.kept),
            engine.shown("tag", upstream, plan.name),
        )
    return (
        why,
        f"# writes {request.dockerfile}, a copy of {plan.recipe.path} on pins",
        process.quote(request.command()),
        engine.shown("tag", plan.staged, plan.current),
        engine.shown("tag", plan.staged, plan.kept),
        engine.shown("tag", plan.staged, plan.name),
        engine.shown("rmi", plan.staged),
    )


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
        text for pin in plan.pins if (text := _missing(pin, engine))
    ]
    if absent and offline:
        raise PullError(
            f"{plan.recipe.variant} cannot be built: {absent[0]}",
            cause="; ".join([*absent, "--offline forbids asking a registry"]),
            remedy="run `invoke prefetch` without --offline",
        )
    for text in absent:
        console.warn(f"{text}: the build will ask its registry\n`invoke prefetch` brings it")


def _missing(pin: Pin, engine: Engine) -> str:
    """Return why the image of a pin cannot be taken from the engine; empty where it can."""
    found = find(engine, pin)
    if found.name:
        return ""
    title = f"{pin.reference} for {pin.platform}"
    return moved_message(found.moved, title) if found.moved else f"{title} is pinned, but not here"


def _write_copy(plan: BuildPlan, state: State) -> None:
    copy = plan.request.dockerfile.relative_to(state.folder)
    state.write(str(copy), plan.dockerfile, durable=False)
    state.write(f"{copy}.dockerignore", os.fsencode(plan.ignore), durable=False)


def accept(plan: BuildPlan, engine: Engine, state: State) -> Image | None:
    """Give an image its lasting name, and return it.

    Raises:
        BuildError: It was made from something else than was planned.
    """
    try:
        changed = changed_files(plan, state)
        if changed:
            raise BuildError(
                f"{plan.recipe.variant} is not what was planned",
                cause=f"{len(changed)} files changed while it was built: {', '.join(changed[:5])}",
                remedy="run it again",
            )
        return give_lasting_name(plan, engine, state, plan.staged)
    finally:
        engine.untag(plan.staged)


def unstage(plan: BuildPlan, engine: Engine) -> None:
    """Remove the name of an image that is not accepted, if it came; the engine may have stopped."""
    with contextlib.suppress(EngineError):
        engine.untag(plan.staged)


def ended(
    plan: BuildPlan,
    result: str,
    decision: Decision,
    engine: Engine,
    state: State,
    started: float,
    image: Image | None = None,
) -> BuildResult:
    """Let people's name stand for the image, hold it, and write down what it was made from.

    Args:
        plan: The build.
        result: How it ended: `built`, `pulled`, `tagged` or `skipped`.
        decision: Why.
        engine: What has the image.
        state: Where it is written down.
        started: When, by `time.monotonic()`.
        image: What there is, if known.

    Raises:
        BuildError: The engine does not have it any more.
    """
    variant = plan.recipe.variant
    image = image or engine.image(plan.kept)
    if image is None:
        raise BuildError(
            f"{variant} was {result}, but the engine does not have it",
            remedy="another program may have removed it; run it again",
        )
    # No name stands for a new image yet.
    named = None if result == "built" else engine.image(plan.name)
    if named is None or named.id != image.id:
        engine.tag(image.id, plan.name)
    remember(plan, state, engine, image.id, bases_id(plan.recipe, engine))
    return BuildResult(
        target=variant.target.name,
        platform=str(variant.platform),
        python=variant.python,
        image=plan.name,
        kept=plan.kept,
        builder=engine.builder,
        fingerprint=plan.fingerprint,
        result=result,
        reason=decision.reason,
        certain=decision.certain,
        digest=image.id,
        content=image.content,
        size=image.size,
        seconds=time.monotonic() - started,
    )


def failed(plan: BuildPlan, log: str, log_path: Path, engine: Engine) -> BuildError | EngineError:
    """Return the error for a failed build."""
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
