"""Latent optimisation by natural gradient.

Wu, Donahue, Balduzzi, Simonyan and Lillicrap, LOGAN: Latent Optimisation for Generative
Adversarial Networks, 2019: z <- z + alpha g / (beta + ||g||^2), g = grad_z d(G(z)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.samplers.optimisers import by_lane, wide
from gantandem.settings import Count, Positive


class LatentOptState(NamedTuple):
    """One latent a lane: where it started and where it is."""

    id: Tensor
    attempt: Tensor
    start: Tensor
    z: Tensor
    cond: Tensor | None
    step: Tensor


@dataclass(frozen=True, kw_only=True)
class LatentOpt(Mover):
    """Natural-gradient steps of the latent up the guide.

    The law is biased: an ascent with neither a prior term nor noise, which draws the latents of a
    basin together. The direction is (g g^T + beta I)^-1 g = g / (beta + ||g||^2), with the damped
    empirical Fisher matrix of one sample; for a small gradient the move is alpha g / beta, and for
    a large one it is alpha / ||g|| long. Logit or critic.

    LOGAN moves z once, while it trains; here a generator trained without it is sampled. Its prior
    is uniform on [-1, 1] and z is clipped to it: a ``Uniform`` latent is clipped to its box, at a
    border of another prior the move is dropped (see ``Latent.keep_inside``), and a normal latent,
    which the authors avoid, is left as it is. Their regulariser of the move's length belongs to
    training.

    Args:
        step_size: alpha, .9 in the paper; along the discriminator of a small GAN that led away from
            the data.
        damping: beta, in squared units of the guide's gradient.
        steps: Moves of every lane.

    Raises:
        InputError: If a setting is not allowed, or there is no guide.
    """

    name: ClassVar[str] = "latent_opt"
    uses_guide: ClassVar[bool] = True

    step_size: Positive = 0.1
    damping: Positive = 5.0
    steps: Count = 3

    def prepare(self, gan: Networks, key: Key) -> LatentOpt:
        """Check that there is a guide; nothing to resolve."""
        gan.need_guide("latent_opt")
        gan.latent.need_continuous("latent_opt")
        return self

    def cost(self) -> Cost:
        """Generator, guide and gradient each time; the last one scores x."""
        return Cost(start=0, step=3, scores=True)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> LatentOptState:
        """Draw the latents."""
        z = gan.latent.draw(key.fold("latent"), ids, attempts)
        return LatentOptState(ids, attempts, z, z, gan.conditions(ids), torch.zeros_like(ids))

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every move, and the look that finds it finished."""
        return torch.full_like(ids, self.steps + 1)

    def step(self, gan: Networks, key: Key, state: LatentOptState) -> tuple[LatentOptState, Moved]:
        """Evaluate every lane where it stands, then move it by alpha g / (beta + ||g||^2)."""
        s = state
        x, logit, gradient = gan.guidance("latent", s.z, (), s.cond)
        moved = Moved(x, s.start, logit, s.step, s.step >= self.steps)
        g = gradient.to(wide(gradient))
        alpha, beta = self.step_size, self.damping
        z = s.z + alpha * g / by_lane(beta + g.square().flatten(1).sum(1), g)
        z = gan.latent.keep_inside(z.to(s.z.dtype), s.z)
        return s._replace(z=z, step=s.step + 1), moved
