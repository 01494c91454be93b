"""The kernel distance of features: unbiased at any number of samples."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.evaluate.metrics.finite import need_finite

CHUNK = 1024


def kernel_distance(features: Tensor, real_features: Tensor) -> float:
    """Return KID: the squared maximum mean discrepancy under k(a, b) = (a.b / F + 1)^3.

    Binkowski et al., ICLR 2018, the unbiased estimator; 0 for two sets of one law, where chance
    makes it negative as often as positive. Over whole sets, not over subsets.

    Args:
        features: (N, F) of samples, N > 1.
        real_features: (M, F) of real ones, M > 1.

    Raises:
        InputError: If they differ in F, or a set has fewer than 2 rows.
        NonFiniteError: If a feature is not finite.
    """
    x, y = (
        need_finite(one, "features (kernel_distance)").detach().double().flatten(1)
        for one in (features, real_features)
    )
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(
            f"kernel_distance: features of shape {tuple(x.shape)} and {tuple(y.shape)}; both must "
            "have the same number of columns and at least 2 rows"
        )
    return float(_within(x) + _within(y) - 2 * _sum(x, y) / (len(x) * len(y)))


def _sum(x: Tensor, y: Tensor) -> Tensor:
    parts = [((part @ y.T) / x.shape[1] + 1).pow(3).sum() for part in x.split(CHUNK)]
    return torch.stack(parts).sum()


def _within(x: Tensor) -> Tensor:
    """Mean of the kernel over pairs of different rows."""
    own = ((x * x).sum(1) / x.shape[1] + 1).pow(3).sum()
    return (_sum(x, x) - own) / (len(x) * (len(x) - 1))
