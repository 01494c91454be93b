"""How large shaping and fits are by default: their sizes follow what the networks cost.

The work of a step is counted in operations (a multiplication and an addition are two), which no
clock decides. On points and small networks the sizes are the largest. Where that many operations
would take hours, all of them shrink together; a budget of time does the same by a clock.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from gantandem.engine.piloting import passes_of
from gantandem.errors import InputError
from gantandem.networks.costs import Cost, measure
from gantandem.networks.networks import Networks
from gantandem.progress import in_words
from gantandem.samplers.base import Mover
from gantandem.settings import show

logger = logging.getLogger("gantandem.progress")

ALLOWED, ELSEWHERE = 4e13, 4e15
"""Operations of a step at its default sizes, on a CPU (minutes on two cores) and elsewhere."""
WORTH_SAYING = 2e12
"""Before a step of more operations, how long it will take is measured and said."""
SLACK = 1.5
"""Times that a budget may be missed by before it is refused."""
GRADIENT = 3
"""Passes that a pass with its gradient counts for."""
CHECK_EVERY, FEW_LOOKS, STEP_LOOKS = 500, 3, 5
"""Updates between two comparisons; the fewest comparisons after the first; those of step sizes."""
MOST_BESIDE = 20
"""Proposals of a fit for each real sample, at most; though 5,000 in any case."""
FEW_DIAGNOSED = 1000
"""Fewest proposals of a diagnosis that keeps to a budget."""
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

Budget = float | str
"""A time in seconds, or in words: ``"90s"``, ``"10m"``, ``"1.5h"``."""


class Size(NamedTuple):
    """The most of something, and the least."""

    most: int
    least: int

    def at(self, share: float) -> int:
        """The size that belongs to a share of the whole work, to which two sizes contribute."""
        return max(self.least, round(self.most * share**0.5))


def shaping_sizes(
    networks: Networks,
    steps: int,
    width: int | None,
    given: Mapping[str, int | None],
    budget: Budget | None,
) -> dict[str, int]:
    """``updates``, ``batch`` and ``check_samples`` of shaping, and how often it compares.

    Args:
        networks: With the guide to shape.
        steps: Of the refinement.
        width: Lanes, if the user gave them.
        given: Sizes that the user gave, by name; they stay.
        budget: A time to keep to.

    Raises:
        InputError: If the least sizes take longer than the budget, or that is no time.
    """
    sizes = {"updates": Size(3000, 300), "batch": Size(512, 64), "check_samples": Size(2000, 256)}
    cost = measure(networks, networks.need_guide("shape").network)

    def work(updates: int, batch: int, check_samples: int) -> float:
        looks = 1 + max(FEW_LOOKS, -(-updates // CHECK_EVERY)) + STEP_LOOKS
        moved = updates * (width or batch) + looks * check_samples * steps
        return GRADIENT * (moved * cost.whole + updates * 2 * batch * cost.score)

    found = _largest("shape", cost, sizes, work, given, budget, networks.device)
    every = given.get("check_every")
    third = CHECK_EVERY if given.get("updates") else -(-found["updates"] // FEW_LOOKS)
    return {**found, "check_every": every or min(CHECK_EVERY, third)}


def fitting_sizes(
    networks: Networks,
    mover: Mover,
    learners: Sequence[Callable[[], nn.Module | None]],
    real: int,
    given: Mapping[str, int | None],
    budget: Budget | None,
) -> tuple[int, dict[str, int]]:
    """What learns in a ratio's fit, and ``n``, ``updates`` and ``batch`` of it.

    Proposals and training may cost alike.

    Args:
        networks: Of the law's proposals.
        mover: Prepared; it makes them.
        learners: They make what may learn, in eval mode, the first choice first: where its least
            sizes take too long, the next is taken. None is of no weight.
        real: How many real samples there are to fit on, beside which more proposals say little.
        given: Sizes that the user gave, by name; they stay.
        budget: A time to keep to, half of it for proposals.

    Returns:
        The number of the learner, and the sizes.

    Raises:
        InputError: If the least sizes take longer than the budget, or that is no time.
    """
    passes, own = passes_of(mover), measure(networks, learners[0]())
    batch = Size(min(1000, max(128, real)), 128)
    sizes = {"updates": Size(1500, 300), "batch": batch}

    def learning(cost: Cost, updates: int, batch: int) -> float:
        return GRADIENT * updates * 2 * batch * cost.score

    def too_long(cost: Cost) -> bool:
        least = {name: given.get(name) or size.least for name, size in sizes.items()}
        allowed = _allowed("fit_ratio", cost, budget, networks.device, 0.5)
        return learning(cost, **least) > SLACK * allowed

    which = 0
    while which + 1 < len(learners) and too_long(own):
        which += 1
        own = measure(networks, learners[which]())
        logger.info(
            "fit_ratio: to train the discriminator further takes too long here. A smaller network "
            "is fitted beside it; a larger budget trains the discriminator"
        )

    def largest(sizes: Mapping[str, Size], work: Callable[..., float]) -> dict[str, int]:
        return _largest("fit_ratio", own, sizes, work, given, budget, networks.device, portion=0.5)

    most = min(100_000, max(5_000, MOST_BESIDE * real))
    found = largest({"n": Size(most, 5_000)}, lambda n: n * passes * own.whole)
    return which, found | largest(sizes, functools.partial(learning, own))


def diagnosis_size(
    networks: Networks, mover: Mover, real: int, budget: Budget | None
) -> int | None:
    """Proposals of a diagnosis within a budget; None, as many as real samples, without one.

    Args:
        networks: Of the law's proposals.
        mover: Prepared; it makes them.
        real: How many real samples there are.
        budget: A time to keep to.
    """
    if budget is None:
        return None
    cost = measure(networks, None)
    allowed = _allowed("diagnose", cost, budget, networks.device, 1.0)
    return min(real, max(FEW_DIAGNOSED, int(allowed / (passes_of(mover) * cost.whole))))


def _allowed(
    where: str, cost: Cost, budget: Budget | None, device: torch.device, portion: float
) -> float:
    """Operations that a step may take."""
    if budget is None:
        return ALLOWED if device.type == "cpu" else ELSEWHERE
    return portion * seconds(budget, where) * cost.speed()


def _largest(
    where: str,
    cost: Cost,
    sizes: Mapping[str, Size],
    work: Callable[..., float],
    given: Mapping[str, int | None],
    budget: Budget | None,
    device: torch.device,
    portion: float = 1.0,
) -> dict[str, int]:
    """The largest sizes whose work is allowed; where it is much, say how long it will take."""

    def at(share: float) -> dict[str, int]:
        return {name: given.get(name) or size.at(share) for name, size in sizes.items()}

    allowed = _allowed(where, cost, budget, device, portion)
    shares = (0.9**step for step in range(100))
    found = next((at(share) for share in shares if work(**at(share)) <= allowed), at(0))
    if work(**found) <= WORTH_SAYING:
        return found
    takes = work(**found) / cost.speed()
    said = ", ".join(f"{name} {value:,}" for name, value in found.items())
    if budget is not None and takes > SLACK * portion * seconds(budget, where):
        raise InputError(
            f"{where} budget: got {show(budget)}, but even the smallest sizes ({said}) take about "
            f"{in_words(takes)} here. Allow about {in_words(takes / portion)} in all, or give "
            "smaller sizes. If samples are refined, fewer steps or a layer nearer to the data "
            "also take less time"
        )
    logger.info("%s: about %s here (%s)", where, in_words(takes), said)
    return found


def seconds(budget: Budget, where: str) -> float:
    """A budget in seconds.

    Raises:
        InputError: If it is no time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(budget).strip().lower())
    time_given = 0.0 if found is None else float(found[1]) * UNITS[found[2]]
    if time_given == 0:
        raise InputError(
            f"{where} budget: got {show(budget)}, allowed is a time above 0: seconds such as 90, "
            "or '90s', '10m', '1.5h'"
        )
    return time_given
