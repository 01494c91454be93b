"""What samples of any shape are measured by where nothing else is asked for: held-out real data."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.manifold import NEIGHBOURS, manifold_metrics
from gantandem.evaluate.metrics.two_sample import ENOUGH, c2st

MOST = 5000
"""Samples, and real ones, whose nearest neighbours are looked for."""
NARROW = 256
"""Trees are fitted to samples of at most so many numbers."""


@dataclass(frozen=True, eq=False)
class Against:
    """Distances of samples to real data, in the numbers that samples are made of.

    ``sliced_w1``; ``c2st``, of samples of at most 256 numbers; ``precision``, ``recall``,
    ``density`` and ``coverage``, of at most 5,000 samples and as many real ones. In pixels they
    say little of what an image shows: measure images on features of a network, with ``metrics=``.

    Args:
        real: (M, *x_shape) real samples that nothing was fitted on.
    """

    real: Tensor

    def __call__(self, x: Tensor) -> dict[str, float]:
        """Measure (N, *x_shape) samples."""
        found = {"sliced_w1": sliced_wasserstein(x, self.real)}
        size = min(len(x), len(self.real))
        if size >= ENOUGH and x[0].numel() <= NARROW:
            found["c2st"] = c2st(x, self.real)
        if size > NEIGHBOURS:
            size = min(size, MOST)
            found |= manifold_metrics(x[:size], self.real[:size])
        return found
