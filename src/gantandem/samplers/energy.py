"""The energy E(z) = -L(z) of Wang-Landau chains: its range, bins, and the masses of the bins."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.samplers.langevin import Point


def energy_bins(here: Point, span: tuple[float, float], bins: int) -> Tensor:
    """Index of the energy bin of each point, (W,) int64 from 0 to bins - 1.

    The bins cut ``span`` into equal widths; the two outer ones are open-ended.
    """
    low, high = span
    inner = torch.arange(1, bins, dtype=torch.float64, device=here.log_ratio.device)
    return torch.bucketize(-here.log_density, low + (high - low) / bins * inner)


def energy_range(
    settled: Tensor, starts: Tensor, quantiles: tuple[float, float], reach: float
) -> tuple[float, float]:
    """Quantiles of the energies where chains settle, up at least to one of those they start from.

    Args:
        settled: (N,) energies of chains that have settled.
        starts: (M,) energies of draws from the prior.
        quantiles: Of ``settled``, where the range begins and ends ...
        reach: ... and of ``starts``, up to where it goes at least.
    """
    low, high = (_quantile(settled, share) for share in quantiles)
    high = max(high, _quantile(starts, reach))
    if not high - low > 0.01:
        low, high = low - 1, high + 1  # one energy only: nothing to tilt
    return round(low, 2), round(high, 2)


def _quantile(values: Tensor, share: float) -> float:
    """The nearest value of (N,) at a share of the order; no limit on N as in torch.quantile."""
    return float(values.sort().values[round(share * (len(values) - 1))])


def log_masses(theta: Tensor, visited: Tensor) -> tuple[float, ...]:
    """Learned weights theta (bins,) as log masses of the bins, which sum to a mass of 1.

    A bin that no pilot chain entered only ever sank, which would draw a chain in and hold it
    there; nothing is known of it, so it takes the weight of the nearest bin that was entered.

    Args:
        theta: (bins,) float64, as learned.
        visited: (bins,) bool, whether a pilot chain entered the bin.
    """
    known = visited.nonzero().squeeze(1)
    nearest = (torch.arange(len(theta))[:, None] - known).abs().argmin(1)
    theta = theta[known[nearest]]
    theta = theta - theta[known].logsumexp(0)
    return tuple(round(value, 3) for value in theta.tolist())
