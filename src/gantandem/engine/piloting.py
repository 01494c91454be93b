"""How many pilot proposals a selector gets: as many as their cost allows."""

from __future__ import annotations

import logging

import torch

from gantandem.networks.costs import measure
from gantandem.networks.networks import Networks
from gantandem.progress import in_words
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key
from gantandem.samplers.base import PILOTS, Mover

logger = logging.getLogger("gantandem.progress")

LEAST = 2_000
"""Of fewer pilot proposals constants are not sure enough: of K = 8 proposals a sample the standard
error is .5, and one proposal in 2,001 lies above the largest ratio found."""
ALLOWED, ELSEWHERE = 1e13, 1e15
"""Operations of a pilot, on a CPU (minutes on two cores) and elsewhere, beyond the least."""
WORTH_SAYING = 2e12
"""Before a pilot of more operations, how long it will take is measured and said."""
UNKNOWN = 100
"""Steps of a mover whose lanes end when the data decide."""
LOOKED_AT = 64


def passes_of(mover: Mover) -> float:
    """Passes behind a proposal of a prepared mover, on average."""
    cost, ids = mover.cost(), torch.arange(LOOKED_AT)
    lives = mover.lifetime(Key(0), ids, torch.zeros_like(ids))
    steps = UNKNOWN if lives is None else float(lives.double().mean())
    return cost.start + steps * cost.step


def pilot_size(networks: Networks, mover: Mover, ratio: Ratio) -> int:
    """10,000 pilot proposals, or fewer where they would take more operations than are allowed.

    Operations are counted, so that every machine of a kind finds the same constants.

    Args:
        networks: What makes proposals.
        mover: Prepared.
        ratio: What judges them.
    """
    work = passes_of(mover) * measure(networks, ratio.score.network).whole
    allowed = ALLOWED if networks.device.type == "cpu" else ELSEWHERE
    return min(PILOTS, max(LEAST, int(allowed / max(work, 1.0))))


def say_pilot(name: str, networks: Networks, mover: Mover, ratio: Ratio, count: int) -> None:
    """Say how long a pilot will take, where that is long."""
    cost = measure(networks, ratio.score.network)
    work = count * passes_of(mover) * cost.whole
    if work > WORTH_SAYING:
        takes = in_words(work / cost.speed())
        logger.info("%s: %s pilot proposals first, about %s here", name, f"{count:,}", takes)
