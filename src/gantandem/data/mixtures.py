"""Gaussian mixtures in the plane: the 2D tasks, drawn i.i.d."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantandem.data.real import Real


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians with one standard deviation in every coordinate.

    Args:
        means: Centres of the modes (M, dim).
        weights: Share of each mode (M,), summing to 1.
        std: Standard deviation in each coordinate.
    """

    means: Tensor
    weights: Tensor
    std: float

    def draw(self, n: int, noise: torch.Generator) -> Tensor:
        """Return n i.i.d. points (n, dim): the number in each mode is random too."""
        mode = torch.multinomial(self.weights, n, replacement=True, generator=noise)
        points = torch.randn(n, self.means.shape[1], generator=noise)
        return self.means[mode] + self.std * points

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density (N,) of points (N, dim)."""
        dim = x.shape[1]
        square = torch.cdist(x, self.means.to(x), compute_mode="donot_use_mm_for_euclid_dist") ** 2
        log_norm = dim * (math.log(self.std) + 0.5 * math.log(2 * math.pi))
        log_mode = self.weights.to(x).log() - 0.5 * square / self.std**2 - log_norm
        return log_mode.logsumexp(1)


def ring(angles: Tensor, radius: float, weights: Tensor, std: float) -> Mixture:
    """Return modes on a circle at the given angles (M,), in radians."""
    means = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    return Mixture(means.float(), (weights / weights.sum()).float(), std)


def imbalanced_8(ratio: float = 0.9, scale: float = 10.0) -> Mixture:
    """Return eight modes on a circle, those at 0 and 45 degrees holding ``ratio`` together.

    Args:
        ratio: Share of the two main modes. Default .9.
        scale: Radius times the square root of 2. Default 10, so the radius is 7.07 and the
            standard deviation, .02 of the radius, .141.

    Source: Liu et al., AAAI 2020, section 5.1.
    """
    weights = torch.tensor([ratio / 2] * 2 + [(1 - ratio) / 6] * 6, dtype=torch.float64)
    return _circle_of_8(weights, scale)


def balanced_8(scale: float = 10.0) -> Mixture:
    """Return the eight modes of ``imbalanced_8`` with equal weights."""
    return _circle_of_8(torch.ones(8, dtype=torch.float64), scale)


def grid_25(std: float = 0.05) -> Mixture:
    """Return 25 equal modes on the integer grid -2..2 in both coordinates.

    Source: Liu et al., AAAI 2020, section 5.1; Turner et al., ICML 2019, section 4.1.
    """
    axis = torch.arange(-2.0, 3.0)
    return Mixture(torch.cartesian_prod(axis, axis), torch.full((25,), 1 / 25), std)


def gdpp_ring_7(radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Return the ring that GDPP's code calls "8 modes": 7 modes, the first of double weight.

    Its angles, taken clockwise from (0, 1), are ``linspace(0, 2 pi, 8)``, whose ends coincide.

    Source: Elfeki et al., GDPP, ICML 2019, published 2D code.
    """
    angles = math.pi / 2 - torch.arange(7, dtype=torch.float64) * 2 * math.pi / 7
    weights = torch.tensor([2.0] + [1.0] * 6, dtype=torch.float64)
    return ring(angles, radius, weights, std)


def draw_real(mixture: Mixture, sizes: tuple[int, int, int, int], seed: int) -> Real:
    """Return the four parts of real data (fit, select, calibrate, test), i.i.d. draws by seed."""
    # The offset keeps this stream apart from those of training and metrics, seeded nearby.
    noise = torch.Generator().manual_seed(7_000_003 + seed)
    return Real(*(mixture.draw(size, noise) for size in sizes))


def _circle_of_8(weights: Tensor, scale: float) -> Mixture:
    radius = scale / math.sqrt(2)
    angles = torch.arange(8, dtype=torch.float64) * math.pi / 4
    return ring(angles, radius, weights, 0.02 * radius)
