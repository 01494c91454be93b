"""Rejection: exact, discriminator rejection sampling (DRS), and optimal budgeted (OBRS)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gantandem.errors import InputError, NonFiniteError
from gantandem.rng import Key
from gantandem.samplers.base import Chain, Proposal, Proposing
from gantandem.samplers.direct import Direct
from gantandem.settings import Count, Positive, Rule, Settings

logger = logging.getLogger(__name__)

BELOW_100 = Rule("a percentile from 0 to below 100", lambda value: 0 <= value < 100)
HEAVY_TAIL = 0.02
"""Below this effective share of its pilot, OBRS says that the tail of the ratios is heavy."""


@dataclass(frozen=True, kw_only=True)
class Rejection(Settings):
    """Accept with min(r / M, 1), M = max r on pilot proposals, then frozen.

    Exact if M bounds r; proposals above M are counted as ``excess``. Azadi et al., Discriminator
    Rejection Sampling, ICLR 2019, Section 3.1. Unlike their code, M never changes while sampling.

    Args:
        proposal: The mover that makes the proposals.
        log_max: log M; None takes the largest log ratio of the pilot.
        pilot: Pilot proposals.
        budget: Most attempts of an id; then its last proposal is returned as not accepted.

    Raises:
        InputError: If ``pilot`` or ``budget`` is not a positive integer.
    """

    name: ClassVar[str] = "rejection"

    proposal: Proposing = Direct()
    log_max: float | None = None
    pilot: Count = 10_000
    budget: Count = 10_000

    def prepare(self, pilot: Callable[[int], Tensor]) -> Rejection:
        """Fix M on the pilot; warn when the ratio looks unbounded."""
        if self.log_max is not None:
            return self
        log_ratio = pilot(self.pilot).sort().values
        top, rest = float(log_ratio[-1]), float(log_ratio[-1 - len(log_ratio) // 1000])
        if top - rest > math.log(10):
            logger.warning(
                "rejection: the largest ratio of the pilot (%.3g) is over 10 times its 99.9%% "
                "quantile: the ratio looks unbounded, so the result is not exact. OBRS suits "
                "heavy tails better",
                math.exp(top),
            )
        return replace(self, log_max=top)

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Accept when log u < log r - log M."""
        accept = key.log_uniform(new.id, new.attempt) < new.log_ratio - _known(self.log_max)
        return chain.accept_if(accept, new, self.budget)

    def excess(self, new: Proposal) -> Tensor:
        """Where the frozen bound was exceeded."""
        return new.log_ratio > _known(self.log_max)


