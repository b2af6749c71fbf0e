"""Works out one build: what it is made from, what BuildKit is asked, and whether it is needed.

A build runs on a copy of the Dockerfile in which each external image is replaced by a name of our
own, bound to its pin: one reference can have two platforms in a build, and no stage of the same
name is shadowed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bailing_tasks import context
from bailing_tasks.build_request import Pins, contexts, own_sources, request, sources
from bailing_tasks.digests import Digests
from bailing_tasks.dockerfile import (
    context_inputs,
    instructions,
    labels,
    pin_images,
    remote_inputs,
)
from bailing_tasks.dockerfile.dockerignore import DockerIgnore
from bailing_tasks.engine import buildx
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import SettingsError
from bailing_tasks.fingerprint import Inputs, fingerprint
from bailing_tasks.names import (
    BUILDER_LABEL,
    LABEL,
    current_name,
    file_name,
    fingerprint_label,
    fingerprint_name,
    local_name,
    pin_name,
    staging_name,
)
from bailing_tasks.origin import EPOCH, Origin
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe, image_key
from bailing_tasks.settings import Settings
from bailing_tasks.state import Pin, State

BUILD_PLATFORM = re.compile(r"\bBUILD(?:PLATFORM|OS|ARCH|VARIANT)\b")
"""BuildKit's arguments for the machine that builds: an image may differ with it."""

_WORD = re.compile(r"\bpin-[0-9a-f]{16}\b|[\w.+@%=~-]+\.Dockerfile\b")
DECLARED = re.compile(rf"ARG\b.*\b{EPOCH}\b")
"""An instruction that lets others of its stage read the time of the commit."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """One build, ready to run.

    Attributes:
        recipe: What is built.
        request: What BuildKit is asked.
        dockerfile: The rewritten copy, to be written to `request.dockerfile`.
        ignore: The ignore file that goes along with the copy.
        inputs: What it is made from.
        fingerprint: The digest of that, 64 hex digits.
        name: The name people use.
        current: The name by which this workspace holds the image, once it uses it.
        staged: The name while it is not known whether the image is what was planned.
        pins: What the external images are bound to.
        unpinned: The external images that have no pin: a registry will be asked for them.
        remote: URLs and Git repositories that are added, and may have changed.
        unattested: What the settings ask for and the engine cannot say of an image; empty for none.
        bases_id: Names and contents of the workspace's images that it is built on, where all are
            here.
    """

    recipe: Recipe
    request: buildx.BuildRequest
    dockerfile: str | bytes
    ignore: str
    inputs: Inputs
    fingerprint: str
    name: str
    current: str
    staged: str
    pins: tuple[Pin, ...]
    unpinned: tuple[str, ...]
    remote: tuple[str, ...]
    unattested: str
    bases_id: str

    @property
    def kept(self) -> str:
        """The name that is made from the fingerprint."""
        return fingerprint_name(self.recipe.variant.target, self.fingerprint)

    @property
    def log(self) -> str:
        """Where the log of its last build is, in the state."""
        return f"logs/{self.request.dockerfile.stem}.log"

    @property
    def words(self) -> dict[str, str]:
        """What BuildKit calls the copy and the images in it, and what people do."""
        images = (*self.recipe.images, *(each.image for each in self.recipe.own))
        names = {pin_name(*image_key(image)): image.reference.familiar for image in images}
        return {self.request.dockerfile.name: self.recipe.variant.target.dockerfile, **names}

    @property
    def label(self) -> str:
        """What the image's label says if it was made from these inputs."""
        variant = self.recipe.variant
        return fingerprint_label(variant.target, variant.platform, self.fingerprint)


