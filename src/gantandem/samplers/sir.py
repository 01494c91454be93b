"""Sampling importance resampling (SIR) as a reservoir: of all proposals so far, one is held.

Keeping the k-th proposal with probability r_k / (r_1 + ... + r_k) leaves every proposal with the
probability r_k / sum r, so the choice is made while they arrive and no one ever holds M samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from gantandem.rng import Key
from gantandem.samplers.base import Chain, Proposal, Proposing, Selector
from gantandem.samplers.direct import Direct
from gantandem.settings import Count


@dataclass(frozen=True, kw_only=True)
class SIR(Selector):
    """Sampling importance resampling: one of M proposals, with probability proportional to r.

    Biased for a finite M, with p_data as its limit as M grows if the ratio is exact. Ding, Wang
    and Welch, Subsampling Generative Adversarial Networks: Density Ratio Estimation in Feature
    Space with Softplus Loss, IEEE TSP 2020 (arXiv 2019), SIR. They resample n times from one
    common pool of proposals, which can return the same image more than once; here every sample
    has M proposals of its own, so that samples are independent.

    Args:
        proposal: The mover that makes the proposals.
        proposals: M, proposals of a sample.

    Raises:
        InputError: If ``proposals`` is not a positive integer.
    """

    name: ClassVar[str] = "sir"

    proposal: Proposing = Direct()
    proposals: Count = 10

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Keep when u < r_k / (r_1 + ... + r_k): see ``choose``."""
        return choose(key, chain, new).done_if(new.attempt + 1 >= self.proposals)

    @property
    def budget(self) -> int:
        """Attempts of an id: all of them are needed."""
        return self.proposals


def choose(key: Key, chain: Chain, new: Proposal) -> Chain:
    """Keep the new proposal with probability r_k / (r_1 + ... + r_k), in logarithms.

    A ratio that is not finite is no weight: such a proposal is never chosen over another, and
    is held only while there is none. The engine hands infinite ones over as -inf, too.
    """
    log_weight = torch.where(new.log_ratio.isfinite(), new.log_ratio, -torch.inf)
    log_total = torch.logaddexp(chain.log_total, log_weight)
    # A NaN here is -inf - (-inf), nothing worth keeping: the comparison is then false.
    keep = key.log_uniform(new.id, new.attempt) < log_weight - log_total
    new = new._replace(log_ratio=log_weight)
    return chain.where(keep, new)._replace(log_total=log_total)
