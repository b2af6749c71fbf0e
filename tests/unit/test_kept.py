"""An image is believed to be that of a pin for its content, whatever its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from bailing_tasks import configuration, kept
from bailing_tasks.build_plan import BuildPlan, plan_build
from bailing_tasks.bundle.gathering import Gatherer
from bailing_tasks.console import Console
from bailing_tasks.decision import built_image
from bailing_tasks.engine.base import Engine, Image
from bailing_tasks.inquiry import look
from bailing_tasks.kept import Presence
from bailing_tasks.names import kept_name
from bailing_tasks.origin import Origin
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import read_recipe
from bailing_tasks.references import Reference
from bailing_tasks.state import Pin, State
from bailing_tasks.variants import Variant
from bailing_tasks.wanted import WantedImage
from tests.unit.bundle.images import filled

AMD64 = Platform.parse("linux/amd64")
MANIFEST, CONFIG, INDEX, OTHER = (f"sha256:{each * 64}" for each in "1234")
PIN = Pin(
    reference="docker.io/library/alpine:3.20",
    platform="linux/amd64",
    digest=MANIFEST,
    index_digest=INDEX,
    served_from="docker.io/library/alpine",
    resolved_at="",
)
TAG = kept_name(*PIN.key, PIN.digest)
ALPINE = WantedImage(
    reference=Reference.parse("alpine:3.20"), platform=AMD64, named_at=(), targets=()
)


class MemoryEngine:
    """Holds images by name, as one of Docker's two stores does."""

    platform = AMD64

    def __init__(self, *, keeps_digests: bool) -> None:
        self.keeps_digests = keeps_digests
        self.names: dict[str, Image] = {}

    def image(self, name: str) -> Image | None:
        by_id = {image.id: image for image in self.names.values()}
        return self.names.get(name) or by_id.get(name)

    def tag(self, name: str, new: str) -> None:
        found = self.image(name)
        assert found
        self.names[new] = found


def image(identity: str, *digests: str, platform: Platform = AMD64) -> Image:
    return Image(
        id=identity, content="", platform=platform, size=1, user="", labels={}, digests=digests
    )


def find(pin: Pin, names: dict[str, Image], *, containerd: bool) -> Presence:
    engine = MemoryEngine(keeps_digests=containerd)
    engine.names |= names
    return kept.find(cast("Engine", engine), pin)


def test_the_containerd_store_knows_an_image_by_the_digest_of_its_manifest() -> None:
    assert find(PIN, {TAG: image(MANIFEST)}, containerd=True) == Presence(name=TAG)
    assert find(PIN, {TAG: image(OTHER)}, containerd=True) == Presence(moved=TAG)
    # Its digests are made from names, which anybody can give.
    assert find(PIN, {TAG: image(OTHER, MANIFEST)}, containerd=True) == Presence(moved=TAG)


def test_the_classic_store_knows_an_image_by_what_was_pulled_or_by_its_configuration() -> None:
    pulled = image(CONFIG, MANIFEST)
    assert find(PIN, {TAG: pulled}, containerd=False) == Presence(name=TAG)
    assert find(PIN, {TAG: image(OTHER)}, containerd=False) == Presence(moved=TAG)
    assert find(PIN, {TAG: image(CONFIG)}, containerd=False) == Presence(moved=TAG)
    known = replace(PIN, config_digest=CONFIG)
    assert find(known, {TAG: image(CONFIG)}, containerd=False) == Presence(name=TAG)
    assert find(known, {TAG: image(OTHER)}, containerd=False) == Presence(moved=TAG)


def test_an_image_that_a_bundle_has_under_another_manifest_is_that_of_its_pin() -> None:
    pin = replace(PIN, repacked=OTHER)
    assert find(pin, {TAG: image(OTHER)}, containerd=True) == Presence(name=TAG)


def test_an_image_is_found_as_its_registry_names_it_where_the_tag_has_moved() -> None:
    names = {TAG: image(OTHER), PIN.image: image(MANIFEST)}
    assert find(PIN, names, containerd=True) == Presence(name=PIN.image, moved=TAG)
    assert find(PIN, {}, containerd=True) == Presence()
    assert find(PIN, {PIN.image: image(OTHER)}, containerd=True) == Presence()


def test_an_index_that_is_here_for_another_platform_is_not_a_tag_that_has_moved() -> None:
    arm64 = image(MANIFEST, platform=Platform.parse("linux/arm64"))
    assert find(PIN, {TAG: arm64}, containerd=True) == Presence()


def test_the_tag_is_set_again_and_the_configuration_remembered() -> None:
    memory = MemoryEngine(keeps_digests=False)
    engine = cast("Engine", memory)
    memory.names |= {TAG: image(OTHER), PIN.image: image(CONFIG, MANIFEST)}
    asked = look(engine, ALPINE, PIN)
    assert (asked.held_as, asked.moved_name) == (PIN.image, TAG)
    assert kept.keep(engine, PIN, ALPINE, asked.held_as)
    assert memory.names[TAG].id == CONFIG
    pin = kept.completed(engine, PIN)
    assert pin == replace(PIN, config_digest=CONFIG)
    del memory.names[PIN.image]
    memory.names[TAG] = image(CONFIG)
    assert kept.is_present(engine, pin, ALPINE)
    memory.names.clear()
    assert kept.completed(engine, PIN) == PIN
    memory.keeps_digests = True
    assert kept.completed(engine, PIN) == PIN


def test_what_is_here_under_its_own_name_alone_is_pinned_to_its_id() -> None:
    memory = MemoryEngine(keeps_digests=False)
    engine = cast("Engine", memory)
    assert kept.by_its_name(engine, ALPINE) is None
    memory.names["alpine:3.20"] = image(CONFIG)
    pin = kept.by_its_name(engine, ALPINE)
    assert pin
    assert kept.held_name(engine, pin) == kept_name(*ALPINE.key, CONFIG)
    memory.names[kept_name(*ALPINE.key, CONFIG)] = image(OTHER)
    assert kept.held_name(engine, pin) is None


@pytest.fixture
def renaming(tmp_path: Path) -> tuple[BuildPlan, Engine, str, str]:
    """A target that is another's image, an engine, and the digests of that and of a third image."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.bailing-tasks.service.cache]\nimage = "cache"\nfrom-image = "base:1"\n'
    )
    settings = configuration.load(tmp_path, environment={})
    _, contents = filled(tmp_path / ".bailing-tasks" / "bundle")
    gatherer = Gatherer(
        folder=tmp_path / ".bailing-tasks" / "bundle",
        console=Console.standard(json=True),
    )
    engine = gatherer.engine(AMD64, ())
    (cache,) = settings.services
    recipe = read_recipe(settings, Variant(target=cache, platform=AMD64, python=""), AMD64)
    pin = contents.external[0].pin
    plan = plan_build(
        settings,
        recipe,
        {pin.key: pin},
        engine,
        State(tmp_path),
        host=AMD64,
        origin=Origin(),
    )
    return plan, engine, pin.digest, contents.built[0].digest


def test_another_image_under_the_name_of_a_renamed_one_does_not_count_as_it(
    renaming: tuple[BuildPlan, Engine, str, str],
) -> None:
    plan, engine, digest, other = renaming
    assert built_image(plan, engine) is None
    engine.tag(other, plan.kept)
    assert built_image(plan, engine) is None
    engine.tag(digest, plan.kept)
    found = built_image(plan, engine)
    assert found
    assert found.id == digest
    assert built_image(replace(plan, pins=()), engine) is None
