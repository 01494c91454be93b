"""Values of the papers, to stand beside ours. What is not known is left out, never guessed.

Liu, Kothari and Alahi, AAAI 2020. The figures are read off by eye, about +-.01.
"""

from __future__ import annotations

from typing import TypedDict

NAMES = ("direct", "drs", "metropolis", "refine", "collaborative")


class Correlation(TypedDict):
    """Both coefficients of a pair of columns, and the p-value of each."""

    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float


def _named(**rows: tuple[float, ...]) -> dict[str, dict[str, float]]:
    return {key: dict(zip(NAMES, values, strict=True)) for key, values in rows.items()}


IMBALANCED_8: dict[int, dict[str, dict[str, float]]] = {
    1_000: _named(
        good=(0.20, 0.86, 0.88, 0.91, 0.96),
        kl=(0.25, 0.07, 0.08, 0.05, 0.02),
        js=(0.44, 0.07, 0.065, 0.04, 0.02),
    ),
    3_000: _named(
        good=(0.82, 0.92, 0.925, 0.96, 0.967),
        kl=(0.088, 0.057, 0.060, 0.023, 0.015),
        js=(0.092, 0.048, 0.045, 0.021, 0.016),
    ),
    5_000: _named(
        good=(0.91, 0.955, 0.957, 0.98, 0.97),
        kl=(0.088, 0.056, 0.058, 0.029, 0.013),
        js=(0.061, 0.032, 0.031, 0.016, 0.014),
    ),
    7_000: _named(
        good=(0.92, 0.955, 0.953, 0.985, 0.968),
        kl=(0.094, 0.068, 0.075, 0.061, 0.019),
        js=(0.060, 0.036, 0.038, 0.025, 0.018),
    ),
    9_000: _named(
        good=(0.97, 0.97, 0.97, 0.99, 0.96),
        kl=(0.105, 0.10, 0.09, 0.10, 0.07),
        js=(0.04, 0.04, 0.04, 0.04, 0.04),
    ),
}
"""Figures 3 and 4, by iterations of the generator, metric and sampler."""


def _correlation(pearson: float, p: float, spearman: float, q: float) -> Correlation:
    return {"pearson": pearson, "pearson_p": p, "spearman": spearman, "spearman_p": q}


TABLE_1: dict[str, dict[str, Correlation]] = {
    "z": {
        "good": _correlation(0.02, 0.72, 0.11, 0.52),
        "kl": _correlation(0.15, 0.30, -0.01, 0.37),
        "js": _correlation(0.07, 0.41, -0.06, 0.35),
    },
    "ece": {
        "good": _correlation(-0.18, 0.54, -0.16, 0.55),
        "kl": _correlation(0.32, 0.25, 0.20, 0.42),
        "js": _correlation(0.31, 0.35, 0.24, 0.47),
    },
    "brier": {
        "good": _correlation(-0.68, 0.01, -0.72, 0.01),
        "kl": _correlation(0.51, 0.04, 0.46, 0.12),
        "js": _correlation(0.77, 0.00, 0.77, 0.00),
    },
}
"""Correlation of a diagnostic with what the rejection step changes a metric by.

The change is the metric after less the metric before, so that a *negative* value for good and a
*positive* one for KL and JS mean that a lower value of the diagnostic goes with a larger gain.
"""
