"""Discriminator optimal transport.

Tanaka, Discriminator Optimal Transport, NeurIPS 2019. A trained D, divided by its Lipschitz
constant, is close to the potential of an optimal transport from p_G to the data, so a sample is
moved to where it is cheap to reach and D is high:
in the latent  argmin over z of ||z - z_y|| - D(G(z)) / k_eff,
in the data    argmin over x of ||x - y|| - D(x) / K_eff.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.samplers.optimisers import Moments, adam, by_lane, rounded, wide
from gantandem.settings import Count, Decays, Interval, Positive

Space = Literal["latent", "data"]
Update = Literal["sgd", "adam"]
PUBLISHED = {"latent": {"steps": 10, "update": "sgd"}, "data": {"steps": 100, "update": "adam"}}


class DOTState(NamedTuple):
    """One point a lane, where it started, its step counter and the moments of its slopes."""

    id: Tensor
    attempt: Tensor
    z: Tensor
    start: Tensor
    h: Tensor
    cond: Tensor | None
    step: Tensor
    moments: Moments | None


@dataclass(frozen=True, kw_only=True)
class DOT(Mover):
    """Gradient descent on the distance moved less the scaled score of the guide.

    The law is biased: the transport is optimal only for an optimal D with its true constant, the
    descent is short, and in the latent it is p0 that is moved. Logit or critic.

    In the latent the descent keeps to where the prior is. A normal prior lives near a sphere, so
    the component of the descent direction along z is removed (``project``): z turns about the
    origin. In few dimensions there is no such sphere, and in one nothing is left to move: pass
    ``project=False`` or move the data. At the border of another prior ``Latent.keep_inside`` holds
    (a ``Uniform`` is clipped to its box, as in the authors' code).

    The distance is || h - start + offset || with the offset added to every coordinate, which gives
    it a gradient at the start: of unit length, along (1, ..., 1).

    Args:
        layer: ``"latent"`` or ``"data"``.
        steps: Moves of every lane; None takes 10 in the latent, 100 in the data.
        step_size: epsilon, in units of what is moved; the paper takes .01, the default is smaller.
        update: ``"sgd"`` or ``"adam"``; None takes sgd in the latent, adam in the data.
        betas: Adam's betas.
        lipschitz: k_eff, in score per unit of what is moved; None takes the largest
            |D(G(z1)) - D(G(z2))| / ||z1 - z2|| over pilot pairs (data: over ||G(z1) - G(z2)||).
        pairs: Pilot pairs; the two of a pair share their condition.
        offset: delta, in units of what is moved.
        project: In the latent of a ``Normal`` prior: move at right angles to z.
        clamp: In the data: range to clamp to, for example (-1, 1).

    Raises:
        InputError: If a setting is not allowed, there is no guide, or its score does not vary over
            the pilot pairs.

    Departures, and what is uncertain: this follows the objective and the authors' code; the paper's
    pseudocode was not at hand. Their code removes z (z . g) / sqrt(d) from the gradient (11.31 for
    their 128 dimensions d), which on the sphere ||z||^2 = d does not remove the component along z
    but makes it sqrt(d) - 1 times as large with the other sign; here it is z (z . g) / ||z||^2. In
    2D they average K_eff over ten maxima of 100 pairs and clip x to [-2, 2]; here it is one
    maximum, and x is clipped only on request. Their Adam has betas (0, .9) where it is used in the
    latent; the same is taken for the data.
    """

    name: ClassVar[str] = "dot"
    uses_guide: ClassVar[bool] = True

    layer: Space = "latent"
    steps: Count | None = None
    step_size: Positive = 0.003
    update: Update | None = None
    betas: Decays = (0.0, 0.9)
    lipschitz: Positive | None = None
    pairs: Count = 100
    offset: Positive = 1e-3
    project: bool = True
    clamp: Interval | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.clamp is not None and self.layer != "data":
            raise InputError(
                f"dot clamp: got {self.clamp} with layer={self.layer!r}; it is only allowed with "
                "layer='data'"
            )

    @property
    def pilot_passes(self) -> int:
        """Passes of the pilot pairs that ``prepare`` draws."""
        return 2 * self.pairs if self.lipschitz is None else 0

    @property
    def unused(self) -> list[str]:
        """Settings that change nothing here; the law does not name them."""
        used = {
            "pairs": self.lipschitz is None,
            "betas": self.update != "sgd",
            "project": self.layer == "latent",
        }
        return [name for name, use in used.items() if not use]

    def prepare(self, gan: Networks, key: Key) -> DOT:
        """Resolve steps and update from the layer, and k_eff on pilot pairs."""
        gan.need_guide("dot")
        if self.layer == "latent":
            gan.latent.need_continuous("dot")
        changes: dict[str, Any] = {
            name: value
            for name, value in PUBLISHED[self.layer].items()
            if getattr(self, name) is None
        }
        if self.lipschitz is None:
            changes["lipschitz"] = rounded(self._steepest(gan, key.fold("pairs")))
        return replace(self, **changes)

    def _steepest(self, gan: Networks, key: Key) -> float:
        """k_eff: the largest |difference of D| / ||difference|| over the pilot pairs."""
        guide, slopes = gan.need_guide("dot"), []
        for ids in torch.arange(self.pairs, device=gan.device).split(256):
            cond = gan.conditions(ids)
            z1, z2 = (gan.latent.draw(key, ids, attempt) for attempt in (0, 1))
            x1, x2 = gan.decode(z1, cond), gan.decode(z2, cond)
            rise = (guide(x1, cond) - guide(x2, cond)).double().abs()
            change = (x1 - x2) if self.layer == "data" else (z1 - z2)
            run = change.double().flatten(1).square().sum(1).sqrt()
            # A generator that maps both to one point says nothing of the slope.
            slopes.append(torch.where(run > 0, rise / run, 0.0))
        top = float(torch.cat(slopes).max())
        if not 0 < top < float("inf"):
            raise InputError(
                f"dot lipschitz: the guide's largest slope over {self.pairs} pairs of pilot "
                f"samples is {top}, so the objective cannot be scaled by it. Check that the guide "
                "gives samples different scores, or pass lipschitz=..."
            )
        return top

    def cost(self) -> Cost:
        """In the data a generator first; then guide and gradient each time; the last scores x."""
        return Cost(start=0 if self.layer == "latent" else 1, step=3, scores=True)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> DOTState:
        """Draw the latents, and in the data decode them."""
        z, cond = gan.latent.draw(key.fold("latent"), ids, attempts), gan.conditions(ids)
        h, _ = gan.cut(self.layer).head(z, cond)
        moments = Moments.zeros(h, square=True) if self.update == "adam" else None
        return DOTState(ids, attempts, z, h, h, cond, torch.zeros_like(ids), moments)

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every move, and the look that finds it finished."""
        return torch.full_like(ids, (self.steps or 0) + 1)

    def step(self, gan: Networks, key: Key, state: DOTState) -> tuple[DOTState, Moved]:
        """Evaluate every lane where it stands, then move it."""
        assert self.steps is not None and self.lipschitz is not None  # resolved by prepare
        s = state
        x, score, gradient = gan.guidance(self.layer, s.h, (), s.cond)
        moved = Moved(x, s.z, score, s.step, s.step >= self.steps)
        # The gradient of ||h - start + offset|| - D / k_eff.
        away = (s.h - s.start).to(wide(s.h)) + self.offset
        slope = away / by_lane(_dot(away, away).sqrt(), away) - gradient.to(away) / self.lipschitz
        if self.layer == "latent" and self.project and gan.latent.spherical:
            z = s.h.to(slope.dtype)  # move at right angles to z
            slope = slope - z * by_lane(_dot(z, slope) / _dot(z, z), z)
        h = self._descend(s, slope).to(s.h.dtype)
        if self.layer == "latent":
            h = gan.latent.keep_inside(h, s.h)
        elif self.clamp is not None:
            h = h.clamp(*self.clamp)
        return s._replace(h=h, step=(s.step + 1).clamp_(max=self.steps)), moved

    def _descend(self, s: DOTState, slope: Tensor) -> Tensor:
        """One downhill move, the moments in place: returns h."""
        assert self.steps is not None  # resolved by prepare
        if s.moments is None:
            return s.h - self.step_size * slope
        settings = {"last": self.steps, "step_size": self.step_size, "betas": self.betas}
        return adam(s.h.to(slope.dtype), -slope, s.moments, s.step, **settings)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the rows of two (N, ...) tensors, (N,)."""
    return (a * b).flatten(1).sum(1)
