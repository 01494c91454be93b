"""Correlations of the columns of Table 1, with p-values and bootstrap intervals."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats

from gantandem.rng import Key

RESAMPLES = 2_000


def correlate(x: np.ndarray, y: np.ndarray) -> dict[str, float | list[float]]:
    """Pearson's and Spearman's correlation of two columns; NaN where one is constant.

    Args:
        x: One column, of shape ``(points,)``.
        y: The other.

    Returns:
        ``pearson`` and ``spearman``, the two-sided p-value of each (``pearson_p``,
        ``spearman_p``; of independent points), and ``interval``, the 2.5% and 97.5% quantiles of
        Pearson over ``RESAMPLES`` resamples of the points with replacement.
    """
    pick = torch.randint(
        len(x), (RESAMPLES, len(x)), generator=Key(0).fold("bootstrap").generator()
    ).numpy()
    again = _pearson(x[pick], y[pick])
    known = again[~np.isnan(again)]
    ends = np.quantile(known, [0.025, 0.975]) if len(known) else [math.nan] * 2
    names = ("pearson", "pearson_p", "spearman", "spearman_p")
    values = [math.nan] * 4
    if len(x) >= 3 and np.ptp(x) > 0 and np.ptp(y) > 0:
        values = [*stats.pearsonr(x, y), *stats.spearmanr(x, y)]
    found = {name: float(value) for name, value in zip(names, values, strict=True)}
    return {**found, "interval": [float(end) for end in ends]}


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlation along the last axis; NaN where a side is constant."""
    constant = (np.ptp(x, -1) == 0) | (np.ptp(y, -1) == 0)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(constant, np.nan, ((x * y).sum(-1) / np.maximum(scale, 1e-300)).clip(-1, 1))
