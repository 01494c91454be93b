"""Gaussian mixtures in the plane."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from gantandem.data.mixtures import Mixture, draw_real
from gantandem.data.real import Real
from gantandem.errors import ConfigError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.manifold import manifold_metrics
from gantandem.evaluate.metrics.mixture import mixture_floor, mixture_metrics
from gantandem.evaluate.metrics.pareto import Axis, Pareto
from gantandem.tasks.base import Metrics, Task


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureTask(Task):
    """A Gaussian mixture in the plane, drawn i.i.d.

    Args:
        mixture: The truth.
        sizes: Points in the fit, select, calibrate and test parts.
    """

    mixture: Mixture
    sizes: tuple[int, int, int, int] = (200_000, 20_000, 20_000, 10_000)
    pareto: Pareto = Pareto(
        quality=Axis("good", "high", "good"),
        diversity=Axis("coverage", "high", "coverage"),
        distance=Axis("js", "low", "JS"),
    )

    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return four parts of i.i.d. draws by seed; there is no data to be found elsewhere."""
        data = data or self.data
        if data is not None:
            raise ConfigError(f"task {self.name} draws its own data: leave out data={data!r}")
        return draw_real(self.mixture, self.sizes, seed)

    def metrics(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return ``gantandem.evaluate.metrics.mixture.mixture_metrics`` of points (N, 2)."""
        return mixture_metrics(x, self.mixture, seed)

    def floor(self, n: int) -> Metrics:
        """Return the mean metrics of 20 i.i.d. draws of n real points."""
        return dict(_mixture_floor(self, n))

    def manifold(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return ``metrics.manifold.manifold_metrics`` of points against a fresh draw."""
        noise = torch.Generator().manual_seed(4_000_037 + seed)
        return manifold_metrics(x.detach().float().cpu(), self.mixture.draw(len(x), noise))

    def manifold_floor(self, n: int) -> Metrics:
        """Return the metrics of one more fresh draw of n real points."""
        return self.manifold(self.mixture.draw(n, torch.Generator().manual_seed(5_000_011)))

    def distance(self, x: Tensor, real_x: Tensor) -> float:
        """Return the sliced Wasserstein-1 distance of (N, 2) and (M, 2) points."""
        return sliced_wasserstein(x.detach().cpu(), real_x.cpu())


@functools.cache
def _mixture_floor(task: MixtureTask, n: int) -> Metrics:
    return mixture_floor(n, task.mixture)
