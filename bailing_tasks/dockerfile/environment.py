"""The variables of a stage, layered over those of the stage it is built on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_MAX_DEPTH = 64


@dataclass(slots=True)
class Environment(Mapping[str, str]):
    """Variables by name, and which of them hold what only an image knows.

    Attributes:
        image: Whether names without a value may have one in the image at the bottom.
        own: What was set in this stage; a value, and whether an image decides it.
        below: The stage underneath.
    """

    image: bool
    own: dict[str, tuple[str, bool]] = field(default_factory=dict)
    below: Environment | None = None
    depth: int = 0

    def child(self) -> Environment:
        """A new layer on this one."""
        if self.depth < _MAX_DEPTH:
            return Environment(self.image, {}, self, self.depth + 1)
        if self.below is not None:
            self.own = {name: self._find(name) or ("", False) for name in self}
            self.below = None
        return Environment(self.image, {}, self, 1)

    def set(self, name: str, value: str, *, decided_by_image: bool = False) -> None:
        """Give a name a value."""
        self.own[name] = (value, decided_by_image)

    def knows(self, name: str) -> bool:
        """Whether a name's value is known without the image."""
        found = self._find(name)
        return not self.image if found is None else not found[1]

    def _find(self, name: str) -> tuple[str, bool] | None:
        layer: Environment | None = self
        while layer is not None:
            if name in layer.own:
                return layer.own[name]
            layer = layer.below
        return None

    def __getitem__(self, name: str) -> str:
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        names: dict[str, None] = {}
        layer: Environment | None = self
        while layer is not None:
            names.update(dict.fromkeys(layer.own))
            layer = layer.below
        return iter(names)

    def __len__(self) -> int:
        return sum(1 for _ in self)
