"""Plain samples of the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved


class DirectState(NamedTuple):
    """One latent a lane."""

    id: Tensor
    attempt: Tensor
    z: Tensor
    cond: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Direct:
    """x = G(z): the law is p_G (Goodfellow et al. 2014). No discriminator runs."""

    name: ClassVar[str] = "direct"
    uses_guide: ClassVar[bool] = False

    def prepare(self, gan: GAN, key: Key) -> Direct:
        """Nothing to resolve."""
        return self

    def cost(self) -> Cost:
        """One generator pass; an acceptance's discriminator belongs to the same pass."""
        return Cost(start=0, step=1, scores=False)

    def init(self, gan: GAN, key: Key, ids: Tensor, attempts: Tensor) -> DirectState:
        """Draw the latents."""
        z = gan.latent.draw(key.fold("latent"), ids, attempts)
        return DirectState(ids, attempts, z, gan.conditions(ids))

    def step(self, gan: GAN, key: Key, state: DirectState) -> tuple[DirectState, Moved]:
        """Decode; every lane is done at once."""
        x = gan.decode(state.z, state.cond)
        steps = torch.zeros_like(state.id)
        unknown = torch.full((len(x),), torch.nan, device=x.device)
        return state, Moved(x, state.z, unknown, steps, torch.ones_like(steps, dtype=torch.bool))