def plan_build(
    settings: Settings,
    recipe: Recipe,
    pins: Pins,
    engine: Engine,
    state: State,
    *,
    host: Platform,
    origin: Origin,
) -> BuildPlan:
    """Work out the build of a recipe; reads files, writes none.

    Args:
        settings: The workspace's settings.
        recipe: What is to be built.
        pins: What the external images are bound to.
        engine: Where it will be built.
        state: Where the copy of the Dockerfile will be.
        host: The platform whose images have the plain names.
        origin: Where what is built comes from. It counts for nothing in the fingerprint.

    Raises:
        DockerfileError: The context cannot be read.
    """
    recipe = _suited(recipe, engine, origin)
    variant = recipe.variant
    target = variant.target
    folder = settings.root / target.context
    ignore = _ignore(recipe, folder, state)
    inputs = read_inputs(settings, recipe, pins, state)
    digest = fingerprint(inputs)
    found = sources(recipe, pins, engine)
    id_of_bases = bases_id(recipe, engine)
    staged = staging_name(target, state.workspace, secrets.token_hex(8))
    return BuildPlan(
        recipe=recipe,
        dockerfile=pin_images(
            recipe.text, {key: pin_name(*key) for key in found}, **recipe.selection
        ),
        ignore=ignore,
        inputs=inputs,
        fingerprint=digest,
        name=local_name(variant, settings, host),
        current=current_name(variant, state.workspace),
        staged=staged,
        pins=tuple(pins[image_key(image)] for image in recipe.external if image_key(image) in pins),
        unpinned=tuple(
            image.reference.familiar for image in recipe.external if image_key(image) not in pins
        ),
        remote=tuple(each.pattern for each in remote_inputs(recipe.text, **recipe.selection)),
        unattested="" if engine.attests else _asked_for(settings),
        bases_id=id_of_bases,
        request=request(
            settings,
            recipe,
            pins,
            engine,
            sources=found,
            dockerfile=state.folder / "dockerfiles" / f"{file_name(*variant.key)}.Dockerfile",
            labels=_labels(settings, recipe, origin, inputs, digest, id_of_bases),
            staged=staged,
            epoch=origin.epoch,
        ),
    )


def _suited(recipe: Recipe, engine: Engine, origin: Origin) -> Recipe:
    """Return a recipe as an engine can build it, on the time of the commit where it reads that.

    BuildKit writes the time into the image in any case. What an instruction may read is an input.
    """
    recipe = recipe if engine.attests else replace(recipe, scanner=None)
    if EPOCH in recipe.build_args or not origin.epoch:
        return recipe
    if any(DECLARED.match(text) for text in instructions(recipe.text, **recipe.selection)):
        return replace(recipe, build_args={**recipe.build_args, EPOCH: origin.epoch})
    return recipe


def _labels(
    settings: Settings, recipe: Recipe, origin: Origin, inputs: Inputs, digest: str, bases_id: str
) -> dict[str, str]:
    """Return the labels of an image, which count for nothing in its fingerprint."""
    target, platform = recipe.variant.target, recipe.variant.platform
    folder = settings.root / target.context
    files = {recipe.path, *(folder / path for path in inputs.files)}
    return {
        **origin.labels(settings, labels(recipe.text, **recipe.selection), files),
        # Without all of its inputs, it is not what the fingerprint says.
        LABEL: fingerprint_label(target, platform, "0" * 64 if recipe.unknown else digest),
        # What a service is built on may come in the same run, and is not known yet.
        **({BUILDER_LABEL: bases_id if target.per_python else ""} if recipe.own else {}),
    }


def plain(text: str, words: Mapping[str, str]) -> str:
    """Return what BuildKit says of copies in the `words` of the Dockerfiles themselves."""
    return _WORD.sub(lambda match: words.get(match[0], match[0]), text)


def current_request(plan: BuildPlan, engine: Engine, *, no_cache: bool) -> buildx.BuildRequest:
    """Return what BuildKit is asked now: what the build is on may have come since it was planned.

    Args:
        plan: The build.
        engine: Where it is built.
        no_cache: Let BuildKit not use its cache.
    """
    own = contexts(plan.recipe, own_sources(plan.recipe, engine))
    found = {**plan.request.build_contexts, **own}
    return replace(plan.request, build_contexts=found, no_cache=no_cache)


