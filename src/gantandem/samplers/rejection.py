"""Rejection: exact, discriminator rejection sampling (DRS), and optimal budgeted (OBRS)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gantandem.samplers.base import Accepts, Chain, Proposal, Proposing
from gantandem.samplers.constants import Constant, at, by_condition, look_up, pack, worst
from gantandem.samplers.direct import Direct
from gantandem.settings import Count, Positive, Rule

logger = logging.getLogger(__name__)

BELOW_100 = Rule("a percentile from 0 to below 100", lambda value: 0 <= value < 100)
HEAVY_TAIL = 0.02
"""Below this effective share of its pilot, OBRS says that the tail of the ratios is heavy."""


@dataclass(frozen=True, kw_only=True)
class Rejection(Accepts):
    """Accept with min(r / M, 1), M = max r on pilot proposals, then frozen.

    Exact if M bounds r; proposals above M are counted as ``excess``. Azadi et al., Discriminator
    Rejection Sampling, ICLR 2019, Section 3.1. Unlike their code, M never changes while sampling.

    Args:
        proposal: The mover that makes the proposals.
        log_max: log M; None takes the largest log ratio of the pilot, of each condition its own:
            then it is pairs of a condition and its log M.
        pilot: Pilot proposals.
        budget: Most attempts of an id; then its last proposal is returned as not accepted.

    Raises:
        InputError: If a setting is not finite, or ``pilot`` or ``budget`` no positive integer.
    """

    name: ClassVar[str] = "rejection"

    proposal: Proposing = Direct()
    log_max: Constant | None = None
    pilot: Count = 10_000
    budget: Count = 10_000

    def prepare(self, pilot: Callable[[int], Proposal]) -> Rejection:
        """Fix M on the pilot; warn when the ratio looks unbounded."""
        if self.log_max is not None:
            return self
        groups = by_condition(self.name, pilot(self.pilot))
        step, where = worst({key: -_last_step(values) for key, values in groups.items()})
        if -step > math.log(10):
            logger.warning(
                "rejection: the largest ratio of the pilot%s is %.3g times its 99.9%% quantile "
                "(over 10): the ratio looks unbounded, so the result is not exact. OBRS suits "
                "heavy tails better",
                where,
                math.exp(min(-step, 700)),
            )
        return replace(self, log_max=pack({key: float(v.max()) for key, v in groups.items()}))

    def log_accept(self, new: Proposal) -> Tensor:
        """Log r - log M."""
        return new.log_ratio - look_up(self.log_max, new)

    def count(self, chain: Chain, new: Proposal) -> dict[str, Tensor]:
        """Count where the frozen bound was exceeded."""
        return {"excess": new.log_ratio > look_up(self.log_max, new)}


def _last_step(log_ratio: Tensor) -> float:
    """How far the largest log ratio lies above the 99.9% quantile."""
    ordered = log_ratio.sort().values
    return float(ordered[-1] - ordered[-1 - len(ordered) // 1000])


@dataclass(frozen=True, kw_only=True)
class DRS(Accepts):
    """Discriminator rejection sampling as published: accept with sigmoid(F).

    F = Delta - log(1 - exp(Delta - eps)) - gamma with Delta = min(log r - log M, 0) and gamma a
    percentile of F on the pilot: more acceptances than exact rejection, for a biased law (exact
    only with gamma = 0, eps -> 0 and a true M). Azadi et al., ICLR 2019, Equation 8. Maximum and
    gamma are frozen on a pilot and do not follow the batch, as they do in published code. Where
    the ratio hardly varies, a high percentile gives a gamma above 0: DRS then accepts less than
    exact rejection, and returns the highest ratios alone. The default stops at 0.

    Args:
        proposal: The mover that makes the proposals.
        percentile: gamma is this percentile of F on the pilot, from 0 to below 100; None means
            gamma 0, and ``"auto"`` the 95th, as published, but no more than 0.
        eps: Keeps the logarithm finite.
        log_max: log M; None takes the largest log ratio of the pilot, of each condition its own:
            then it is pairs of a condition and its log M, and so is gamma.
        gamma: None takes it from the pilot.
        pilot: Pilot proposals.
        budget: Most attempts of an id; then its last proposal is returned as not accepted.

    Raises:
        InputError: If a setting is out of range.
    """

    name: ClassVar[str] = "drs"

    proposal: Proposing = Direct()
    percentile: Annotated[float, BELOW_100] | Literal["auto"] | None = "auto"
    eps: Positive = 1e-6
    log_max: Constant | None = None
    gamma: Constant | None = None
    pilot: Count = 10_000
    budget: Count = 10_000

    def prepare(self, pilot: Callable[[int], Proposal]) -> DRS:
        """Fix M and gamma on the pilot."""
        if self.log_max is not None and self.gamma is not None:
            return self
        groups = by_condition(self.name, pilot(self.pilot))
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
        """F + gamma."""
        delta = (log_ratio - log_max).clamp(max=0.0)
        return delta - torch.log(-torch.expm1(delta - self.eps))

    def log_accept(self, new: Proposal) -> Tensor:
        """Log sigmoid(F)."""
        logit = self._logit(new.log_ratio, look_up(self.log_max, new))
        return F.logsigmoid(logit - look_up(self.gamma, new))

    def count(self, chain: Chain, new: Proposal) -> dict[str, Tensor]:
        """Count where the frozen maximum was exceeded."""
        return {"excess": new.log_ratio > look_up(self.log_max, new)}


@dataclass(frozen=True, kw_only=True)
class OBRS(Accepts):
    """Optimal budgeted rejection: accept with min(c r, 1), for at most K proposals a sample.

    On the pilot c = 1 / max r where that accepts one in K or more: then it is exact, and as cheap
    as an exact rule can be. Elsewhere c is larger, such that one in K is accepted: the best
    f-divergence to p_data that K proposals a sample can buy. Verine et al., Optimal Budgeted
    Rejection Sampling for Generative Models, AISTATS 2024; they solve for one in K in any case,
    and then pay for proposals that an exact rule does not need.

    Args:
        proposal: The mover that makes the proposals.
        expected: K, the most expected proposals a sample (2 to 10 in the paper).
        log_scale: log c; None solves for it on the pilot, for each condition by itself: then it is
            pairs of a condition and its log c.
        pilot: Pilot proposals.
        max_attempts: Most attempts of an id, None for 32 K; then its last proposal is returned as
            not accepted.

    Raises:
        InputError: If ``expected`` is not a finite number of 1 or more, or ``pilot`` is not a
            positive integer.
    """

    name: ClassVar[str] = "obrs"

    proposal: Proposing = Direct()
    expected: Annotated[float, Rule("a number of 1 or more", lambda k: k >= 1)] = 8.0
    log_scale: Constant | None = None
    pilot: Count = 10_000
    max_attempts: Count | None = None

    def prepare(self, pilot: Callable[[int], Proposal]) -> OBRS:
        """Find log c on the pilot, and warn when the tail of its ratios is heavy."""
        if self.log_scale is not None:
            return self
        groups = by_condition(self.name, pilot(self.pilot))
        share, where = worst({key: effective_share(v) for key, v in groups.items()})
        if share < HEAVY_TAIL:
            logger.warning(
                "obrs: the tail of the ratios is heavy: the weights of the pilot%s are worth "
                "%.2g%% as many equal ones (under %g%%), so what is accepted rests on a few. Look "
                "at diagnose(); refit or calibrate the ratio, or refine the proposals",
                where,
                100 * share,
                100 * HEAVY_TAIL,
            )
        found = {key: _budgeted_scale(values, self.expected) for key, values in groups.items()}
        return replace(self, log_scale=pack(found))

    def log_accept(self, new: Proposal) -> Tensor:
        """Log c + log r."""
        return look_up(self.log_scale, new) + new.log_ratio

    @property
    def budget(self) -> int:
        """Most attempts of an id."""
        return math.ceil(32 * self.expected) if self.max_attempts is None else self.max_attempts


def effective_share(log_ratio: Tensor) -> float:
    """(sum r)^2 / (n sum r^2): the share of equal weights that (n,) log ratios are worth."""
    weight = (log_ratio - log_ratio.max()).exp()
    return float(weight.sum() ** 2 / (len(weight) * (weight**2).sum()))


def _budgeted_scale(log_ratio: Tensor, expected: float) -> float:
    """The least log c >= -log max r with mean(min(c r, 1)) >= 1 / expected, by bisection.

    Ratios are taken relative to their largest, so that their common scale costs no digits. Where
    too many are 0, c accepts all others.
    """
    top = log_ratio.max()
    below = log_ratio - top
    low, high = 0.0, -float(below[below.isfinite()].min())
    if float(below.exp().mean()) >= 1 / expected:
        high = low
    for _ in range(100):
        middle = (low + high) / 2
        mean = float((below + middle).clamp(max=0).exp().mean())
        low, high = (middle, high) if mean < 1 / expected else (low, middle)
    return high - float(top)
