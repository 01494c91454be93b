"""Fit log p_data / p_law by logistic regression of real against proposals of a frozen law."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.data.real import Real
from gantandem.discriminator.parts import (
    batches,
    contrast,
    draw_all,
    frozen_copy,
    logits,
    seeded,
    split_real,
    trainable,
)
from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.progress import track
from gantandem.rng import Key
from gantandem.samplers.base import Mover, Selector, check_positive
from gantandem.samplers.direct import Direct
from gantandem.sampling import prepare
from gantandem.score import Ratio, Score

logger = logging.getLogger(__name__)

CHECK_EVERY = 100
HELD_OUT = 0.1


def fit_ratio(
    gan: GAN,
    real: Real | Tensor,
    *,
    proposal: Mover | Selector | None = None,
    network: nn.Module | None = None,
    spec: dict[str, Any] | None = None,
    pool: int = 100_000,
    schedule: Sequence[tuple[int, float]] = ((2000, 1e-3), (1000, 1e-4)),
    batch: int = 1000,
    weight_decay: float = 0.0,
    as_guide: bool = False,
    width: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GAN:
    """Freeze a law and fit the ratio that selectors will judge its proposals by.

    Also the way to start when the generator came without a discriminator. Goodfellow et al.
    2014, Proposition 1: the minimiser of the logistic loss is log p_data / p_law. A tenth of the
    proposals and the real data's ``select`` part are held out; the weights of the lowest held-out
    loss are kept.

    Args:
        gan: Networks and latent.
        real: (N, *x_shape) real samples, or a ``Real`` split in parts.
        proposal: The mover whose law it is (of a selector its proposal); None takes the one the
            GAN was shaped for, or ``Direct()``.
        network: What to fit, left unchanged (a copy is trained); None starts from the guide, or
            without one from a new network that suits the data's shape.
        spec: How to rebuild ``network`` from a file: ``{"net": name, **arguments}``.
        pool: Proposals drawn from the law.
        schedule: (updates, learning rate) of AdamW, one after the other.
        batch: Real, and as many generated, samples of an update.
        weight_decay: Of AdamW.
        as_guide: Also follow the fitted network's gradient.
        width: Lanes.
        seed: Of the data order.
        progress: Show a progress bar.

    Returns:
        A new GAN that holds the ratio under the law's name.

    Raises:
        InputError: If a setting is not allowed.
        DataError: If the real samples are too few or not finite.
    """
    check_positive("fit_ratio pool", pool, integer=True)
    check_positive("fit_ratio batch", batch, integer=True)
    if not schedule:
        raise InputError("fit_ratio schedule: got none, allowed are (updates, learning rate) pairs")
    parts = split_real(real, seed)
    if gan.spread is None:
        gan = gan.observe(parts.fit)
    mover, _ = prepare(gan, _mover(gan, proposal))
    law = gan.law(mover)
    drawn = draw_all(gan, mover, pool, "fit ratio", width=width)
    held = max(1, int(HELD_OUT * len(drawn.x)))
    out_made, made = drawn.x[:held], drawn.x[held:]
    if network is None:
        network, spec = _start(gan, drawn.x, seed)
    fitted = _fit(
        trainable(network), parts, made, out_made, schedule, batch, weight_decay, seed, progress
    )
    ratio = Ratio(Score(fitted), origin="fitted", spec=dict(spec or {}))
    new = gan.with_ratio(law, ratio)
    new.setup_passes += drawn.passes
    if as_guide:
        shipped = new.specs.get("discriminator") or new.specs.get("guide", {})
        specs = {**new.specs, "discriminator": shipped, "guide": dict(spec or {})}
        new = new.replace(guide=ratio.score, specs=specs)
        new = new.observe(parts.fit)
    return new


def _mover(gan: GAN, proposal: Mover | Selector | None) -> Mover:
    chosen = proposal or gan.proposal or Direct()
    return chosen.proposal if isinstance(chosen, Selector) else chosen


def _start(gan: GAN, x: Tensor, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """The guide's weights, or a new network for the data's shape."""
    if gan.guide is not None and gan.guide.output == "logit" and x.dim() == 2:
        return gan.guide.network, dict(gan.specs.get("guide", {}))
    from gantandem.nets import build
    from gantandem.nets.ratio import ratio_spec

    spec = ratio_spec(tuple(x.shape[1:]))
    with seeded(Key(seed).fold("ratio network"), x.device):
        return build(spec).to(x.device), spec


def _fit(
    own: nn.Module,
    parts: Real,
    made: Tensor,
    out_made: Tensor,
    schedule: Sequence[tuple[int, float]],
    batch: int,
    weight_decay: float,
    seed: int,
    progress: bool | None,
) -> nn.Module:
    key = Key(seed).fold("fit ratio")
    real = batches(parts.fit, batch, key.fold("real").generator())
    fake = batches(made, batch, key.fold("made").generator())
    out_real = parts.select[: max(len(out_made), 1)].to(made.device)
    best: tuple[float, dict[str, Tensor]] = (float("inf"), {})
    optimizer = torch.optim.AdamW(own.parameters(), lr=schedule[0][1], weight_decay=weight_decay)
    total = sum(updates for updates, _ in schedule)
    rates = [rate for updates, rate in schedule for _ in range(updates)]
    with seeded(key, made.device), track(total, "fit ratio", progress) as update:
        for step in range(total + 1):
            if step % CHECK_EVERY == 0 or step == total:
                loss = _held_out(own, out_real, out_made)
                if loss < best[0]:
                    best = loss, copy.deepcopy(own.state_dict())
            if step == total:
                break
            for group in optimizer.param_groups:
                group["lr"] = rates[step]
            loss = contrast(own, next(real).to(made.device), next(fake))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            update(1)
    own.load_state_dict(best[1])
    logger.info("fit_ratio: held-out loss %.4f (log 2 is .6931)", best[0])
    return frozen_copy(own)


def _held_out(own: nn.Module, real: Tensor, made: Tensor) -> float:
    on_real, on_made = logits(own, real), logits(own, made)
    return float(0.5 * (F.softplus(-on_real).mean() + F.softplus(on_made).mean()))
