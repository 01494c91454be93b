"""StyleGAN's truncation, in the latent that a mapping network makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt.base import Adapter
from gantandem.adapt.inputs import as_shape
from gantandem.errors import InputError, near
from gantandem.rng import Key


class TruncatedW(Adapter):
    """G(psi) = synthesis(mean + psi (mapping(z) - mean)): truncation in W (Karras et al. 2019).

    The law is that of another generator: ratios of the whole one do not judge its samples. It is
    the innermost adapter: the others go around it, ``Item(TruncatedW(G, 0.7), 0)``. Arguments
    that they fix, ``With(TruncatedW(G, 0.7), {"noise_mode": "const"})``, reach the synthesis.

    Args:
        network: With two modules that follow each other, ``mapping`` and ``synthesis``; it is no
            adapter itself.
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
        parts = {"mapping": mapping, "synthesis": synthesis}
        missing = [role for role, name in parts.items() if not _has(self.network, name)]
        if missing:
            raise InputError(self._misfit({role: parts[role] for role in missing}))
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

    def _misfit(self, missing: Mapping[str, str]) -> str:
        """What to write where the network has no modules of these names."""
        kind = type(self.network).__name__
        if isinstance(self.network, Adapter):
            return (
                f"TruncatedW: it must be the innermost adapter, but here it wraps {kind}: write "
                f"adapt.{kind}(adapt.TruncatedW(G, {self.psi}), ...)"
            )
        names = [name for name, _ in self.network.named_children()]
        words = " and ".join(map(repr, missing.values()))
        given = ", ".join(f"{role}=NAME" for role in missing)
        return (
            f"TruncatedW: {kind} has no module {words}; TruncatedW needs a module that maps z to "
            "w and a module that makes samples from w. Give their names, adapt.TruncatedW(G, "
            f"{self.psi}, {given}): {near(next(iter(missing.values())), names)}"
        )

    def forward(self, z: Tensor, *cond: Any, **fixed: Any) -> Any:
        """Map, truncate, synthesise."""
        w = getattr(self.network, self.mapping)(z, *cond)
        w = self.mean + self.psi * (w - self.mean)
        return getattr(self.network, self.synthesis)(w, **fixed)


def _has(network: nn.Module, name: str) -> bool:
    return isinstance(getattr(network, name, None), nn.Module)


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

    Raises:
        InputError: If there is no such module, or it does not take such latents.
    """
    if not _has(network, mapping):
        names = [name for name, _ in network.named_children()]
        kind = type(network).__name__
        raise InputError(f"average_w: {kind} has no module {mapping!r}; {near(mapping, names)}")
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
