"""Unadjusted Langevin in the latent (ULA, DDLS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved
from gantandem.samplers.langevin import Langevin
from gantandem.samplers.latent_chain import ChainState, LatentChain, look_by_guide, proceed, start
from gantandem.settings import Count, Positive


@dataclass(frozen=True, kw_only=True)
class ULA(LatentChain):
    """Unadjusted Langevin (DDLS): z <- z + (eps/2) grad L(z) + sqrt(eps) xi.

    L(z) = log p0(z) + d(G(z)), d the guide's logit or critic. Biased: for small eps and many
    steps the law tends to that with density proportional to p0(z) e^d(G(z)); at a given eps it is
    wider (a Gaussian of variance s^2 becomes s^2 / (1 - eps / (4 s^2))), and after few steps it
    still remembers the prior. A critic is an energy of unknown scale, so that not even the limit
    need be p_data. Che et al., Your GAN is Secretly an Energy-based Model, NeurIPS 2020,
    Algorithm 1.

    There is no accept test, with two exceptions, in which a chain stays where it is for that
    move: outside the prior's support (a uniform prior's border; never reflected), and where the
    move is not finite, which is counted as divergent. There is no ``"auto"``: without a test
    nothing says which step is small enough.

    Args:
        steps: Moves of a chain (100 to 1000 in the paper).
        step_size: eps, a variance: the noise has standard deviation sqrt(eps) (1e-4 to 1e-2 in the
            paper).

    Raises:
        InputError: If a setting is not a positive number, or the GAN has no guide.
        NonFiniteError: If a fresh sample of the generator has no finite score.
    """

    name: ClassVar[str] = "ula"
    uses_guide: ClassVar[bool] = True

    steps: Count = 100
    step_size: Positive = 0.0005

    def prepare(self, gan: Networks, key: Key) -> ULA:
        """Nothing to resolve."""
        gan.need_guide("ula")
        gan.latent.need_continuous("ula")
        return self

    def cost(self) -> Cost:
        """The guide and its gradient at the start and after each move; the last scores x."""
        return Cost(start=3, step=3, scores=True)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> ChainState:
        """Begin at draws from the prior."""
        return start(gan, key, ids, attempts, "ula", look_by_guide)

    def step(self, gan: Networks, key: Key, state: ChainState) -> tuple[ChainState, Moved]:
        """Move every chain once: ``Langevin.draw`` is z + (eps/2) grad L(z) + sqrt(eps) xi."""
        z = Langevin(self.step_size).draw(state.here, state.noise(key))
        there = look_by_guide(gan, z, state.cond)
        state = proceed(state, there, there.log_prior > -torch.inf)
        return state, state.report(state.step >= self.steps)
