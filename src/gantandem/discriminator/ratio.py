"""Fit log p_data / p_law by logistic regression of real against proposals of a frozen law."""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from gantandem.condition import is_labels
from gantandem.data.real import PARTS, Real, RealData, Rows
from gantandem.discriminator.checks import check_discriminator
from gantandem.discriminator.held_out import remember
from gantandem.discriminator.parts import (
    asked_alike,
    batches,
    contrast,
    draw_all,
    frozen_copy,
    logits,
    parts_for,
    seeded,
    trainable,
)
from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.nets.features import FeatureRatio
from gantandem.progress import track
from gantandem.rng import Key
from gantandem.samplers.base import Mover, Selector
from gantandem.samplers.direct import Direct
from gantandem.sampling import prepare
from gantandem.score import Ratio, Score
from gantandem.settings import Count, NotNegative, Schedule, at_least, check

logger = logging.getLogger(__name__)

CHECK_EVERY = 100
HELD_OUT = 0.1
EMBEDDED = 500
"""Images that go through a backbone at a time."""


def fit_ratio(
    gan: GAN,
    real: RealData,
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

    For a conditional GAN the ratio is that of x given its condition, log p_data(x | c) /
    p_law(x | c): the law's proposals are asked for the conditions of the real samples, shuffled.

    Args:
        gan: Networks and latent.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``
            split in parts.
        proposal: The mover whose law it is (of a selector its proposal); None takes the one the
            GAN was shaped for, or ``Direct()``.
        network: What to fit, left unchanged (a copy is trained); None starts from the guide, or
            without one from a new network that suits the shapes of the data and conditions.
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
        InputError: If a setting is not allowed, or the conditions do not fit the GAN.
        DataError: If the real samples are too few or not finite.
    """
    pool, batch = (
        check("fit_ratio pool", Annotated[int, at_least(2)], pool),
        check("fit_ratio batch", Count, batch),
    )
    schedule = check("fit_ratio schedule", Schedule, schedule)
    weight_decay = check("fit_ratio weight_decay", NotNegative, weight_decay)
    if network is not None:
        gan.check(network)
    parts = parts_for(gan, real, "fit_ratio real")
    check_discriminator(gan, parts)
    if gan.spread is None:
        gan = gan.observe(*parts.rows("fit"))
    mover, _ = prepare(gan, _mover(gan, proposal))
    law = gan.law(mover)
    asked = asked_alike(gan, parts.rows("fit"), "fit ratio")
    drawn = draw_all(asked, mover, pool, "fit ratio", width=width)
    held = max(1, int(HELD_OUT * len(drawn.x)))
    out_made = drawn.rows.map(lambda value: value[:held])
    made = drawn.rows.map(lambda value: value[held:])
    if network is None:
        network, spec = _start(gan, parts, drawn.rows, seed)
    own = trainable(network)
    options = (schedule, batch, weight_decay, seed, progress)
    if isinstance(own, FeatureRatio):
        # Its backbone does not learn: images go through it once, and the head is fitted alone.
        embed = functools.partial(_embed, own)
        seen = dataclasses.replace(parts, fit=embed(parts.fit), select=embed(parts.select))
        made, out_made = (rows._replace(x=embed(rows.x)) for rows in (made, out_made))
        own.head.load_state_dict(_fit(own.head, seen, made, out_made, *options).state_dict())
        fitted = frozen_copy(own)
    else:
        fitted = _fit(own, parts, made, out_made, *options)
    ratio = Ratio(Score(fitted), origin="fitted", spec=dict(spec or {}))
    ratio = remember(ratio, "fit", parts.fit, parts.select)
    new = gan.with_ratio(law, ratio)
    new.setup_passes += drawn.passes
    if as_guide:
        shipped = new.specs.get("discriminator") or new.specs.get("guide", {})
        specs = {**new.specs, "discriminator": shipped, "guide": dict(spec or {})}
        new = new.replace(guide=ratio.score, specs=specs)
        new = new.observe(*parts.rows("fit"))
    return new


def _embed(network: FeatureRatio, x: Tensor) -> Tensor:
    """Features of a set, kept as long as that very tensor lives unchanged."""
    key = (network.backbone, x._version)
    kept = _seen.get(x)
    if kept is None or kept[0] != key:
        device = next(network.head.parameters()).device
        with torch.no_grad():
            features = [network.embed(part.to(device)) for part in x.split(EMBEDDED)]
        kept = _seen[x] = key, torch.cat(features)
    return kept[1]


_seen: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _mover(gan: GAN, proposal: Mover | Selector | None) -> Mover:
    chosen = proposal or gan.proposal or Direct()
    return chosen.proposal if isinstance(chosen, Selector) else chosen


def _start(gan: GAN, parts: Real, made: Rows, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """The guide's weights, or a new network for the shapes of the data and conditions."""
    x, cond = made
    if gan.guide is not None and gan.guide.output == "logit" and x.dim() == 2:
        return gan.guide.network, dict(gan.specs.get("guide", {}))
    from gantandem.nets import build
    from gantandem.nets.ratio import ratio_spec

    shape = tuple(x.shape[1:])
    if cond is None:
        spec = ratio_spec(shape)
    elif is_labels(cond):
        spec = ratio_spec(shape, classes=_classes(gan, parts))
    else:
        spec = ratio_spec(shape, cond_shape=tuple(cond.shape[1:]) or (1,))
    with seeded(Key(seed).fold("ratio network"), x.device):
        return build(spec).to(x.device), spec


def _classes(gan: GAN, parts: Real) -> int:
    """One more than the largest label, of the real samples and of those the GAN is asked for."""
    known = [getattr(parts.conditions, part) for part in PARTS]
    known.append(gan.condition if isinstance(gan.condition, Tensor) else gan._example_conditions())
    low, high = min(int(v.min()) for v in known), max(int(v.max()) for v in known)
    if low < 0:
        raise InputError(f"fit_ratio: got the label {low}; labels are 0, 1, ...")
    return high + 1


def _fit(
    own: nn.Module,
    parts: Real,
    made: Rows,
    out_made: Rows,
    schedule: Sequence[tuple[int, float]],
    batch: int,
    weight_decay: float,
    seed: int,
    progress: bool | None,
) -> nn.Module:
    key = Key(seed).fold("fit ratio")
    device = made.x.device
    real = batches(parts.rows("fit"), batch, key.fold("real").generator())
    fake = batches(made, batch, key.fold("made").generator())
    out_real = next(parts.rows("select").split(max(len(out_made.x), 1))).to(device)
    best: tuple[float, dict[str, Tensor]] = (float("inf"), {})
    optimizer = torch.optim.AdamW(own.parameters(), lr=schedule[0][1], weight_decay=weight_decay)
    total = sum(updates for updates, _ in schedule)
    rates = [rate for updates, rate in schedule for _ in range(updates)]
    with seeded(key, device), track(total, "fit ratio", progress) as update:
        for step in range(total + 1):
            if step % CHECK_EVERY == 0 or step == total:
                loss = _held_out(own, out_real, out_made)
                if loss < best[0]:
                    best = loss, copy.deepcopy(own.state_dict())
            if step == total:
                break
            for group in optimizer.param_groups:
                group["lr"] = rates[step]
            loss = contrast(own, next(real).to(device), next(fake))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            update(1)
    own.load_state_dict(best[1])
    logger.info("fit_ratio: held-out loss %.4f (log 2 is .6931)", best[0])
    return frozen_copy(own)


def _held_out(own: nn.Module, real: Rows, made: Rows) -> float:
    on_real, on_made = logits(own, real), logits(own, made)
    return float(0.5 * (F.softplus(-on_real).mean() + F.softplus(on_made).mean()))
