"""How far to refine: the step size whose samples come nearest to held-out data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from gantandem.data.real import Rows
from gantandem.discriminator.parts import asked_alike, draw_all
from gantandem.evaluate.metrics.finite import need_number
from gantandem.gan import GAN
from gantandem.samplers.direct import Direct
from gantandem.samplers.refine import Refine

logger = logging.getLogger(__name__)

SHARES = (1.0, 0.5, 0.25, 0.1)


class Chosen(NamedTuple):
    """The refinement to use, and the passes that choosing it took."""

    mover: Refine
    passes: int


def choose_step(
    gan: GAN,
    mover: Refine,
    held_out: Rows,
    distance: Callable[[Tensor, Tensor], float],
    *,
    auto: bool,
    count: int,
    tie: float,
    width: int,
) -> Chosen:
    """Compare shares of a refinement's step size with plain samples, and take what is nearest.

    Args:
        gan: With the guide to follow.
        mover: Prepared.
        held_out: Real samples that nothing was fitted on.
        distance: From (N, *x_shape) samples and real ones to a number.
        auto: Whether the step size may be changed; otherwise a warning is all.
        count: Samples of a comparison.
        tie: Steps whose distance is at most this share larger are as good: the longest is taken.
        width: Lanes.
    """
    asked = asked_alike(gan, held_out, "step size")
    real = next(held_out.split(count)).to(gan.device)
    spent = 0

    def measure(one: Refine | Direct) -> float:
        nonlocal spent
        drawn = draw_all(asked, one, count, "step size", width=width, progress=False)
        spent += drawn.passes
        return need_number(distance(drawn.x, real.x), "shape distance, step size")

    plain, size = measure(Direct()), float(mover.step_size)
    steps = [replace(mover, step_size=share * size) for share in (SHARES if auto else (1.0,))]
    found = [measure(replace(step, defensive=0.0)) for step in steps]
    nearest = min(found)
    near = [value <= nearest + tie * abs(nearest) for value in found]
    best = steps[near.index(True)]
    if nearest > plain + tie * abs(plain):
        logger.warning(
            "shape: refined samples are farther from held-out data than plain ones (distance "
            "%.3g against %.3g)%s. Accepting plain samples may be better: gan = fit_ratio(gan, "
            "real, proposal=Direct()), then sample(gan, OBRS(), n)",
            nearest,
            plain,
            ", even with the smallest step size" if auto else "",
        )
    elif best is not steps[0]:
        logger.info("shape: step_size %.3g instead of %.3g", best.step_size, size)
    return Chosen(best, spent)
