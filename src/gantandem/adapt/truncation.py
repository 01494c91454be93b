"""StyleGAN's truncation, in the latent that a mapping network makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt.base import Adapter
from gantandem.adapt.inputs import as_shape
from gantandem.errors import InputError
from gantandem.rng import Key


class TruncatedW(Adapter):
    """G(psi) = synthesis(mean + psi (mapping(z) - mean)): truncation in W (Karras et al. 2019).

    The law is that of another generator: ratios of the whole one do not judge its samples.

    Args:
        network: With two modules that follow each other, ``mapping`` and ``synthesis``.
        psi: 1 changes nothing, 0 gives the mean alone. Allowed from 0 to 1.
        mean: (d,) the mean of w, such as :func:`average_w` measures, or the size of one that will
            be loaded. None, the default, takes ``mapping.w_avg``, which published StyleGANs keep.
        mapping: The module's name.
        synthesis: The module's name.

    Raises:
        InputError: If there are no such modules, or no mean.
    """

    mean: Tensor
    factor: Tensor

    def __init__(
        self,
        network: nn.Module,
        psi: float,
        mean: Tensor | Sequence[int] | int | None = None,
        mapping: str = "mapping",
        synthesis: str = "synthesis",
    ) -> None:
        super().__init__(network)
        self.psi, self.mapping, self.synthesis = psi, mapping, synthesis
        if isinstance(psi, bool) or not isinstance(psi, int | float) or not 0 <= psi <= 1:
            raise InputError(f"TruncatedW psi: got {psi!r}, allowed is a number from 0 to 1")
        for name in (mapping, synthesis):
            if not isinstance(getattr(self.network, name, None), nn.Module):
                raise InputError(
                    f"TruncatedW: {type(self.network).__name__} has no module {name!r}"
                )
        if mean is None:
            mean = getattr(getattr(self.network, mapping), "w_avg", None)
            if not isinstance(mean, Tensor):
                raise InputError(
                    f"TruncatedW: {mapping} keeps no mean of w (w_avg); measure it: "
                    "TruncatedW(G, psi, mean=average_w(G, 512))"
                )
        if isinstance(mean, Tensor):
            fixed = mean.detach().clone()
        else:
            fixed = torch.zeros(as_shape(mean, "TruncatedW mean"))
        self._mean = tuple(fixed.shape)
        self.register_buffer("mean", fixed)
        # Part of what names the law, as weights are.
        self.register_buffer("factor", torch.tensor(float(psi)), persistent=False)

    def forward(self, z: Tensor, *cond: Any) -> Any:
        """Map, truncate, synthesise."""
        w = getattr(self.network, self.mapping)(z, *cond)
        w = self.mean + self.psi * (w - self.mean)
        return getattr(self.network, self.synthesis)(w)


def average_w(
    network: nn.Module, latent: int | Sequence[int], n: int = 10_000, mapping: str = "mapping"
) -> Tensor:
    """Measure the mean of w over standard normal latents, drawn from seed 0.

    Args:
        network: With a module ``mapping``.
        latent: The size or shape of its latents.
        n: How many are mapped.
        mapping: The module's name.

    Returns:
        The mean, of the shape of one w.
    """
    part = getattr(network, mapping)
    weight = next(part.parameters(), torch.empty(0))
    key, shape = Key(0).fold("average w"), as_shape(latent, "average_w")
    training = [(module, module.training) for module in part.modules()]
    part.eval()
    try:
        with torch.no_grad():
            every = [
                part(key.normal(ids, shape=shape).to(weight)).double().mean(0) * len(ids)
                for ids in torch.arange(n).split(1000)
            ]
    finally:
        for module, flag in training:
            module.training = flag
    return (torch.stack(every).sum(0) / n).to(weight.dtype)
