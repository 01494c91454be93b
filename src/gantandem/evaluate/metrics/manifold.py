"""Precision, recall, density and coverage: quality and diversity apart, by nearest neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.evaluate.metrics.finite import need_finite

NEIGHBOURS = 5
CHUNK = 1024
"""Rows of the distance matrix held at a time."""
PLAIN = 8
"""Most dimensions in which distances are taken term by term."""


def manifold_metrics(x: Tensor, real_x: Tensor, k: int = NEIGHBOURS) -> dict[str, float]:
    """Return how well samples keep to the data (quality) and how much of it they reach (diversity).

    Around every point of a set lies a closed ball that reaches to its k-th nearest neighbour in
    that set. ``precision``: share of the samples inside a real point's ball; ``recall``: share of
    the real points inside a sample's ball (Kynkaanniemi et al., NeurIPS 2019, Equations 1-3).
    ``density``: mean number of real balls a sample lies in, over k; ``coverage``: share of the
    real points with a sample inside their ball (Naeem et al., ICML 2020, Equations 3-4). An
    outlier among the samples has a wide ball, which inflates recall but not coverage; two sets of
    the same law have density 1 and coverage near 1 - 2^-k. All of them depend on the sizes of
    both sets: compare equal sizes.

    Args:
        x: (N, *shape) samples or their features, flattened.
        real_x: (M, *shape) real ones.
        k: Neighbours: 5 as in Naeem et al. for all four (Kynkaanniemi et al. take 3).

    Raises:
        InputError: If the shapes differ, or a set has k points or fewer.
        NonFiniteError: If a point is not finite.
    """
    if x.shape[1:] != real_x.shape[1:]:
        raise InputError(
            f"manifold_metrics: samples of shape {tuple(x.shape[1:])}, real ones of "
            f"{tuple(real_x.shape[1:])}; allowed are equal shapes"
        )
    if min(len(x), len(real_x)) <= k:
        raise InputError(
            f"manifold_metrics: {len(x)} samples and {len(real_x)} real ones; {k} nearest "
            f"neighbours need at least {k + 1} of each"
        )
    made = need_finite(x, "samples (manifold_metrics)").detach().double().flatten(1)
    real = need_finite(real_x, "real samples (manifold_metrics)").detach().double().flatten(1)
    made_radius, real_radius = _radii(made, k), _radii(real, k)
    reached = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = reached.clone()
    inside = torch.zeros(len(made), dtype=torch.long, device=real.device)
    for start in range(0, len(made), CHUNK):
        rows = slice(start, start + CHUNK)
        distance = distances(made[rows], real)
        in_real = distance <= real_radius
        inside[rows] = in_real.sum(1)
        covered |= in_real.any(0)
        reached |= (distance <= made_radius[rows, None]).any(0)
    return {
        "precision": (inside > 0).double().mean().item(),
        "recall": reached.double().mean().item(),
        "density": inside.double().mean().item() / k,
        "coverage": covered.double().mean().item(),
    }


def _radii(points: Tensor, k: int) -> Tensor:
    """The distance of each point (N, d) to its k-th nearest other point."""
    radii = []
    for start in range(0, len(points), CHUNK):
        rows = points[start : start + CHUNK]
        distance = distances(rows, points)
        own = torch.arange(start, start + len(rows), device=points.device)
        distance[torch.arange(len(rows), device=points.device), own] = torch.inf
        radii.append(distance.topk(k, dim=1, largest=False).values[:, -1])
    return torch.cat(radii)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (N, M) of the rows of (N, d) and (M, d)."""
    # The matrix form is quicker for features, but loses digits where points are tight and far
    # from 0: in the plane the plain form is as quick.
    few = a.shape[1] <= PLAIN
    mode = "donot_use_mm_for_euclid_dist" if few else "use_mm_for_euclid_dist"
    return torch.cdist(a, b, compute_mode=mode)
