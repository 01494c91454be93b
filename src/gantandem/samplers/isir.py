"""Iterated sampling importance resampling (i-SIR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from gantandem.rng import Key
from gantandem.samplers.base import Chain, Proposal, Proposing, Selector
from gantandem.samplers.direct import Direct
from gantandem.samplers.sir import choose
from gantandem.settings import Count, at_least


@dataclass(frozen=True, kw_only=True)
class ISIR(Selector):
    """Iterated SIR: among the current point and N - 1 fresh ones choose one with weights r; repeat.

    A chain that leaves p_data invariant for any N >= 2 if the ratio is exact; its law tends to
    p_data as the rounds go on. Samsonov et al., Local-Global MCMC kernels: the best of both worlds,
    NeurIPS 2022, Algorithm 1. Chains start from one proposal. The paper keeps every state of one
    long chain; here every sample is the last state of a chain of its own, so that samples are
    independent.

    Args:
        proposal: The mover that makes the proposals.
        points: N, the current point and N - 1 fresh ones.
        rounds: Choices of a chain; it costs 1 + rounds (N - 1) proposals.

    Raises:
        InputError: If ``points`` is not an integer of 2 or more, or ``rounds`` not of 1 or more.
    """

    name: ClassVar[str] = "isir"

    proposal: Proposing = Direct()
    points: Annotated[int, at_least(2)] = 10
    rounds: Count = 10

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Keep when u < r / total, the total of a round beginning with the current point's r."""
        begins = (new.attempt - 1) % (self.points - 1) == 0
        log_total = torch.where(begins, chain.log_ratio, chain.log_total)
        chain = choose(key, chain._replace(log_total=log_total), new)
        return chain.done_if(new.attempt + 1 >= self.budget)

    @property
    def budget(self) -> int:
        """Attempts of an id: all of them are needed."""
        return 1 + self.rounds * (self.points - 1)
