"""The two-sample test: what trees can tell apart, they do, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from threadpoolctl import threadpool_info

from gantandem.data.mixtures import imbalanced_8
from gantandem.errors import InputError
from gantandem.evaluate.metrics import two_sample
from gantandem.evaluate.metrics.mixture import mixture_floor, mixture_metrics
from gantandem.evaluate.metrics.two_sample import c2st


@pytest.fixture(scope="module", autouse=True)
def quick_measures():
    """Measured as they are."""


def normal(n: int, *shape: int, seed: int) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
def test_real_points_cannot_be_told_from_real_points() -> None:
    x, y = (imbalanced_8().draw(4_000, torch.Generator().manual_seed(s)) for s in (1, 2))
    assert c2st(x, y) == pytest.approx(0.5, abs=3 * math.sqrt(2 / 4_000 / 12))


@pytest.mark.slow
def test_a_shift_is_seen_as_far_as_the_best_test_sees_it() -> None:
    """Two unit normals that lie 1 apart: the best AUC is Phi(1 / sqrt(2)) = .760."""
    x, y = normal(4000, 2, seed=1), normal(4000, 2, seed=2)
    y[:, 0] += 1
    best = 0.5 * (1 + math.erf(0.5))
    assert best - 0.03 < c2st(x, y) < best + 0.015
    assert c2st(y, x) == pytest.approx(c2st(x, y), abs=0.01)
    assert c2st(x[:500], y[:500] + 100) == pytest.approx(1)


@pytest.mark.slow
def test_narrow_modes_are_seen_that_shares_of_modes_and_distance_hardly_see() -> None:
    mixture = imbalanced_8()
    x, y = (mixture.draw(4000, torch.Generator().manual_seed(s)) for s in (1, 2))
    centre = mixture.means[torch.cdist(x, mixture.means).argmin(1)]
    narrow = mixture_metrics(centre + 0.75 * (x - centre), mixture)
    plain = mixture_metrics(x, mixture)
    assert narrow["js"] < 1.1 * plain["js"] + 1e-4  # type: ignore[operator]
    assert abs(plain["c2st"] - 0.5) < 0.03 < 0.05 < narrow["c2st"] - 0.5  # type: ignore[operator]


def test_it_is_a_number_of_sets_and_seed_and_leaves_threads_as_they_are(monkeypatch) -> None:
    monkeypatch.setattr(two_sample, "TREES", 10)
    x, y = normal(300, 3, 2, seed=1), normal(200, 3, 2, seed=2) + 0.5
    before = threadpool_info()
    one = c2st(x, y)
    assert threadpool_info()[: len(before)] == before and c2st(x, y) == one
    assert c2st(x.flatten(1), y.flatten(1)) == one
    assert c2st(x, y, seed=1) != one


@pytest.mark.parametrize(
    ("x", "y"), [((99, 2), (200, 2)), ((200, 2), (99, 2)), ((200, 2), (200, 3)), ((0, 2), (200, 2))]
)
def test_sets_that_cannot_be_compared_are_refused(x: tuple, y: tuple) -> None:
    with pytest.raises(InputError, match="shapes must be equal, and at least 100 of each"):
        c2st(torch.zeros(x), torch.zeros(y))


@pytest.mark.slow
def test_the_metrics_of_a_mixture_hold_it_where_there_are_points_enough() -> None:
    mixture = imbalanced_8()
    few, enough = (mixture.draw(n, torch.Generator().manual_seed(1)) for n in (99, 100))
    assert math.isnan(mixture_metrics(few, mixture)["c2st"])  # type: ignore[arg-type]
    assert 0.3 < mixture_metrics(enough, mixture)["c2st"] < 0.7  # type: ignore[operator]
    assert mixture_floor(2000, mixture)["c2st"] == pytest.approx(0.5, abs=0.02)
