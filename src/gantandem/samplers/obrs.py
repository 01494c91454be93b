"""Optimal budgeted rejection sampling (OBRS)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from torch import Tensor

from gantandem.samplers.base import PILOTS, Accepts, Proposal, Proposing
from gantandem.samplers.constants import Constant, by_condition, look_up, pack, worst
from gantandem.samplers.direct import Direct
from gantandem.settings import Count, Rule

HEAVY_TAIL = 0.02
"""Below this effective share of its pilot, OBRS says that the tail of the ratios is heavy."""


@dataclass(frozen=True, kw_only=True)
class OBRS(Accepts):
    """Optimal budgeted rejection: accept with min(c r, 1), for K expected proposals at most.

    On the pilot c = 1 / max r where that accepts one in K or more: then it is exact, and as cheap
    as an exact rule can be. Elsewhere c is larger, such that one in K is accepted: the best
    f-divergence to p_data that K expected proposals can buy. Verine et al., Optimal Budgeted
    Rejection Sampling for Generative Models, AISTATS 2024: their theorem writes c as c_K / M, with
    M = max r and c_K >= 1. Their code solves for one in K where K > M, too, which needs c_K < 1 and
    pays for proposals that the exact rule does not need.

    Args:
        proposal: The mover that makes the proposals.
        expected: K, the most expected proposals a sample (2 to 10 in the paper).
        log_scale: log c; None solves for it on the pilot. With conditions it is solved for each of
            them, and is a tuple of pairs (condition, log c).
        pilot: Pilot proposals; None for 10,000, or fewer (2,000 at least) of costly networks.
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
    pilot: Count | None = None
    max_attempts: Count | None = None

    def prepare(self, pilot: Callable[[int], Proposal]) -> OBRS:
        """Find log c on the pilot."""
        if self.log_scale is not None:
            return self
        groups = by_condition(self.name, pilot(self.pilot or PILOTS))
        found = {key: _budgeted_scale(values, self.expected) for key, values in groups.items()}
        return replace(self, log_scale=pack(found))

    def caution(self, pilot: Proposal) -> str:
        """Warn of a heavy tail."""
        return heavy_tail(by_condition(self.name, pilot, quiet=True))

    def log_accept(self, new: Proposal) -> Tensor:
        """Log c + log r; above 0 it is certain, which is the min of min(c r, 1)."""
        return look_up(self.log_scale, new) + new.log_ratio

    @property
    def budget(self) -> int:
        """Most attempts of an id."""
        return math.ceil(32 * self.expected) if self.max_attempts is None else self.max_attempts


def heavy_tail(groups: Mapping[Any, Tensor]) -> str:
    """What to say where the weights of a few proposals are nearly all there are; else "".

    Args:
        groups: (n,) log ratios of each condition, see ``by_condition``.
    """
    share, where = worst({key: effective_share(v) for key, v in groups.items()})
    if share >= HEAVY_TAIL:
        return ""
    return (
        f"the tail of the ratios is heavy: the weights of the pilot{where} count as much as "
        f"{100 * share:.2g}% as many equal weights (below {100 * HEAVY_TAIL:g}%), so acceptance "
        "depends on few proposals. Run diagnose(), then fit or calibrate the ratio again, or "
        "refine the proposals"
    )


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
