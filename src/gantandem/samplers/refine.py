"""Refinement by the discriminator's gradient at a layer of the generator.

Liu, Kothari and Alahi, Collaborative Sampling in Generative Adversarial Networks, AAAI 2020,
Algorithm 1 and Equations 3-5: h <- h - lambda * update(grad_h of -log sigmoid(d(tail(h)))).
Here ``slope`` is grad_h of log sigmoid(d) (of d for a critic), and ``_update`` goes up along it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from gantandem.data.matching import spread_of
from gantandem.errors import InputError
from gantandem.networks.layers import at_once
from gantandem.networks.networks import Networks
from gantandem.networks.saturated import warn_saturated
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.samplers.optimisers import Moments, adam, by_lane, momentum, rounded, wide
from gantandem.samplers.stops import Best, geometric_stop, uniform_stop
from gantandem.settings import Count, Decays, Interval, Layer, Positive, Share

Stop = Literal["random", "last", "best", "threshold"]
Update = Literal["sgd", "momentum", "adam", "scaled-adam"]
AUTO_STEP = 0.02
"""``step_size="auto"`` is this share of the activation's standard deviation on G's samples."""
UNSHAPED_STEP = 0.001
"""And this share along a guide that was not shaped."""
PILOTS, FEW = 1024, 32
"""Samples that the spread is measured on, and where 256 do not go through the networks at once."""
WIDENED = (
    "refine: some starts were widened so that a selector can choose among the samples. Without a "
    'selector these samples lie farther from the data: pass "refine" or defensive=0'
)


class RefineState(NamedTuple):
    """One activation a lane, with its own step counter and moments of its slopes.

    ``loss`` (W,) is the smoothed loss of the authors' scaled Adam.
    """

    z: Tensor
    h: Tensor
    carry: tuple[Tensor, ...]
    cond: Tensor | None
    step: Tensor
    target: Tensor
    moments: Moments | None
    loss: Tensor | None
    best: Best | None


@dataclass(frozen=True, kw_only=True)
class Refine(Mover):
    """Gradient steps of the guide on an activation of the generator.

    The law is biased: it is neither p_G nor p_data. With ``stop="random"`` its support covers
    p_G's, so that an acceptance on a ratio fitted on this law can correct it.

    Args:
        layer: Module of the generator whose output is refined, or ``"latent"`` (kept within the
            border of the prior, see ``Latent.keep_inside``) or ``"data"``.
        steps: K, most steps of a lane.
        step_size: lambda, in units of the activation; ``"auto"`` takes 0.02 times the
            activation's standard deviation on G's samples, or 0.001 times along a guide that was
            not shaped, which mostly leads astray.
        stop: ``"random"`` (each lane a uniform step in 0..K), ``"last"`` (K), ``"best"`` (the
            highest logit of 0..K) or ``"threshold"`` (the first logit of at least ``threshold``).
        stop_probability: With ``stop="random"``: stop before each step with this probability
            instead (at K at the latest).
        threshold: eta; None takes the median of the guide's logit on real data.
        update: ``"sgd"``, ``"momentum"`` (.9), ``"adam"`` (as defined by Kingma and Ba) or
            ``"scaled-adam"``, the authors': betas .9 and .5, each step scaled by
            max(0, loss + .5)^2, at most 2.25, with loss = mean D(real) - D(x), smoothed by .5, and
            D the probability sigmoid(logit). Their code never advances Adam's counter, which
            makes moves about 7 times longer; this one does. A critic has no probability.
        betas: Adam's betas; None takes (.9, .999), or (.9, .5) with ``"scaled-adam"``.
        reference: The mean probability of real data, from 0 to 1, for ``"scaled-adam"``; None
            takes it from the GAN.
        clamp: Range to clamp to when refining pixels, for example (-1, 1).
        defensive: Share of proposals that start from a widened point: the activation plus
            Gaussian noise whose standard deviation is uniform in [0, ``defensive_scale``] spreads.
            The coin is keyed per (id, attempt).
        defensive_scale: In spreads.
        spread: The activation's standard deviation (of the data, if ``layer="data"`` and real
            data have been seen); None measures it.
        unrefined: Share of proposals left at their start. Needed (at least 1/(K+1)) when
            ``defensive`` meets another stop rule than ``"random"``, since refinement may contract.

    Raises:
        InputError: If a setting is not allowed, or one that needs real data cannot be resolved.
    """

    name: ClassVar[str] = "refine"
    uses_guide: ClassVar[bool] = True
    compiles: ClassVar[bool] = True

    layer: Layer = "data"
    steps: Count = 50
    step_size: Positive | Literal["auto"] = "auto"
    stop: Stop = "random"
    stop_probability: Share | None = None
    threshold: float | None = None
    update: Update = "adam"
    betas: Decays | None = None
    reference: Share | None = None
    clamp: Interval | None = None
    defensive: Share = 0.0
    defensive_scale: Positive = 1.0
    spread: Positive | None = None
    unrefined: Share = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        least = 1 / (self.steps + 1)
        if self.defensive and self.stop != "random" and self.unrefined < least:
            raise InputError(
                f"refine: defensive={self.defensive} with stop={self.stop!r} must leave some "
                "proposals unrefined, because refinement alone narrows the law's support: pass "
                f"unrefined={least:.3f} or more, or stop='random'"
            )

    @property
    def _adam(self) -> bool:
        return self.update in ("adam", "scaled-adam")

    @property
    def unused(self) -> list[str]:
        """Settings that change nothing here; the law does not name them."""
        used = {
            "threshold": self.stop == "threshold",
            "stop_probability": self.stop == "random",
            "betas": self._adam,
            "reference": self.update == "scaled-adam",
            "defensive_scale": self.defensive > 0,
            "spread": self.defensive > 0 or self.step_size == "auto",
        }
        return [name for name, use in used.items() if not use]

    @property
    def alone(self) -> str | None:
        """Widened starts are there for an acceptance to choose from."""
        return WIDENED if self.defensive else None

    def prepare(self, gan: Networks, key: Key) -> Refine:
        """Resolve step size, threshold, reference and spread on pilot samples."""
        guide = gan.need_guide("refine")
        if self.layer == "latent":
            gan.latent.need_continuous("refine")
        if self.update == "scaled-adam" and guide.output == "critic":
            raise InputError(
                "refine update: got 'scaled-adam', which weighs by the probability of being "
                "real, but the guide is a critic; allowed are 'sgd', 'momentum' and 'adam'"
            )
        changes: dict[str, float] = {}
        if self.spread is None and (self.step_size == "auto" or self.defensive):
            changes["spread"] = rounded(self._measure_spread(gan, key))
            if changes["spread"] == 0:
                raise InputError(
                    f"refine layer: at {self.layer!r} the activation is the same for every sample "
                    "(its spread is 0), so no step size can be derived from it. The generator "
                    "may ignore its latents there. Give step_size and spread as numbers, or "
                    "choose another layer"
                )
        if self.step_size == "auto":
            spread = self.spread if self.spread is not None else changes["spread"]
            changes["step_size"] = rounded((AUTO_STEP if gan.shaped else UNSHAPED_STEP) * spread)
        for name, statistic, needed in (
            ("threshold", "median", self.stop == "threshold"),
            ("reference", "prob", self.update == "scaled-adam"),
        ):
            if needed and getattr(self, name) is None:
                if statistic not in (gan.real_logits or {}):
                    what = "median logit" if statistic == "median" else "mean probability"
                    raise InputError(
                        f"refine {name}: None takes the guide's {what} of real data, which this "
                        f"GAN does not know: call gan = gan.observe(real), or pass {name}=..."
                    )
                changes[name] = gan.real_logits[statistic]  # pyright: ignore
        if not gan.shaped:
            gan.say(
                "unshaped",
                "refine follows a discriminator that was not shaped, which often makes samples "
                "worse. To shape it: shape_discriminator(gan, real, refine=...)",
            )
        warn_saturated(gan, "refine", key)
        return replace(self, **changes)

    def _measure_spread(self, gan: Networks, key: Key) -> float:
        if self.layer == "data" and gan.spread is not None:
            return gan.spread
        rows = at_once(gan, self.layer, 256)
        ids = torch.arange(PILOTS if rows == 256 else FEW, device=gan.device)
        draw, head = gan.latent.draw, gan.cut(self.layer).head
        parts = ((draw(key.fold("spread"), part), gan.conditions(part)) for part in ids.split(rows))
        return spread_of(torch.cat([head(*part)[0] for part in parts]).detach())

    def cost(self) -> Cost:
        """The head once, then a tail, guide and gradient each time; the last one scores x."""
        return Cost(start=0 if self.layer == "latent" else 1, step=3, scores=True)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> RefineState:
        """Run the head, widen some starts, and draw every lane's stop."""
        z, cond = gan.latent.draw(key.fold("latent"), ids, attempts), gan.conditions(ids)
        h, carry = gan.cut(self.layer).head(z, cond)
        if self.defensive:
            h = self._inside(gan, self._widen(key, ids, attempts, h), h)
        zeros = torch.zeros_like(ids)
        best = None
        if self.stop == "best":
            best = Best.none(gan.cut(self.layer).tail(h, carry, cond))
        return RefineState(
            z=z,
            h=h.clone() if h is z else h,
            carry=carry,
            cond=cond,
            step=zeros,
            target=self._draw_stop(key, ids, attempts),
            moments=None if self.update == "sgd" else Moments.zeros(h, square=self._adam),
            loss=torch.full(ids.shape, torch.nan, dtype=torch.float64, device=h.device)
            if self.update == "scaled-adam"
            else None,
            best=best,
        )

    def _widen(self, key: Key, ids: Tensor, attempts: Tensor, h: Tensor) -> Tensor:
        coin, scale = key.fold("widen").uniform(ids, attempts, shape=(2,)).unbind(1)
        assert self.spread is not None  # resolved by prepare
        std = torch.where(coin < self.defensive, scale * self.defensive_scale * self.spread, 0.0)
        noise = key.fold("wide").normal(ids, attempts, shape=tuple(h.shape[1:]))
        return h + by_lane(std, h) * noise

    def _inside(self, gan: Networks, h: Tensor, before: Tensor) -> Tensor:
        """A latent stays where its prior is."""
        return gan.latent.keep_inside(h, before) if self.layer == "latent" else h

    def _draw_stop(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        target = torch.full_like(ids, self.steps)
        if self.stop == "random" and self.stop_probability is not None:
            target = geometric_stop(key, ids, attempts, self.steps, self.stop_probability)
        elif self.stop == "random":
            target = uniform_stop(key, ids, attempts, self.steps)
        if self.unrefined:
            stay = key.fold("unrefined").uniform(ids, attempts) < self.unrefined
            target = torch.where(stay, 0, target)
        return target

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor | None:
        """Every move, and the look that finds the lane at its stop; unknown with a threshold."""
        return None if self.stop == "threshold" else self._draw_stop(key, ids, attempts) + 1

    def step(self, gan: Networks, key: Key, state: RefineState) -> tuple[RefineState, Moved]:
        """Evaluate every lane where it stands, then move those that are not done."""
        s = state
        x, logit, gradient = gan.guidance(self.layer, s.h, s.carry, s.cond)
        done = s.step >= s.target
        if self.stop == "threshold":
            assert self.threshold is not None  # resolved by prepare
            done = done | (logit >= self.threshold)
        moved = Moved(x, s.z, logit, s.step, done)
        best = s.best
        if best is not None:
            best = best.of(x, logit, s.step)
            moved = Moved(best.x, s.z, best.logit, best.steps, done)
        slope = gradient.to(wide(gradient))
        if gan.guide is None or gan.guide.output != "critic":
            # The gradient of log sigmoid(d) is sigmoid(-d) times that of d.
            slope = slope * by_lane(torch.sigmoid(-logit), slope).to(slope.dtype)
        h, loss = self._update(s, slope, logit)
        h = h.to(s.h.dtype)
        if self.clamp is not None:
            h = h.clamp(*self.clamp)
        h = self._inside(gan, h, s.h)
        # Lanes that idle are stepped too, and count no further.
        step = (s.step + 1).clamp_(max=self.steps)
        # Written out: where torch 2.11 compiles ``_replace``, it returns an empty tuple.
        state = RefineState(s.z, h, s.carry, s.cond, step, s.target, s.moments, loss, best)
        return state, moved

    def _update(self, s: RefineState, slope: Tensor, logit: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return h + lambda update(slope), with the moments in place, and the smoothed loss."""
        lambda_, h, loss, scale = float(self.step_size), s.h.to(slope.dtype), s.loss, None
        if s.moments is None:
            return torch.add(h, slope, alpha=lambda_), None
        if not self._adam:
            return momentum(h, slope, s.moments, step_size=lambda_, decay=0.9), None
        if loss is not None:
            assert self.reference is not None  # resolved by prepare
            now = self.reference - torch.sigmoid(logit.to(loss.dtype))
            loss = torch.where(loss.isnan(), now, 0.5 * (loss + now))
            scale = (loss + 0.5).clamp(min=0).square()
        betas = self.betas or ((0.9, 0.5) if self.update == "scaled-adam" else (0.9, 0.999))
        settings = {"last": self.steps, "step_size": lambda_, "betas": betas, "scale": scale}
        return adam(h, slope, s.moments, s.step, **settings), loss
