"""What samples of any shape are measured by where nothing else is asked for: held-out real data."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantandem.evaluate.eyes import features_of
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.kernel import kernel_distance
from gantandem.evaluate.metrics.manifold import NEIGHBOURS, manifold_metrics
from gantandem.evaluate.metrics.two_sample import ENOUGH, c2st
from gantandem.evaluate.metrics.vendi import vendi_score

MOST = 5000
"""Samples, and real ones, whose nearest neighbours are looked for."""
NARROW = 256
"""Trees are fitted to samples of at most so many numbers."""
COMPONENTS = 64
"""Principal components of more features that trees are fitted to."""


@dataclass(frozen=True, eq=False)
class Against:
    """Distances of samples to real data, in the numbers that samples are made of, or in features.

    ``sliced_w1``; ``c2st``, of samples of at most 256 numbers; ``precision``, ``recall``,
    ``density`` and ``coverage``, of at most 5,000 samples and as many real ones. In pixels they
    say little of what an image shows.

    Through a backbone: ``frechet_distance``, ``kid``, ``vendi`` (where no row is of zeros), with
    labels ``intra_class_distance`` (the mean Fréchet distance within a class), ``c2st`` (of more
    than 256 features on the first 64 principal components of the real ones) and the last four, all
    of its features. Values compare only with values on the same backbone.

    Args:
        real: (M, *x_shape) real samples that nothing was fitted on.
        backbone: From (N, *x_shape) samples to (N, F) features, or maps (N, F, h, w) that are
            averaged; in eval mode. What guides or judges must be another one.
        labels: (M,) classes of the real samples, or None.
        name: What the backbone is called.
    """

    real: Tensor
    backbone: nn.Module | None = None
    labels: Tensor | None = None
    name: str | None = None

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """Measure (N, *x_shape) samples, and their labels (N,) if they have some."""
        real, size = self._real, min(len(x), len(self.real))
        if self.backbone is None:
            found = {"sliced_w1": sliced_wasserstein(x, real)}
        else:
            from gantandem.evaluate.metrics.images import (  # torchmetrics is slow to import
                frechet,
                intra_class_distance,
            )

            x = features_of(self.backbone, x)
            found = {"frechet_distance": frechet(x, real), "kid": kernel_distance(x, real)}
            if bool(x[:size].any(1).all()):
                found["vendi"] = vendi_score(x[:size])
            if labels is not None and self.labels is not None:
                found |= intra_class_distance(x, labels, real, self.labels)
        if size >= ENOUGH and (x[0].numel() <= NARROW or self.backbone is not None):
            found["c2st"] = c2st(self._few(x), self._few(real))
        if size > NEIGHBOURS:
            size = min(size, MOST)
            found |= manifold_metrics(x[:size], real[:size])
        return found

    @functools.cached_property
    def _real(self) -> Tensor:
        return self.real if self.backbone is None else features_of(self.backbone, self.real)

    @functools.cached_property
    def _axes(self) -> Tensor:
        """The first principal components of the real features, as columns."""
        centred = self._real - self._real.mean(0)
        return torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -COMPONENTS:]

    def _few(self, x: Tensor) -> Tensor:
        wide = self.backbone is not None and x.shape[1] > NARROW
        return x @ self._axes if wide else x
