"""Discriminator rejection sampling (DRS)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from gantandem.samplers.base import PILOTS, Accepts, Chain, Proposal, Proposing
from gantandem.samplers.constants import Constant, at, by_condition, look_up, pack
from gantandem.samplers.direct import Direct
from gantandem.settings import Count, Positive, Rule

BELOW_100 = Rule("a percentile from 0 to below 100", lambda value: 0 <= value < 100)


@dataclass(frozen=True, kw_only=True)
class DRS(Accepts):
    """Discriminator rejection sampling as published: accept with sigmoid(F).

    F = Delta - log(1 - exp(Delta - eps)) - gamma with Delta = min(log r - log M, 0) and gamma a
    percentile of F + gamma on the pilot: more acceptances than exact rejection, for a biased law
    (exact only with gamma = 0, eps -> 0 and a true M). Azadi et al., ICLR 2019, Equation 8. Maximum
    and gamma are frozen on a pilot and do not follow the batch, as they do in published code. Where
    the ratio hardly varies, a high percentile gives a gamma above 0: DRS then accepts less than
    exact rejection, and returns the highest ratios alone. The default stops at 0.

    Args:
        proposal: The mover that makes the proposals.
        percentile: gamma is this percentile of F + gamma on the pilot, from 0 to below 100; None
            means gamma 0. ``"auto"`` takes the 95th, as published, and 0 where that is above 0,
            which is not published.
        eps: Keeps the logarithm finite.
        log_max: log M; None takes the largest log ratio of the pilot. With conditions each has its
            own: ``log_max`` and ``gamma`` are then tuples of pairs (condition, value).
        gamma: None takes it from the pilot.
        pilot: Pilot proposals; None for 10,000, or fewer (2,000 at least) of costly networks.
        budget: Most attempts of an id; then its last proposal is returned as not accepted.

    The paper writes D~ for log r and D~*_M for log M.

    Raises:
        InputError: If a setting is out of range.
    """

    name: ClassVar[str] = "drs"

    proposal: Proposing = Direct()
    percentile: Annotated[float, BELOW_100] | Literal["auto"] | None = "auto"
    eps: Positive = 1e-6
    log_max: Constant | None = None
    gamma: Constant | None = None
    pilot: Count | None = None
    budget: Count = 10_000

    def prepare(self, pilot: Callable[[int], Proposal]) -> DRS:
        """Fix M and gamma on the pilot."""
        if self.log_max is not None and self.gamma is not None:
            return self
        groups = by_condition(self.name, pilot(self.pilot or PILOTS))
        log_max, gamma = self.log_max, self.gamma
        if log_max is None:
            log_max = pack({key: float(values.max()) for key, values in groups.items()})
        if gamma is None and self.percentile is None:
            gamma = 0.0
        if gamma is None and self.percentile is not None:
            share, most = (
                (0.95, 0.0) if self.percentile == "auto" else (self.percentile / 100, math.inf)
            )
            logits = {key: self._logit(v, at(log_max, key)) for key, v in groups.items()}
            quantiles = {k: float(v[v.isfinite()].quantile(share)) for k, v in logits.items()}
            gamma = pack({k: min(value, most) for k, value in quantiles.items()})
        return replace(self, log_max=log_max, gamma=gamma)

    def _logit(self, log_ratio: Tensor, log_max: float | Tensor) -> Tensor:
        """F + gamma, with Delta = min(log r - log M, 0): Delta - log(1 - exp(Delta - eps))."""
        delta = (log_ratio - log_max).clamp(max=0.0)
        return delta - torch.log(-torch.expm1(delta - self.eps))

    def log_accept(self, new: Proposal) -> Tensor:
        """Log sigmoid(F)."""
        logit = self._logit(new.log_ratio, look_up(self.log_max, new))
        return functional.logsigmoid(logit - look_up(self.gamma, new))

    def count(self, chain: Chain, new: Proposal) -> dict[str, Tensor]:
        """Count where the frozen maximum was exceeded."""
        return {"excess": new.log_ratio > look_up(self.log_max, new)}
