"""Builds one target for one platform and Python, on pinned images, or says why it need not.

A build runs on a copy of the Dockerfile in which each external image is replaced by a name of our
own, bound to its pin: one reference can have two platforms in a build, and no stage of the same
name is shadowed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bailing_tasks import context, diagnosis
from bailing_tasks.console import Console
from bailing_tasks.dockerfile import context_inputs, instructions, pin_images
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.engine import buildx
from bailing_tasks.engine.docker import DockerEngine
from bailing_tasks.errors import BuildError, EngineError, SettingsError
from bailing_tasks.fingerprint import Inputs, fingerprint
from bailing_tasks.names import (
    BUILDER_LABEL,
    LABEL,
    fingerprint_label,
    fingerprint_name,
    local_name,
    pin_name,
)
from bailing_tasks.recipes import Recipe, image_key
from bailing_tasks.settings import Settings
from bailing_tasks.state import Pin, State

LOG_LINES = 30
"""How many of a failed build's last lines are shown."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """One build, ready to run.

    Attributes:
        recipe: What is built.
        request: What BuildKit is asked.
        dockerfile: The rewritten copy, to be written to `request.dockerfile`.
        ignore: The ignore file that goes along with the copy, if there is one.
        fingerprint: The digest of all inputs, 64 hex digits.
        name: The name people use.
        unpinned: The external images that have no pin: a registry will be asked for them.
    """

    recipe: Recipe
    request: buildx.BuildRequest
    dockerfile: str | bytes
    ignore: Path | None
    fingerprint: str
    name: str
    unpinned: tuple[str, ...]

    @property
    def kept(self) -> str:
        """The name that is never used twice."""
        return fingerprint_name(self.recipe.variant.target, self.fingerprint)


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


def plan_build(
    settings: Settings,
    recipe: Recipe,
    pins: Mapping[tuple[str, str], Pin],
    engine: DockerEngine,
    state: State,
) -> BuildPlan:
    """Work out the build of a recipe; reads files, writes none.

    Args:
        settings: The workspace's settings.
        recipe: What is to be built.
        pins: What the external images are bound to.
        engine: Where it will be built.
        state: Where the copy of the Dockerfile will be.

    Raises:
        DockerfileError: The context cannot be read.
        SettingsError: The context or a secret is not there.
    """
    target, platform = recipe.variant.target, recipe.variant.platform
    context_folder = settings.root / target.context
    if not context_folder.is_dir():
        raise SettingsError(
            f"the build context {target.context!r} of {target.name} is no folder",
            remedy=f"name another one: {target.name}.context in [tool.bailing-tasks]",
        )
    digest = fingerprint(_inputs(recipe, pins, context_folder))
    bound = {
        image_key(image): f"docker-image://{pins[image_key(image)].image}"
        for image in recipe.images
        if image_key(image) in pins
    } | {image_key(image): f"docker-image://{recipe.builder}" for image in recipe.own}
    name = local_name(target, settings, platform, recipe.variant.python, engine.platform)
    copy = state.folder / "dockerfiles" / f"{name.replace(':', '-').replace('/', '-')}.Dockerfile"
    return BuildPlan(
        recipe=recipe,
        dockerfile=pin_images(
            recipe.text, {key: pin_name(*key) for key in bound}, **recipe.selection
        ),
        ignore=context.ignore_file(recipe.path, context_folder),
        fingerprint=digest,
        name=name,
        unpinned=tuple(str(i.reference) for i in recipe.images if image_key(i) not in bound),
        request=buildx.BuildRequest(
            builder=engine.builder,
            dockerfile=copy,
            context=context_folder,
            stage=target.stage,
            platform=platform,
            build_args=recipe.build_args,
            build_contexts={pin_name(*key): source for key, source in bound.items()},
            secrets=_secrets(settings, recipe),
            labels=_labels(recipe, digest),
            tags=(name, fingerprint_name(target, digest)),
        ),
    )


def build(
    plan: BuildPlan, *, engine: DockerEngine, state: State, console: Console, force: bool
) -> BuildResult:
    """Carry out a planned build, or skip it where its image is there already.

    Raises:
        BuildError: BuildKit failed or refused the build.
        EngineError: The platform cannot be run on this machine.
    """
    started = time.monotonic()
    variant = plan.recipe.variant
    if not force and is_built(plan, engine):
        engine.tag(plan.kept, plan.name)
        reason = f"nothing changed (fingerprint {plan.fingerprint[:16]})"
        console.say(f"{variant}: skipped, {reason}")
        return _result(plan, engine, "skipped", reason, time.monotonic() - started)
    check_platform(plan, engine)
    for reference in plan.unpinned:
        console.warn(f"{reference} is not prefetched: the build will ask its registry")
    _write_copy(plan, state)
    reason = "forced" if force else "no image with this fingerprint"
    with console.activity(f"building {variant}: {reason}") as show:
        log = buildx.build(plan.request, show)
    log_path = state.write(f"logs/{plan.request.dockerfile.stem}.log", log.text + "\n")
    if not log.ok:
        raise _failed(plan, log.text, log_path, console)
    result = _result(plan, engine, "built", reason, time.monotonic() - started)
    result = replace(result, steps=log.steps, cached=log.cached)
    console.say(
        f"{variant}: built {plan.name} in {log.seconds:.1f} s, "
        f"{log.cached} of {log.steps} steps from the build cache"
    )
    return result


def is_built(plan: BuildPlan, engine: DockerEngine) -> bool:
    """Whether the engine has an image made from the same inputs."""
    found = engine.image(plan.kept)
    variant = plan.recipe.variant
    label = fingerprint_label(variant.target, variant.platform, plan.fingerprint)
    return found is not None and found.labels.get(LABEL) == label


def check_platform(plan: BuildPlan, engine: DockerEngine) -> None:
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


def _inputs(recipe: Recipe, pins: Mapping[tuple[str, str], Pin], folder: Path) -> Inputs:
    ignore_path = context.ignore_file(recipe.path, folder)
    ignore = DockerIgnore.parse(ignore_path.read_text() if ignore_path else "")
    patterns = [found.pattern for found in context_inputs(recipe.text, **recipe.selection)]
    return Inputs(
        instructions=instructions(recipe.text, **recipe.selection),
        build_args=recipe.build_args,
        images={
            " ".join(image_key(image)): pins[image_key(image)].digest
            if image_key(image) in pins
            else ""
            for image in recipe.images
        }
        | {" ".join(image_key(image)): recipe.builder for image in recipe.own},
        platform=str(recipe.variant.platform),
        files={
            path: context.digest(folder, path) for path in context.files(folder, ignore, patterns)
        },
    )


def _labels(recipe: Recipe, digest: str) -> dict[str, str]:
    target, platform = recipe.variant.target, recipe.variant.platform
    labels = {LABEL: fingerprint_label(target, platform, digest)}
    return labels | ({BUILDER_LABEL: recipe.builder} if recipe.own else {})


def _secrets(settings: Settings, recipe: Recipe) -> dict[str, str]:
    """Return the secrets of a target, files by their whole path."""
    found = {}
    for name, place in recipe.variant.target.secrets.items():
        if place.startswith("env:"):
            found[name] = place
            continue
        path = settings.root / Path(place).expanduser()
        if not path.is_file():
            raise SettingsError(
                f"the file of the build secret {name!r} is not there: {path}",
                remedy=f"write it, or change {recipe.variant.target.name}.secrets in "
                "[tool.bailing-tasks]",
            )
        found[name] = str(path)
    return found


def _write_copy(plan: BuildPlan, state: State) -> None:
    copy = plan.request.dockerfile.relative_to(state.folder)
    state.write(str(copy), plan.dockerfile)
    ignore = plan.ignore.read_bytes() if plan.ignore else b""
    state.write(f"{copy}.dockerignore", ignore)


def _result(
    plan: BuildPlan, engine: DockerEngine, result: str, reason: str, seconds: float
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


def _failed(plan: BuildPlan, log: str, log_path: Path, console: Console) -> BuildError:
    if console.live:
        for line in log.splitlines()[-LOG_LINES:]:
            console.say(line)
    found = diagnosis.diagnose(log, plan.recipe)
    return BuildError(
        f"{plan.recipe.variant} could not be built",
        cause=found.cause,
        remedy="\n  ".join([*found.advice, f"the whole log is in {log_path}"]),
    )
