"""Fits of ratio networks: real against proposals, the best held-out weights kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn
from torch.nn import functional as F

from gantandem.data.real import Rows
from gantandem.discriminator.loop import Best, descend
from gantandem.discriminator.parts import batches, contrast, frozen_copy, logits, seeded
from gantandem.errors import InputError
from gantandem.rng import Key

logger = logging.getLogger(__name__)

FIRST_LOOK, GROWTH = 5, 1.25
"""The held-out loss is looked at after 5 updates, and then ever more rarely by this factor."""
LOOK_EVERY = 100
"""Though at least so often."""


class Evidence(NamedTuple):
    """Real samples and proposals to fit on, and those held out."""

    real: Rows
    made: Rows
    out_real: Rows
    out_made: Rows


@dataclass(frozen=True)
class Options:
    """How networks are fitted: see :func:`gantandem.fit_ratio`."""

    schedule: Sequence[tuple[int, float]]
    batch: int
    weight_decay: float
    seed: int
    progress: bool | None


def looks(total: int) -> set[int]:
    """After how many of ``total`` updates the held-out loss is looked at; often at first."""
    found, step = {0, total}, float(FIRST_LOOK)
    while step < total:
        found.add(int(step))
        step += min(max(1.0, (GROWTH - 1) * step), LOOK_EVERY)
    return found


def fit_network(own: nn.Module, shown: Evidence, options: Options, what: str) -> nn.Module:
    """Train a network in place by AdamW; return a frozen copy with the best held-out weights.

    Args:
        own: Gives (N,) or (N, 1) logits; its free weights are trained.
        shown: To fit on, and held out.
        options: Updates, rates, batch, weight decay, seed.
        what: For the progress bar and messages.

    Raises:
        InputError: If the loss leaves the finite numbers before any update helped.
    """
    key = Key(options.seed).fold("fit ratio")
    device = next(own.parameters()).device
    real = batches(shown.real, options.batch, key.fold("real").generator())
    made = batches(shown.made, options.batch, key.fold("made").generator())
    rates = [rate for updates, rate in options.schedule for _ in range(updates)]
    best = Best(own)
    with seeded(key, device):
        broken = descend(
            own,
            rates,
            lambda: contrast(own, next(real).to(device), next(made).to(device)),
            lambda step: best.offer(held_out_loss(own, shown), step),
            looks(len(rates)),
            what=what,
            progress=options.progress,
            weight_decay=options.weight_decay,
        )
    if broken is not None and best.step == 0:
        raise InputError(
            f"{what}: the weights became NaN or infinite after {broken} updates, and no earlier "
            f"update had lowered the held-out loss. Take a learning rate below {max(rates):g} in "
            "schedule=[(updates, rate), ...], or check the scale of the data"
        )
    if broken is not None:
        logger.warning(
            "%s: the weights became NaN or infinite after %d updates; the weights of update %d "
            "are kept. To train longer, take a lower learning rate in schedule=[(updates, rate), "
            "...]",
            what,
            broken,
            best.step,
        )
    best.restore()
    logger.info("%s: held-out loss %.4f at update %d (log 2 is .6931)", what, best.loss, best.step)
    return frozen_copy(own)


def held_out_loss(network: nn.Module, shown: Evidence) -> float:
    """Logistic loss on the held-out samples, in nats; log 2 is what r = 1 has."""
    on_real, on_made = logits(network, shown.out_real), logits(network, shown.out_made)
    return float(0.5 * (F.softplus(-on_real).mean() + F.softplus(on_made).mean()))
