"""Discriminator shaping: fit the guide against its own refined samples.

Liu, Kothari and Alahi, AAAI 2020, Algorithm 2. The published loop refines a fresh batch for all K
steps before each update of D. Here a persistent lane pool moves by one step per update, and
negatives are drawn from the last few thousand finished proposals: an update costs one refinement
step instead of K.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from gantandem.data.real import RealData
from gantandem.discriminator.checks import check_discriminator
from gantandem.discriminator.held_out import remember
from gantandem.discriminator.judging import DISTANCE, Distance
from gantandem.discriminator.loop import descend
from gantandem.discriminator.negatives import Negatives
from gantandem.discriminator.parts import (
    batches,
    contrast,
    frozen_copy,
    parts_for,
    seeded,
    trainable,
)
from gantandem.discriminator.sizes import Budget, shaping_sizes
from gantandem.discriminator.step_size import choose_step
from gantandem.errors import InputError, NonFiniteError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.gan import GAN
from gantandem.networks.score import Score
from gantandem.rng import Key
from gantandem.samplers.refine import Refine
from gantandem.settings import Count, NotNegative, Positive, check, check_function

logger = logging.getLogger(__name__)


def shape_discriminator(
    gan: GAN,
    real: RealData,
    *,
    refine: Refine | None = None,
    defensive: float = 0.5,
    updates: int | None = None,
    learning_rate: float = 1e-3,
    batch: int | None = None,
    width: int | None = None,
    replay: int = 4096,
    check_every: int | None = None,
    check_samples: int | None = None,
    distance: Distance = sliced_wasserstein,
    tie: float = 0.1,
    recipe: Literal["pool", "paper"] = "pool",
    budget: Budget | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GAN:
    """Make a guide that leads refined samples to the data.

    A refinement whose ``step_size`` is "auto" is shaped at .02 of the activation's standard
    deviation, and gets the share of that (1, 1/2, 1/4 or 1/10) whose samples are nearest to
    held-out data in the end. A warning says if plain samples are nearer still.

    Every ``check_every`` updates, samples refined by the guide as it stands are compared with
    held-out real data; the nearest guide is kept (not the one of lowest Brier score: as refined
    samples approach the data the best discriminator's Brier score rises). The unshaped guide
    takes part, so shaping never returns something that measured worse.

    Args:
        gan: With a discriminator to start from.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``
            split in parts. Samples are refined under the conditions of real ones.
        refine: The refinement to shape for; None for the one the GAN was shaped for, or
            ``Refine(defensive=defensive)``.
        defensive: Share of widened starts in that default; 0 switches them off. They let
            acceptance bring back modes that the generator has lost.
        updates: Discriminator updates: 3,000, and fewer for networks whose shaping would take
            much more than some minutes on a CPU; so ``batch`` (512 and less) and ``check_samples``
            (2,000 and less). It is counted in operations, so that every machine takes the same.
        learning_rate: The rate of Adam (recipe "pool"), which falls to a tenth over the last
            quarter, or of SGD (recipe "paper"; the paper used 8e-3). "pool" minimises the mean of
            the losses on real and on refined samples, "paper" their sum, as the authors do.
        batch: Real, and as many refined, samples of an update.
        width: Lanes of the pool.
        replay: How many of the last finished proposals negatives are drawn from.
        check_every: Updates between two comparisons: 500, or a third of fewer ``updates``.
        check_samples: Refined samples of a comparison.
        distance: From (N, *x_shape) refined and real samples to a number; sliced Wasserstein-1
            unless given. It does not see conditions.
        tie: A later guide is kept if it is at most this share farther than the nearest so far:
            such differences are noise of the comparison, and a later guide has learnt more.
            The unshaped guide must be beaten outright.
        recipe: ``"paper"`` refines a fresh batch for each update, as published, and keeps the
            last guide. Published too: ``refine=Refine(steps=50, step_size=0.1)``, which stops at
            random while shaping, and samples that take ``stop="best"``.
        budget: How long it may take, about: seconds, or a text such as "10m". The sizes that are
            not given then follow this machine's speed; ``history[0]["sizes"]`` tells them.
        seed: The seed of the order of the data and of the pool.
        progress: Show a progress bar.

    Returns:
        A new GAN with the shaped guide, ``proposal`` (the resolved refinement) and ``history``
        (one entry a comparison; that of the guide returned has ``kept``).

    Raises:
        InputError: If there is no discriminator, or a setting is not allowed.
        DataError: If the real samples are too few or not finite.
        NonFiniteError: If, before the first update, refinement gives hardly any finite sample or
            ``distance`` gives NaN. If this happens later, shaping stops and chooses among the
            guides so far.
    """
    check("shape gan", GAN, gan)
    check_function("shape distance", distance, 2, DISTANCE)
    counts = {"updates": updates, "batch": batch, "check_samples": check_samples}
    counts |= {"check_every": check_every}
    counts = {name: check(f"shape {name}", Count | None, size) for name, size in counts.items()}
    replay = check("shape replay", Count, replay)
    learning_rate = check("shape learning_rate", Positive, learning_rate)
    tie = check("shape tie", NotNegative, tie)
    if recipe not in ("pool", "paper"):
        raise InputError(f"shape recipe: got {recipe!r}, allowed are 'pool' and 'paper'")
    guide = gan.networks.need_guide("shape")
    parts = parts_for(gan, real, "shape real")
    check_discriminator(gan, parts)
    gan = gan.observe(*parts.rows("fit")).replace(shaped=True)
    asked = refine or gan.proposal or Refine(defensive=defensive)
    if not isinstance(asked, Refine):
        raise InputError(f"shape refine: got {type(asked).__name__}, allowed is Refine(...)")
    sizes = shaping_sizes(gan.networks, asked.steps, width, counts, budget)
    updates, batch, check_samples, check_every = sizes.values()
    key, pilot = Key(seed).fold("shape"), Key(0).fold("prepare")
    with gan.networks.frozen():
        mover = asked.prepare(gan.networks, pilot)
    own = trainable(guide.network)
    score, scored = Score(own, guide.output), guide.as_logits(own, "shape")
    working = gan.replace(guide=score)
    negatives = Negatives(working, scored, mover, parts, key, width, batch, replay)
    every = batches(parts.rows("fit"), batch, key.fold("real").generator())
    history: list[dict[str, Any]] = []
    nearest, kept, chosen = math.inf, 0, guide.network
    begin = time.perf_counter()

    def look(step: int) -> bool:
        nonlocal nearest, kept, chosen
        try:
            entry = negatives.compare(distance, check_samples, step)
        except NonFiniteError as error:
            if not history:
                raise
            logger.warning("shape stopped after %d updates: %s", step, error)
            return False
        if not history:
            entry["sizes"] = sizes
        entry["seconds"] = round(time.perf_counter() - begin, 3)
        history.append(entry)
        slack = tie * abs(nearest) if tie else 0.0  # none of infinity is no number
        limit = min(nearest + slack, history[0]["distance"])
        if entry["distance"] <= limit or recipe == "paper":
            nearest = min(nearest, entry["distance"])
            kept, chosen = len(history) - 1, frozen_copy(own)
        logger.info("shape %d: %s", step, entry)
        return True

    def loss() -> Tensor:
        made = negatives.fresh() if recipe == "paper" else negatives.pooled()
        value = contrast(scored, next(every).to(made.x.device), made)
        return 2 * value if recipe == "paper" else value  # the sum of what contrast averages

    rates = [
        learning_rate * (0.1 if recipe == "pool" and step >= 0.75 * updates else 1.0)
        for step in range(updates)
    ]
    # Held once for all updates, and not at each: that took as long as a step of the pool.
    with seeded(key, gan.device), negatives.networks.frozen(free=own):
        descend(
            own, rates, loss, look, {*range(0, updates, check_every), updates},
            what="shape", progress=progress,
            optimizer=torch.optim.SGD if recipe == "paper" else torch.optim.Adam,
        )  # fmt: skip
    history[kept]["kept"] = True
    if history[0]["distance"] <= min(entry["distance"] for entry in history):
        logger.warning(
            "shape: no guide brought refined samples nearer to held-out data than the one it "
            "started from; try a smaller step_size, another layer or more updates"
        )
    guide = remember(Score(chosen, score.output), "shape", parts.fit, parts.select)
    shaped = gan.replace(guide=guide, history=tuple(history))
    shaped = shaped.observe(*parts.rows("fit"))
    # What is read off the guide's scores of real data belongs to the guide that is kept.
    mover = replace(mover, threshold=asked.threshold, reference=asked.reference)
    found = choose_step(
        shaped, mover.prepare(shaped.networks, pilot), negatives.held_out, distance,
        auto=asked.step_size == "auto", count=check_samples, tie=tie, width=negatives.width,
    )  # fmt: skip
    passes = shaped.setup_passes + negatives.passes + found.passes
    return shaped.replace(proposal=found.mover, setup_passes=passes)


shape = shape_discriminator
"""The name that it had first; it goes with the next version."""
