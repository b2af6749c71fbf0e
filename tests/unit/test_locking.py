"""How pins and the lock file go together."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from bailing_tasks.engine.base import Limits
from bailing_tasks.lockfile import Key, Locked
from bailing_tasks.locking import bind, renewed
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.resolver import Described, Resolver
from bailing_tasks.state import Pin
from bailing_tasks.wanted import WantedImage

MANIFEST, CONFIG, OTHER = (f"sha256:{each * 64}" for each in "123")
LOCKED = Locked(
    reference="docker.io/library/alpine:3.20",
    platform="linux/amd64",
    digest=MANIFEST,
    index_digest=MANIFEST,
)
PIN = Pin(
    reference=LOCKED.reference,
    platform=LOCKED.platform,
    digest=MANIFEST,
    index_digest=MANIFEST,
    served_from="mirror.example/alpine",
    resolved_at="",
)
ALPINE = WantedImage(
    reference=Reference.parse("alpine:3.20"),
    platform=Platform.parse("linux/amd64"),
    named_at=(),
    targets=(),
)


class Registry:
    """Answers for all registries."""

    limits = Limits()

    def __init__(self, config_digest: str) -> None:
        self.config_digest = config_digest
        self.asked = 0

    def resolve(self, _image: WantedImage) -> Pin:
        return PIN

    def described(self, pin: Pin, _image: WantedImage) -> Described:
        self.asked += 1
        return Described(pin=replace(pin, config_digest=self.config_digest))


def lock(
    registry: Registry,
    locked: Locked | None = None,
    pin: Pin | None = None,
    update: str | None = None,
) -> Locked:
    return renewed(
        [ALPINE],
        locked={locked.key: locked} if locked else {},
        pins={pin.key: pin} if pin else {},
        resolver=cast("Resolver", registry),
        update=update,
        jobs=1,
    )[ALPINE.key]


def test_a_lock_binds_the_configuration_as_well() -> None:
    known = replace(LOCKED, config_digest=CONFIG)
    pins: dict[Key, Pin] = {}
    assert bind(pins, {known.key: known})[known.key].config_digest == CONFIG
    pins = {PIN.key: replace(PIN, digest=OTHER, config_digest=OTHER)}
    bound = bind(pins, {known.key: known})[known.key]
    assert (bound.digest, bound.config_digest) == (MANIFEST, CONFIG)


def test_what_was_read_from_a_manifest_counts_before_what_a_lock_says_of_it() -> None:
    known = replace(LOCKED, config_digest=OTHER)
    assert bind({PIN.key: PIN}, {known.key: known})[PIN.key].config_digest == OTHER
    read = replace(PIN, config_digest=CONFIG)
    assert bind({PIN.key: read}, {known.key: known})[PIN.key] == read


def test_a_lock_of_an_earlier_version_is_completed() -> None:
    registry = Registry(CONFIG)
    assert lock(registry, LOCKED) == replace(LOCKED, config_digest=CONFIG)
    assert lock(Registry(""), LOCKED) == LOCKED


def test_what_is_known_is_not_asked_for() -> None:
    registry = Registry(OTHER)
    known = replace(LOCKED, config_digest=CONFIG)
    assert lock(registry, known) == known
    assert lock(registry, pin=replace(PIN, config_digest=CONFIG)) == known
    assert lock(registry, LOCKED, replace(PIN, config_digest=CONFIG)) == known
    assert registry.asked == 0
    assert lock(registry, known, update="").config_digest == OTHER
