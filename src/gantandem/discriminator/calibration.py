"""Calibrate a ratio on held-out scores: see :mod:`gantandem.ratios.calibrators`.

Calibrated values enter acceptance only: an isotonic map has no gradient.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gantandem.condition import is_labels
from gantandem.data.real import RealData
from gantandem.discriminator.checks import check_discriminator
from gantandem.discriminator.held_out import check_unseen, remember
from gantandem.discriminator.parts import asked_alike, draw_all, parts_for
from gantandem.engine.sampling import prepare
from gantandem.errors import InputError, NonFiniteError
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.ratios.calibrators import Calibrator, PerClass, fit_isotonic, fit_platt
from gantandem.samplers.base import Mover
from gantandem.samplers.named import SamplerLike, as_proposal
from gantandem.settings import Count, check

logger = logging.getLogger(__name__)

ISOTONIC_FROM = 4000
"""``method="auto"`` takes an isotonic map from so many real and generated samples on."""
CLASS_MIN = 100
"""Fewer real or generated samples of a label do not make a map of their own."""


@hashed_once()
def calibrate(
    gan: GAN,
    real: RealData,
    *,
    proposal: SamplerLike | None = None,
    method: Literal["auto", "isotonic", "platt"] = "auto",
    per_class: bool = False,
    n: int | None = None,
    width: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GAN:
    """Put a calibrator on the ratio of a law, fitted on data that fitted nothing else.

    Args:
        gan: With a ratio for the law.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``;
            its ``calibrate`` part is used.
        proposal: The sampler whose proposals it judges, or its name; None takes the GAN's own, or
            ``Direct()``.
        method: ``"isotonic"`` (any monotone error, needs some thousand samples) or ``"platt"``
            (two numbers); ``"auto"`` takes Platt's below 4,000 real or generated samples.
        per_class: Fit a map for each label of a GAN with class labels. A label with fewer than
            100 real or 100 generated samples keeps the map fitted on all classes, which is logged.
        n: Generated samples; None for as many as real ones.
        width: Lanes.
        seed: Of the generated samples.
        progress: Show a progress bar.

    Returns:
        A new GAN; gradients stay those of the uncalibrated network.

    Raises:
        InputError: If the method is unknown, the conditions do not fit the GAN, or
            ``per_class`` is asked where conditions are no labels.
        LawMismatchError: If no ratio was fitted on that law.
    """
    fits = {"isotonic": fit_isotonic, "platt": fit_platt}
    if method not in (*fits, "auto"):
        raise InputError(
            f"calibrate method: got {method!r}, allowed are 'auto', 'isotonic' and 'platt'"
        )
    check("calibrate gan", GAN, gan)
    scored = score_law(
        gan, real, "calibrate", proposal, n, width=width, seed=seed, progress=progress
    )
    if method == "auto":
        few = min(scored.label.sum(), len(scored.label) - scored.label.sum()) < ISOTONIC_FROM
        method = "platt" if few else "isotonic"
    calibrator: Calibrator = fits[method](scored.score, scored.label)
    if per_class:
        calibrator = _fit_per_class(fits[method], calibrator, scored)
    ratio = gan.ratio(scored.mover, quiet=True, stale=True)
    ratio = replace(ratio, calibrator=calibrator, diagnosis=None)
    ratio = remember(ratio, "calibrate", scored.held)
    new = gan.with_ratio(gan.law(scored.mover), ratio)
    return new.replace(setup_passes=new.setup_passes + scored.passes)


def _fit_per_class(
    fit: Callable[[np.ndarray, np.ndarray], Calibrator], pooled: Calibrator, scored: Scored
) -> PerClass:
    if scored.cond is None or not is_labels(scored.cond):
        raise InputError(
            "calibrate per_class: allowed where the GAN's condition is a class label, (N,) int64; "
            f"this GAN has {'no condition' if scored.cond is None else 'tensors'}"
        )
    maps: dict[int, Calibrator] = {}
    few: list[int] = []
    for label in scored.cond.unique().tolist():
        own = (scored.cond == label).numpy()
        real = int(scored.label[own].sum())
        if min(real, int(own.sum()) - real) < CLASS_MIN:
            few.append(label)
        else:
            maps[label] = fit(scored.score[own], scored.label[own])
    if few:
        logger.warning(
            "calibrate per_class: labels %s have fewer than %d real or generated samples, so "
            "they take the map of all classes together",
            few,
            CLASS_MIN,
        )
    return PerClass(tuple(maps), tuple(maps.values()), pooled)


class Scored(NamedTuple):
    """Scores of real samples and proposals.

    ``mover`` is prepared, ``label`` (N,) 1 for real and 0 for generated, ``score`` (N,) logits or
    calibrated log ratios, ``cond`` (N, ...) conditions or None, ``passes`` what was spent,
    ``held`` the real samples, ``seen`` the share of them that the ratio was fitted on.
    """

    mover: Mover
    label: np.ndarray
    score: np.ndarray
    cond: Tensor | None
    passes: int
    held: Tensor
    seen: float


def score_law(
    gan: GAN,
    real: RealData,
    part: Literal["calibrate", "test"],
    proposal: SamplerLike | None,
    n: int | None,
    *,
    width: int | None,
    seed: int,
    progress: bool | None,
    calibrated: bool = False,
) -> Scored:
    """Score a part of the real data and as many proposals of a law, under the same conditions."""
    n = check("n", Count | None, n)
    parts = parts_for(gan, real, f"{part} real")
    check_discriminator(gan, parts)
    held = parts.rows(part)
    mover = prepare(gan, as_proposal(gan, proposal)).sampler
    ratio = gan.ratio(mover, quiet=True, stale=True)
    if calibrated and ratio.calibrator is not None:
        ratio = gan.ratio(mover, quiet=True)  # its calibrator must speak of these weights
    asked = asked_alike(gan, held, part)
    drawn = draw_all(
        asked, mover, n or len(held.x), part, width=width, seed=seed, progress=progress
    )
    seen = check_unseen(
        ratio, held.x, "calibrate" if part == "calibrate" else "diagnose", drawn.x, gan.guide
    )

    def score(x: Tensor, cond: Tensor | None) -> Tensor:
        logit = ratio.logit(x, cond)
        return ratio.calibrated(logit, cond) if calibrated else logit.double()

    with gan.networks.frozen():
        scores = [
            torch.cat([score(*rows.to(gan.device)) for rows in both.split(1000)])
            for both in (held, drawn.rows)
        ]
    broken = sum(int((one.isnan() | (one == torch.inf)).sum()) for one in scores)
    if broken:
        raise NonFiniteError(
            f"{'calibrate' if part == 'calibrate' else 'diagnose'}: the ratio's network "
            f"{type(ratio.score.network).__name__} gives NaN or infinity for {broken:,} of "
            f"{sum(map(len, scores)):,} samples. Check its weights, its normalisation statistics "
            "and the range of its input"
        )
    label = np.repeat([1.0, 0.0], [len(scores[0]), len(scores[1])])
    cond = None
    if held.cond is not None and drawn.cond is not None:
        cond = torch.cat([held.cond.cpu(), drawn.cond.cpu()])
    spent = drawn.passes + len(label)
    return Scored(mover, label, torch.cat(scores).cpu().numpy(), cond, spent, held.x, seen)
