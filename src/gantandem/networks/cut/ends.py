"""The two trivial cuts: at the latent and at the data."""

from __future__ import annotations

from torch import Tensor, nn

from gantandem.adapt.inputs import full
from gantandem.networks.cut.base import Carry, Cut


class LatentCut(Cut):
    """Cut before everything: the activation is z, the tail is the generator."""

    kind = "latent"

    def __init__(self, generator: nn.Module) -> None:
        """Keep the generator, which is shared."""
        super().__init__("latent")
        self._generator = generator

    def _head(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Carry]:
        return z, ()

    def _tail(self, activation: Tensor, carry: Carry, cond: Tensor | None) -> Tensor:
        return self._generator(activation) if cond is None else self._generator(activation, cond)


class DataCut(Cut):
    """Cut after everything: the activation is x, the head is the generator."""

    kind = "data"

    def __init__(self, generator: nn.Module) -> None:
        """Keep the generator, which is shared."""
        super().__init__("data")
        self._generator = generator

    def _head(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Carry]:
        return full(self._generator(z) if cond is None else self._generator(z, cond)), ()

    def _tail(self, activation: Tensor, carry: Carry, cond: Tensor | None) -> Tensor:
        return activation