def bases_id(recipe: Recipe, engine: Engine) -> str:
    """Return names and contents of the images that stand for `own`; empty where one is not here."""
    names = sorted({recipe.bases.get(each.base.key, "") for each in recipe.own})
    found = [(name, engine.image(name)) for name in names if name]
    if len(found) < len(names):
        return ""
    known = [f"{name}@{image.content}" for name, image in found if image]
    return " ".join(known) if len(known) == len(names) else ""


def _asked_for(settings: Settings) -> str:
    wanted = settings.provenance != "none" and not settings.is_default("provenance")
    asked = (("provenance", wanted), ("an SBOM", settings.sbom))
    return " and ".join(word for word, is_asked in asked if is_asked)


def changed_files(plan: BuildPlan, state: State) -> tuple[str, ...]:
    """Return the context files that are not what they were when the build was planned."""
    digests = _digests(plan.recipe, state)
    now = _files(plan.recipe, plan.request.context, plan.ignore, digests)
    before = plan.inputs.files
    return tuple(sorted(path for path in {*now, *before} if now.get(path) != before.get(path)))


def _digests(recipe: Recipe, state: State) -> Digests:
    return Digests(state, recipe.variant.target.name)


def read_inputs(settings: Settings, recipe: Recipe, pins: Pins, state: State) -> Inputs:
    """Return what a build of a recipe is made from; no engine is asked.

    Raises:
        DockerfileError: The context cannot be read.
    """
    folder = settings.root / recipe.variant.target.context
    keys = {image_key(image) for image in recipe.external}
    images = {" ".join(key): pins[key].digest if key in pins else "" for key in keys}
    arguments = dict(recipe.build_args)
    for each in recipe.own:
        base = each.base
        images[f"{base.target.name} {base.platform}"] = recipe.bases.get(base.key, "")
        if base.target.per_python:
            arguments.pop(recipe.variant.target.builder_arg, None)
    reached = instructions(recipe.text, **recipe.selection)
    on_builder = any(BUILD_PLATFORM.search(text) for text in reached)
    return Inputs(
        instructions=reached,
        build_args=arguments,
        images=images,
        platform=str(recipe.variant.platform),
        build_platform=str(recipe.build_platform) if on_builder else "",
        files=_files(recipe, folder, _ignore(recipe, folder, state), _digests(recipe, state)),
    )


def context_files(settings: Settings, recipe: Recipe, state: State) -> tuple[Path, ...]:
    """Return the files and folders of its context that a recipe's build reads.

    Raises:
        DockerfileError: The context cannot be read.
    """
    folder = settings.root / recipe.variant.target.context
    ignore = _ignore(recipe, folder, state)
    return tuple(folder / path for path in _paths(recipe, folder, ignore))


def _files(recipe: Recipe, folder: Path, ignore: str, digests: Digests) -> dict[str, str]:
    return digests.of(folder, _paths(recipe, folder, ignore))


def _paths(recipe: Recipe, folder: Path, ignore: str) -> tuple[str, ...]:
    patterns = [found.pattern for found in context_inputs(recipe.text, **recipe.selection)]
    return context.files(folder, DockerIgnore.parse(ignore), patterns)


def _ignore(recipe: Recipe, folder: Path, state: State) -> str:
    """Return the text of the ignore file, which keeps the state out of every image."""
    text = context.ignore_text(recipe.path, folder)
    root = folder.resolve()
    if not state.folder.resolve().is_relative_to(root):
        return text
    own = state.folder.resolve().relative_to(root).as_posix()
    escaped = "".join(f"\\{letter}" if letter in "*?[]\\!#" else letter for letter in own)
    return f"{text}\n{escaped}\n"


def check_secrets(plan: BuildPlan) -> None:
    """Make sure that the secrets of a build are there.

    Raises:
        SettingsError: A file or an environment variable is not.
    """
    name = plan.recipe.variant.target.name
    for secret, place in plan.request.secrets.items():
        variable = place.removeprefix("env:") if place.startswith("env:") else ""
        if variable not in os.environ if variable else not Path(place).is_file():
            raise SettingsError(
                f"the build secret {secret!r} is not there: {variable or place}",
                remedy=f"set or write it, or change {name}.secrets in [tool.bailing-tasks]",
            )