@dataclass(frozen=True, kw_only=True)
class DRS(Settings):
    """Discriminator rejection sampling as published: accept with sigmoid(F).

    F = Delta - log(1 - exp(Delta - eps)) - gamma with Delta = min(log r - log M, 0) and gamma a
    percentile of F on the pilot: more acceptances than exact rejection, for a biased law (exact
    only with gamma = 0, eps -> 0 and a true M). Azadi et al., ICLR 2019, Equation 8. Maximum and
    gamma are frozen on a pilot and do not follow the batch, as they do in published code.

    Args:
        proposal: The mover that makes the proposals.
        percentile: gamma is this percentile of F on the pilot, from 0 to 100; None means gamma 0.
        eps: Keeps the logarithm finite.
        log_max: log M; None takes the largest log ratio of the pilot.
        gamma: None takes it from the pilot.
        pilot: Pilot proposals.
        budget: Most attempts of an id; then its last proposal is returned as not accepted.

    Raises:
        InputError: If a setting is out of range.
    """

    name: ClassVar[str] = "drs"

    proposal: Proposing = Direct()
    percentile: Annotated[float, BELOW_100] | None = 95.0
    eps: Positive = 1e-6
    log_max: float | None = None
    gamma: float | None = None
    pilot: Count = 10_000
    budget: Count = 10_000

    def prepare(self, pilot: Callable[[int], Tensor]) -> DRS:
        """Fix M and gamma on the pilot."""
        if self.log_max is not None and self.gamma is not None:
            return self
        log_ratio = pilot(self.pilot)
        log_max = float(log_ratio.max()) if self.log_max is None else self.log_max
        gamma = self.gamma
        if gamma is None:
            known = replace(self, log_max=log_max, gamma=0.0)
            share = None if self.percentile is None else self.percentile / 100
            gamma = 0.0 if share is None else float(known._logit(log_ratio).quantile(share))
        return replace(self, log_max=log_max, gamma=gamma)

    def _logit(self, log_ratio: Tensor) -> Tensor:
        """F, the logit of the acceptance probability."""
        delta = (log_ratio - _known(self.log_max)).clamp(max=0.0)
        return delta - torch.log(-torch.expm1(delta - self.eps)) - _known(self.gamma)

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Accept when log u < log sigmoid(F)."""
        log_accept = F.logsigmoid(self._logit(new.log_ratio))
        accept = key.log_uniform(new.id, new.attempt) < log_accept
        return chain.accept_if(accept, new, self.budget)

    def excess(self, new: Proposal) -> Tensor:
        """Where the frozen maximum was exceeded."""
        return new.log_ratio > _known(self.log_max)


@dataclass(frozen=True, kw_only=True)
class OBRS(Settings):
    """Optimal budgeted rejection: accept with min(c r, 1), for at most K proposals a sample.

    On the pilot c = 1 / max r where that accepts one in K or more: then it is exact, and as cheap
    as an exact rule can be. Elsewhere c is larger, such that one in K is accepted: the best
    f-divergence to p_data that K proposals a sample can buy. Verine et al., Optimal Budgeted
    Rejection Sampling for Generative Models, AISTATS 2024; they solve for one in K in any case,
    and then pay for proposals that an exact rule does not need.

    Args:
        proposal: The mover that makes the proposals.
        expected: K, the most expected proposals a sample (2 to 10 in the paper).
        log_scale: log c; None solves for it on the pilot.
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
    log_scale: float | None = None
    pilot: Count = 10_000
    max_attempts: Count | None = None

    def prepare(self, pilot: Callable[[int], Tensor]) -> OBRS:
        """Find log c on the pilot, and warn when the tail of its ratios is heavy."""
        if self.log_scale is not None:
            return self
        log_ratio = _ratios(self.name, pilot(self.pilot))
        share = effective_share(log_ratio)
        if share < HEAVY_TAIL:
            logger.warning(
                "obrs: the tail of the ratios is heavy: the weights of %d pilot proposals are "
                "worth %.2g%% as many equal ones (under %g%%), so what is accepted rests on a "
                "few. Look at diagnose(); refit or calibrate the ratio, or refine the proposals",
                len(log_ratio),
                100 * share,
                100 * HEAVY_TAIL,
            )
        return replace(self, log_scale=_budgeted_scale(log_ratio, self.expected))

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Accept when log u < log c + log r."""
        accept = key.log_uniform(new.id, new.attempt) < _known(self.log_scale) + new.log_ratio
        return chain.accept_if(accept, new, self.budget)

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


def _ratios(name: str, log_ratio: Tensor) -> Tensor:
    """Refuse pilot ratios from which no constant can be taken.

    A log ratio of -inf (a ratio of 0) is one that is never accepted, and may occur.
    """
    if bool(log_ratio.isnan().any()) or bool((log_ratio == torch.inf).any()):
        raise NonFiniteError(
            f"{name}: the pilot has log ratios that are NaN or +inf; allowed are numbers and -inf "
            "(a ratio of 0). Check the network that judges"
        )
    if not bool(log_ratio.isfinite().any()):
        raise NonFiniteError(
            f"{name}: every ratio of the pilot ({len(log_ratio)} proposals) is 0, so nothing can "
            "be accepted. The discriminator gives every sample -inf: check its weights and the "
            "range of its input, or fit_ratio()"
        )
    return log_ratio


def _known(value: float | None) -> float:
    if value is None:
        raise InputError("this selector was not prepared; sample() does it, or call prepare")
    return value
