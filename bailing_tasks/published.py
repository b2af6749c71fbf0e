"""Images that others built from the same inputs: in a registry, under the tag `fp-<16 hex>`."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bailing_tasks.build_plan import BuildPlan
from bailing_tasks.engine.base import Engine
from bailing_tasks.errors import PullError, UnreachableError, UsageError
from bailing_tasks.holding import give_lasting_name
from bailing_tasks.kept import held_name
from bailing_tasks.names import LABEL, published_name
from bailing_tasks.parallel import in_parallel
from bailing_tasks.prefetch import Prefetcher
from bailing_tasks.references import Reference
from bailing_tasks.resolver import Resolver
from bailing_tasks.state import State
from bailing_tasks.wanted import WantedImage

FILE = "published.json"
ASKED_AT_ONCE = 16
ASKING_SECONDS = 3.0
"""How long a registry may take to say whether it has an image; it is built where it does not."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Whether a registry has an image.

    Attributes:
        name: The image's name; empty where it is not there, or that is not known.
        why: Where it was looked for in vain, or why that was not possible; empty where there is no
            registry to ask.
    """

    name: str = ""
    why: str = ""


class Lookup:
    """Asks registries for images by their fingerprints, for one run, whose threads may share it.

    What was found out once is not asked again, and who is silent is not waited for twice. What a
    prefetch found out is kept for later runs: a build after it needs no registry.

    Args:
        resolver: Asks.
        state: Where answers are kept.
    """

    def __init__(self, resolver: Resolver, state: State) -> None:
        self._resolver = resolver
        self._state = state
        self._silent: dict[str, str] = {}
        self._known = _read(state)
        self._one_at_a_time = threading.RLock()
        self._asking: dict[str, threading.Lock] = {}

    def forget(self) -> None:
        """Ask again for what earlier runs found out."""
        self._known = {}

    def keep(self) -> None:
        """Keep what was found out for later runs."""
        with self._one_at_a_time, contextlib.suppress(UsageError):  # it only saves time
            known = {name: asdict(found) for name, found in self._known.items()}
            self._state.write(FILE, json.dumps(known, indent=2) + "\n")

    def built(self, *plans: BuildPlan) -> None:
        """Ask again for images that were built here: who removes one may have published it."""
        published = [plan for plan in plans if plan.recipe.variant.target.repository]
        names = [_wanted(plan).reference.familiar for plan in published]
        with self._one_at_a_time:
            if any([self._known.pop(name, None) for name in names]):  # noqa: C419
                self.keep()

    def find(self, plan: BuildPlan) -> Published:
        """Ask the target's registry, and its mirrors, for the image with a plan's fingerprint."""
        target = plan.recipe.variant.target
        if not target.repository:
            return Published()
        image = _wanted(plan)
        name, host = image.reference.familiar, image.reference.host
        if self._resolver.offline and name not in self._known:
            return Published(why=f"{target.repository} was not asked (--offline)")
        with self._one_at_a_time:
            asked_by_another = self._asking.setdefault(name, threading.Lock())
        with asked_by_another:
            if name not in self._known:
                silent = self._silent.get(host)
                self._known[name] = Published(why=silent) if silent else self._ask(image)
            return self._known[name]

    def ask_ahead(self, plans: Sequence[BuildPlan]) -> None:
        """Find out about many at once, the first one alone: who is silent is waited for once."""
        if plans:
            self.find(plans[0])
        for _ in in_parallel(self.find, plans[1:], jobs=ASKED_AT_ONCE):
            continue

    def _ask(self, image: WantedImage) -> Published:
        repository, host = image.reference.repository, image.reference.host
        answers = in_parallel(self._resolver.has, [image], jobs=1, within=ASKING_SECONDS)
        try:
            for _, there in answers:
                if there:
                    return Published(name=image.reference.familiar)
                return Published(why=f"{repository} does not have it")
        except UnreachableError as error:
            self._silent[host] = f"{host} could not be asked"
            cause = error.cause.partition(" (")[0]
            return Published(why=f"{repository} could not be asked: {cause}")
        except PullError as error:
            return Published(why=f"{repository} could not be asked: {error.cause}")
        self._silent[host] = f"{host} did not answer within {ASKING_SECONDS:.0f} s"
        return Published(why=f"{repository} did not answer within {ASKING_SECONDS:.0f} s")


def _read(state: State) -> dict[str, Published]:
    """Return what a prefetch found out; nothing where that cannot be understood."""
    try:
        document = json.loads((state.folder / FILE).read_bytes())
        return {name: Published(**found) for name, found in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def take(plan: BuildPlan, prefetcher: Prefetcher) -> None:
    """Pull the image with a plan's fingerprint, and give it the name that is never used twice.

    Raises:
        PullError: It could not be pulled, or was made from something else than its tag says.
    """
    image = _wanted(plan)
    pin = prefetcher.obtain(image)
    name = held_name(prefetcher.engine, pin) or pin.image
    if not made_from(name, plan, prefetcher.engine):
        raise PullError(
            f"{image.reference.familiar} is not what its tag says",
            cause="its label names other inputs, or none",
            remedy="remove the tag from the registry; the next `invoke ci-run --push` sets it anew",
        )
    give_lasting_name(plan, prefetcher.engine, prefetcher.state, name)


def made_from(name: str, plan: BuildPlan, engine: Engine) -> bool:
    """Whether an image that is here says that it was made from a plan's inputs."""
    found = engine.image(name)
    return found is not None and found.labels.get(LABEL) == plan.label


def _wanted(plan: BuildPlan) -> WantedImage:
    variant = plan.recipe.variant
    reference = Reference.parse(published_name(variant.target, plan.fingerprint))
    return WantedImage(
        reference=reference, platform=variant.platform, named_at=(), targets=(variant.target.name,)
    )
