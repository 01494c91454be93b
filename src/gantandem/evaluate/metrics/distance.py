"""Distances between two sets of samples of any shape."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.evaluate.metrics.finite import need_finite

DIRECTIONS = 50


def sliced_wasserstein(x: Tensor, y: Tensor, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """Sliced Wasserstein-1: the mean over fixed directions of W1 between the projections.

    Args:
        x: (N, *shape) samples, flattened.
        y: (M, *shape) samples; when M is not N both are compared on N or M quantiles, whichever
            are fewer.
        directions: Unit directions, drawn once from ``seed`` (default 50).
        seed: Of the directions.

    Raises:
        NonFiniteError: If a sample is not finite.
    """
    x = need_finite(x, "samples (sliced W1)").double().flatten(1)
    y = need_finite(y, "real samples (sliced W1)").double().flatten(1)
    generator = torch.Generator().manual_seed(seed)
    axes = torch.randn(x.shape[1], directions, generator=generator, dtype=torch.float64)
    axes = (axes / axes.norm(dim=0)).to(x.device)
    on_x, on_y = (x @ axes).sort(0).values, (y @ axes).sort(0).values
    if len(on_x) != len(on_y):
        count = min(len(on_x), len(on_y))
        levels = (torch.arange(count, dtype=torch.float64, device=x.device) + 0.5) / count
        on_x, on_y = (a[(levels * len(a)).long().clamp(max=len(a) - 1)] for a in (on_x, on_y))
    return float((on_x - on_y).abs().mean())
