"""Exact rejection."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from gantandem.samplers.base import PILOTS, Accepts, Chain, Proposal, Proposing
from gantandem.samplers.constants import Constant, by_condition, look_up, pack, worst
from gantandem.samplers.direct import Direct
from gantandem.settings import Count

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rejection(Accepts):
    """Accept with min(r / M, 1), M = max r on pilot proposals, then frozen.

    Exact if M bounds r = p_data / p_proposal. Proposals above M are counted as ``excess``. Azadi
    et al., Discriminator Rejection Sampling, ICLR 2019, Section 3.1. Unlike their code, M never
    changes while sampling.

    Args:
        proposal: The mover that makes the proposals.
        log_max: log M; None takes the largest log ratio of the pilot, of each condition its own:
            then it is pairs of a condition and its log M.
        pilot: Pilot proposals; None for 10,000, or fewer (2,000 at least) of costly networks.
        budget: Most attempts of an id; then its last proposal is returned as not accepted.

    Raises:
        InputError: If a setting is not finite, or ``pilot`` or ``budget`` no positive integer.
    """

    name: ClassVar[str] = "rejection"

    proposal: Proposing = Direct()
    log_max: Constant | None = None
    pilot: Count | None = None
    budget: Count = 10_000

    def prepare(self, pilot: Callable[[int], Proposal]) -> Rejection:
        """Fix M on the pilot; warn when the ratio looks unbounded."""
        if self.log_max is not None:
            return self
        groups = by_condition(self.name, pilot(self.pilot or PILOTS))
        step, where = worst({key: -_last_step(values) for key, values in groups.items()})
        if -step > math.log(10):
            logger.warning(
                "rejection: the largest ratio of the pilot%s is %.3g times its 99.9%% quantile "
                "(over 10). The ratio seems to have no bound, so the result is not exact. OBRS "
                "suits heavy tails better",
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
