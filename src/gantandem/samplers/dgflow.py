"""Discriminator gradient flow.

Ansari, Ang and Soh, Refining Deep Generative Models via Discriminator Gradient Flow, ICLR 2021,
Algorithm 1: z <- z + eta s(d) grad_z d(G(z)) + sqrt(2 eta gamma) xi.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.networks.networks import Networks
from gantandem.networks.saturated import warn_saturated
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.samplers.optimisers import by_lane, wide
from gantandem.settings import Count, Layer, NotNegative, Positive

Divergence = Literal["kl", "js", "logd"]


class FlowState(NamedTuple):
    """One activation a lane and its step counter."""

    id: Tensor
    attempt: Tensor
    z: Tensor
    h: Tensor
    carry: tuple[Tensor, ...]
    cond: Tensor | None
    step: Tensor


@dataclass(frozen=True, kw_only=True)
class DGFlow(Mover):
    """Follow the gradient flow of an entropy-regularised f-divergence from p_G towards p_data.

    The law is biased. The flow of the density rho needs log p_data / rho as rho moves, and uses
    the guide's d = log p_data / p_G throughout, so the ratio goes stale with every step; in the
    latent no term of the prior holds z back. Run on for ever, "kl" would settle on a density
    proportional to exp(d / gamma), not on the data. Hence few steps.

    The flow decreases the integral of f(q) p_data + gamma rho log rho, with q = rho / p_data. Its
    velocity is -grad f'(q) = -f''(q) grad q = q f''(q) grad d, since q = exp(-d); the entropy is
    the noise. So s(d) = q f''(q):

    ======  ==================================  ===================  ===========
    name    f(q), up to terms linear in q       f''(q)               s(d)
    ======  ==================================  ===================  ===========
    kl      q log q                             1 / q                1
    js      q log q - (q + 1) log(q + 1)        1 / (q (q + 1))      sigmoid(d)
    logd    (q + 1) log(q + 1)                  1 / (q + 1)          sigmoid(-d)
    ======  ==================================  ===================  ===========

    Without noise, "logd" is ``Refine(update="sgd", stop="last")``. Anything with a decoder and a
    guide will do: for a VAE, a flow, or a generator that came without a discriminator, take
    ``fit_ratio(gan, real, proposal=Direct(), as_guide=True)``. "js" and "logd" read the level of
    d: a guide fitted on unequal numbers of real and generated samples shifts it.

    Args:
        layer: What is moved: ``"latent"``, a module of the generator, or ``"data"``.
        divergence: ``"kl"``, ``"js"`` or ``"logd"``. With a critic, which is no log ratio, "kl".
        step_size: eta, in squared units of what is moved. The paper takes .1 for images; along the
            discriminator of a small GAN that led away from the data.
        noise: gamma (.01 in the paper); a move has noise of standard deviation
            sqrt(2 eta gamma) in each coordinate. 0 leaves it out.
        steps: Moves of every lane (25 in the paper).

    Raises:
        InputError: If a setting is not allowed, if there is no guide, or if it is a critic and
            ``divergence`` is not "kl".

    Departures from the authors' code: eval mode; no weight gradients; where the prior has a border
    a latent is kept inside it (see ``Latent.keep_inside``; all of theirs are normal).
    """

    name: ClassVar[str] = "dgflow"
    uses_guide: ClassVar[bool] = True

    layer: Layer = "latent"
    divergence: Divergence = "kl"
    step_size: Positive = 0.0005
    noise: NotNegative = 0.01
    steps: Count = 25

    def prepare(self, gan: Networks, key: Key) -> DGFlow:
        """Check that the guide offers what the divergence needs; say where it is saturated."""
        if gan.need_guide("dgflow").output == "critic" and self.divergence != "kl":
            raise InputError(
                f"dgflow divergence: got {self.divergence!r}, which weighs by a log ratio, but "
                "the guide is a critic. Pass 'kl', or fit a guide that is a ratio: gan = "
                "fit_ratio(gan, real, proposal=Direct(), as_guide=True)"
            )
        if self.layer == "latent":
            gan.latent.need_continuous("dgflow")
        if self.divergence != "kl":
            of = "real" if self.divergence == "logd" else "fake"
            warn_saturated(gan, "dgflow", key, of=of)
        return self

    def cost(self) -> Cost:
        """The head once, then a tail, guide and gradient each time; the last one scores x."""
        return Cost(start=0 if self.layer == "latent" else 1, step=3, scores=True)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> FlowState:
        """Draw the latents and run the head."""
        z, cond = gan.latent.draw(key.fold("latent"), ids, attempts), gan.conditions(ids)
        h, carry = gan.cut(self.layer).head(z, cond)
        return FlowState(ids, attempts, z, h, carry, cond, torch.zeros_like(ids))

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every move, and the look that finds it finished."""
        return torch.full_like(ids, self.steps + 1)

    def step(self, gan: Networks, key: Key, state: FlowState) -> tuple[FlowState, Moved]:
        """Evaluate every lane where it stands, then move it."""
        s = state
        x, d, gradient = gan.guidance(self.layer, s.h, s.carry, s.cond)
        moved = Moved(x, s.z, d, s.step, s.step >= self.steps)
        gradient = gradient.to(wide(gradient))
        drift = gradient * by_lane(self._weight(d), gradient).to(gradient.dtype)
        h = s.h + self.step_size * drift
        if self.noise:
            xi = key.fold("flow").normal(s.id, s.attempt, s.step, tuple(h.shape[1:]))
            h = h + math.sqrt(2 * self.step_size * self.noise) * xi
        h = h.to(s.h.dtype)
        if self.layer == "latent":
            h = gan.latent.keep_inside(h, s.h)
        return s._replace(h=h, step=s.step + 1), moved

    def _weight(self, d: Tensor) -> Tensor:
        """s(d) of the table above."""
        match self.divergence:
            case "kl":
                return torch.ones_like(d)
            case "js":
                return torch.sigmoid(d)
            case "logd":
                return torch.sigmoid(-d)
