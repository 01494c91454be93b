"""Metropolis-Hastings with independent proposals (MH-GAN)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gantandem.rng import Key
from gantandem.samplers.base import Chain, Proposal, Proposing, Selector
from gantandem.samplers.direct import Direct
from gantandem.settings import Count


@dataclass(frozen=True, kw_only=True)
class Metropolis(Selector):
    """Independence chain: y ~ proposal, accepted with min(1, r(y) / r(x)); its last state is kept.

    The law tends to p_data as the number of proposals grows, if the ratio is exact. MH-GAN writes
    r as D / (1 - D), with D the calibrated probability of real. Turner et
    al., Metropolis-Hastings Generative Adversarial Networks, ICML 2019, Algorithm 1; Liu et al.,
    AAAI 2020, Equation 8. Chains start from their first proposal and not, as in MH-GAN, from a
    real sample, which might then be emitted as it is.

    Args:
        proposal: The mover that makes the proposals.
        proposals: K, proposals of a chain (640 in MH-GAN, 20 in collaborative sampling).

    Raises:
        InputError: If ``proposals`` is not a positive integer.
    """

    name: ClassVar[str] = "metropolis"

    proposal: Proposing = Direct()
    proposals: Count = 20

    def judge(self, key: Key, chain: Chain, new: Proposal) -> Chain:
        """Accept when log u < log r(y) - log r(x); a NaN is a rejection."""
        accept = key.log_uniform(new.id, new.attempt) < new.log_ratio - chain.log_ratio
        return chain.where(accept, new).done_if(new.attempt + 1 >= self.proposals)

    @property
    def budget(self) -> int:
        """Attempts of an id: all of them are needed."""
        return self.proposals

    def count(self, chain: Chain, new: Proposal) -> dict[str, Tensor]:
        """Count chains that never left their first proposal."""
        return {"stuck": chain.done & (chain.moves == 0)}
