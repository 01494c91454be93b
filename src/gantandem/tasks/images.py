"""Handwritten digits."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from gantandem.data.images import load_images, load_real, locate, to_range
from gantandem.data.real import Real
from gantandem.evaluate.metrics.pareto import Axis, Pareto
from gantandem.tasks.base import Metrics, Task


@dataclass(frozen=True, kw_only=True, eq=False)
class DigitsTask(Task):
    """MNIST, from a folder or the hub.

    Args:
        hub: Name of the dataset on the hub.
        sizes: Images in the fit, select and calibrate parts of the training set.
    """

    hub: str
    eyes: str | None = "mnist-classifier"
    sizes: tuple[int, int, int] = (50_000, 5_000, 5_000)
    pareto: Pareto = Pareto(
        quality=Axis("precision", "high", "precision"),
        diversity=Axis("coverage", "high", "coverage"),
        distance=Axis("frechet_distance", "low", "Fréchet distance"),
    )

    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return images (N, 1, 28, 28) in [-1, 1]; the split is the same for every seed."""
        return load_real(locate(self.name, self.hub, data or self.data), self.sizes)

    def metrics(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return ``metrics.images.image_metrics`` of (N, 1, 28, 28) against the test set.

        Raises:
            DataError: If the dataset cannot be found.
            MissingExtraError: If the ``images`` extra is not installed.
        """
        from gantandem.evaluate.metrics.images import image_metrics

        return image_metrics(x, self.test_images, seed)

    def floor(self, n: int) -> Metrics:
        """Return the metrics of one random half of the test set, at most n, against the other."""
        from gantandem.evaluate.metrics.images import image_metrics

        half, other = self._halves
        return {**image_metrics(half[:n], other), "n": len(half[:n])}

    def manifold(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return the metrics on classifier features against images of the test set.

        Raises:
            DataError: If the dataset cannot be found.
        """
        from gantandem.evaluate.metrics.images import image_manifold

        return image_manifold(x, self.test_images, seed)

    def manifold_floor(self, n: int) -> Metrics:
        """Return the metrics of one random half of the test set, at most n, against the other."""
        from gantandem.evaluate.metrics.images import image_manifold

        half, other = self._halves
        return image_manifold(half[:n], other)

    def distance(self, x: Tensor, real_x: Tensor) -> float:
        """Return the Frechet distance of classifier features of two sets of images."""
        from gantandem.evaluate.metrics.images import frechet_distance

        return frechet_distance(x, real_x)

    @functools.cached_property
    def test_images(self) -> Tensor:
        """The test set (N, 1, 28, 28) in [-1, 1] of the data that everything else is made of.

        Raises:
            DataError: If it cannot be found or read.
        """
        return to_range(load_images(locate(self.name, self.hub, self.data), "test").pixels)

    @functools.cached_property
    def _halves(self) -> tuple[Tensor, ...]:
        """Two halves of the test set, of which MNIST's unshuffled ones are of different sources."""
        order = torch.randperm(len(self.test_images), generator=torch.Generator().manual_seed(0))
        return self.test_images[order].chunk(2)
