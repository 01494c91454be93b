"""How near samples (N, dim) are to a Gaussian mixture: every 2D metric, each defined once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gantandem.data.mixtures import Mixture
from gantandem.errors import InputError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.finite import need_finite
from gantandem.evaluate.metrics.two_sample import ENOUGH as TESTABLE
from gantandem.evaluate.metrics.two_sample import c2st

GOOD = 4.0
"""A sample is good within this many standard deviations of the nearest mode."""
HIT = 1e-3
"""A mode is hit if at least this share of all samples is good and nearest to it."""
ENOUGH = 100
"""A mode needs this many good samples before the spread within it is measured."""
PAIRS = 20
TESTS = 2
"""Pairs of the floor that trees try to tell apart: each takes a second for 10,000 points."""


def mixture_metrics(x: Tensor, mixture: Mixture, seed: int = 0) -> dict[str, float | list[float]]:
    """Return all metrics of samples (N, dim) by name, as plain numbers.

    ``good``, ``kl``, ``js``, ``modes``, ``within_mode_std`` (mean over the modes with enough
    samples), ``within_mode_std_main`` (a list: the two modes of largest true weight),
    ``sliced_w1`` (over 50 fixed directions), ``c2st`` (both against one fresh draw of N real points
    by ``seed``) and ``mean_distance`` (to the nearest centre); the functions below and
    :func:`c2st` define the others. A mode is hit by 0.1% of all
    samples. NaN where a metric is undefined, for example ``kl`` without any good
    sample.

    Raises:
        InputError: If ``x`` is empty or not of shape (N, dim).
        NonFiniteError: If a sample is not finite.
    """
    x, fresh = _beside_fresh(x, mixture, seed)
    test = c2st(x, fresh) if len(x) >= TESTABLE else math.nan
    return {**_of_points(x, fresh, mixture), "c2st": test}


def _beside_fresh(x: Tensor, mixture: Mixture, seed: int) -> tuple[Tensor, Tensor]:
    """The samples and as many fresh real points."""
    x = x.detach().float().cpu()
    if x.dim() != 2 or x.shape[1] != mixture.means.shape[1] or not len(x):
        raise InputError(
            f"samples are of shape {tuple(x.shape)}; allowed is (N, {mixture.means.shape[1]}), N "
            "> 0"
        )
    need_finite(x, "samples (mixture_metrics)")
    return x, mixture.draw(len(x), torch.Generator().manual_seed(3_000_017 + seed))


def _of_points(x: Tensor, fresh: Tensor, mixture: Mixture) -> dict[str, float | list[float]]:
    """All metrics but the two-sample test, which takes most of the time."""
    distance, _ = nearest(x, mixture)
    counts = mode_counts(x, mixture)
    spread = within_mode_std(x, mixture)
    main = mixture.weights.argsort(descending=True, stable=True)[:2]
    return {
        "good": counts.sum().item() / len(x),
        "kl": kl(counts, mixture),
        "js": js(counts, len(x), mixture),
        "modes": int((counts >= HIT * len(x)).sum()),
        "within_mode_std": spread.nanmean().item(),
        "within_mode_std_main": spread[main].tolist(),
        "sliced_w1": sliced_wasserstein(x, fresh),
        "mean_distance": distance.mean().item(),
    }


def nearest(x: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) to the nearest mode's centre and which mode that is (N,)."""
    # The fast matrix form of the distance loses digits where a mode is tight and far from 0.
    distances = torch.cdist(x, mixture.means, compute_mode="donot_use_mm_for_euclid_dist")
    distance, mode = distances.min(dim=1)
    return distance, mode


def mode_counts(x: Tensor, mixture: Mixture) -> Tensor:
    """Return how many good samples each mode has, float64 (M,).

    A sample is good if it lies within 4 standard deviations of the nearest mode.
    """
    distance, mode = nearest(x, mixture)
    good = mode[distance <= GOOD * mixture.std]
    return torch.bincount(good, minlength=len(mixture.means)).double()


def kl(counts: Tensor, mixture: Mixture) -> float:
    """Return KL(model || truth) in nats over the modes, good samples only, true weights.

    Args:
        counts: Good samples of each mode (M,).
        mixture: The truth.
    """
    if counts.sum() == 0:
        return math.nan
    return _kl(counts.double() / counts.sum(), mixture.weights.double())


def js(counts: Tensor, n: int, mixture: Mixture) -> float:
    """Return the Jensen-Shannon divergence in nats over the modes plus "outside".

    A Gaussian in the plane has exp(-8) of its mass outside 4 standard deviations; in other
    dimensions it is the chi-square tail at 16.

    Args:
        counts: Good samples of each mode (M,).
        n: All samples.
        mixture: The truth.
    """
    dim = mixture.means.shape[1]
    half = torch.tensor([dim / 2, GOOD**2 / 2], dtype=torch.float64)
    outside = torch.special.gammaincc(half[0], half[1])
    truth = torch.cat([mixture.weights.double() * (1 - outside), outside.view(1)])
    model = torch.cat([counts, n - counts.sum().view(1)]).double() / n
    middle = (truth + model) / 2
    return (_kl(model, middle) + _kl(truth, middle)) / 2


def within_mode_std(x: Tensor, mixture: Mixture) -> Tensor:
    """Return for each mode (M,) the standard deviation of its good samples over the true one.

    The root mean square over coordinates of the deviation from the samples' own mean; NaN for a
    mode with fewer than 100 good samples. Unlike good, KL and JS it sees collapse within a mode.
    """
    distance, mode = nearest(x, mixture)
    good = distance <= GOOD * mixture.std
    ratios = torch.full((len(mixture.means),), math.nan, dtype=torch.float64)
    for index in range(len(mixture.means)):
        inside = x[good & (mode == index)].double()
        if len(inside) >= ENOUGH:
            ratios[index] = inside.var(dim=0).mean().sqrt() / mixture.std
    return ratios


def mixture_floor(n: int, mixture: Mixture) -> dict[str, float | list[float]]:
    """Return what n real points score: the mean metrics over 20 i.i.d. draws from the mixture.

    A mode without enough points to measure its spread is left out of that mean; ``c2st`` is the
    mean over the first 2 draws.
    """
    noise = torch.Generator().manual_seed(2_000_003)
    draws = [_beside_fresh(mixture.draw(n, noise), mixture, pair) for pair in range(PAIRS)]
    rows = [_of_points(x, fresh, mixture) for x, fresh in draws]
    floor = {
        name: torch.tensor([row[name] for row in rows], dtype=torch.float64).nanmean(0).tolist()
        for name in rows[0]
    }
    tests = [c2st(*draw) for draw in draws[:TESTS]] if n >= TESTABLE else [math.nan]
    return {**floor, "c2st": sum(tests) / len(tests)}


def _kl(p: Tensor, q: Tensor) -> float:
    return torch.special.xlogy(p, p / q).sum().item()
