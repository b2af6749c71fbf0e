"""The variables of a stage, layered over those of the stage it is built on."""

from __future__ import annotations

_Layer = dict[str, tuple[str, bool]]


class Environment:
    """Variables by name, and which of them hold what only an image knows.

    A layer is shared by all stages built on its own. Layers of like size are merged, so that a
    name is found in a number of steps that grows with the logarithm of how many there are.
    """

    __slots__ = ("_layers", "_own", "image")

    def __init__(self, *, image: bool, layers: tuple[_Layer, ...] = ()) -> None:
        self.image = image
        self._layers = layers
        self._own: _Layer = {}

    def child(self) -> Environment:
        """A new layer on this one, to which nothing may be added from now on."""
        layers = [*self._layers, self._own] if self._own else [*self._layers]
        while len(layers) > 1 and len(layers[-2]) < 2 * len(layers[-1]):
            upper = layers.pop()
            layers[-1] = {**layers[-1], **upper}
        self._layers, self._own = tuple(layers), {}
        return Environment(image=self.image, layers=self._layers)

    def set(self, name: str, value: str, *, decided_by_image: bool = False) -> None:
        """Give a name a value."""
        self._own[name] = (value, decided_by_image)

    def get(self, name: str) -> str | None:
        """A name's value, if it has one."""
        found = self._find(name)
        return None if found is None else found[0]

    def knows(self, name: str) -> bool:
        """Whether a name's value is known without the image at the bottom."""
        found = self._find(name)
        return not self.image if found is None else not found[1]

    def _find(self, name: str) -> tuple[str, bool] | None:
        found = self._own.get(name)
        if found is None:
            for layer in reversed(self._layers):
                found = layer.get(name)
                if found is not None:
                    break
        return found
