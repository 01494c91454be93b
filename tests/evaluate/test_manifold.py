"""Precision, recall, density, coverage and fronts against their definitions, term by term."""

from __future__ import annotations

import math

import pytest
import torch

from gantandem import pareto_front
from gantandem.errors import InputError
from gantandem.evaluate.metrics import manifold
from gantandem.evaluate.metrics.images import _look, image_manifold
from gantandem.evaluate.metrics.manifold import PLAIN, manifold_metrics
from gantandem.evaluate.metrics.pareto import PASSES, Axis
from gantandem.tasks import get_task


def normal(n: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def slow(x, real, k):
    """The definitions, one pair of points at a time."""
    made, data = x.double().tolist(), real.double().tolist()

    def radius(points, i):
        return sorted(math.dist(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    made_radius = [radius(made, i) for i in range(len(made))]
    real_radius = [radius(data, i) for i in range(len(data))]
    in_real = [[math.dist(y, x) <= r for x, r in zip(data, real_radius, strict=True)] for y in made]
    in_made = [[math.dist(y, x) <= r for y, r in zip(made, made_radius, strict=True)] for x in data]
    return {
        "precision": sum(any(row) for row in in_real) / len(made),
        "recall": sum(any(row) for row in in_made) / len(data),
        "density": sum(map(sum, in_real)) / (k * len(made)),
        "coverage": sum(any(row[i] for row in in_real) for i in range(len(data))) / len(data),
    }


@pytest.mark.parametrize("dim", [2, PLAIN + 4])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("sizes", [(60, 60), (45, 70)])
def test_the_metrics_are_their_definitions(dim, k, sizes, monkeypatch):
    monkeypatch.setattr(manifold, "CHUNK", 16)  # so that sets are larger than a chunk
    x, real = 1.3 * normal(sizes[0], dim, 1) + 0.5, normal(sizes[1], dim, 2)
    found = manifold_metrics(x, real, k)
    assert found == pytest.approx(slow(x, real, k), abs=1e-12)
    assert all(0 < found[name] < 1 for name in ("precision", "recall", "coverage"))


def test_two_draws_of_one_law():
    found = manifold_metrics(normal(3000, 2, 1), normal(3000, 2, 2))
    assert found["density"] == pytest.approx(1, abs=0.03)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.012)


def test_a_set_against_itself_is_perfect():
    x = normal(50, 2, 1)
    found = manifold_metrics(x, x.clone())
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_tight_modes_far_from_the_origin_keep_their_digits():
    """In float32, or by the matrix form, points 1e-3 apart at a distance of 1e4 are lost."""
    near, far = normal(80, 2, 1), normal(80, 2, 2)
    shifted = manifold_metrics(near.double() * 1e-3 + 1e4, far.double() * 1e-3 + 1e4)
    assert shifted == pytest.approx(manifold_metrics(near, far), abs=0.02)


def test_a_lost_mode_costs_coverage_and_junk_costs_precision():
    task = get_task("imbalanced-8")
    mixture = task.mixture  # type: ignore[attr-defined]
    real = mixture.draw(2000, torch.Generator().manual_seed(1))
    whole = mixture.draw(2000, torch.Generator().manual_seed(2))
    lost = whole[(whole - mixture.means[0]).norm(dim=1) > 1]  # one of the two modes of 45%
    junk = torch.cat([whole[:1000], 0.05 * normal(1000, 2, 3)])
    good, poor, bad = (manifold_metrics(x, real) for x in (whole, lost, junk))
    assert poor["coverage"] == pytest.approx(0.55 * good["coverage"], abs=0.03)
    assert poor["precision"] == pytest.approx(good["precision"], abs=0.01)
    assert bad["precision"] == pytest.approx(0.5, abs=0.02)


def test_outliers_inflate_recall_but_not_coverage():
    real = normal(300, 2, 1)
    x = torch.cat([0.01 * normal(298, 2, 2), torch.tensor([[20.0, 0.0], [-20.0, 0.0]])])
    found = manifold_metrics(x, real)
    assert found["recall"] > 0.9
    assert found["coverage"] < 0.2


def test_sets_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="equal shapes"):
        manifold_metrics(normal(20, 2, 1), normal(20, 3, 1))
    with pytest.raises(InputError, match="at least 6"):
        manifold_metrics(normal(5, 2, 1), normal(20, 2, 1))


def test_images_are_compared_by_their_features_and_by_equal_numbers():
    x = torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
    real = torch.rand(50, 1, 28, 28, generator=torch.Generator().manual_seed(2)) * 2 - 1
    order = torch.randperm(50, generator=torch.Generator().manual_seed(4))[:30]
    wanted = manifold_metrics(_look(x)[0], _look(real)[0][order])
    assert image_manifold(x, real, seed=4) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["imbalanced-8", "grid-25"])
def test_a_task_weighs_what_it_measures(name):
    task = get_task(name)
    floor = {**task.floor(500), **task.manifold_floor(500)}
    for axis in task.pareto:
        assert math.isfinite(floor[axis.key])
    assert floor["coverage"] > 0.93
    assert task.manifold_floor(500) == task.manifold_floor(500)


# -- fronts --------------------------------------------------------------------------------------

HIGH, LOW, ONE = Axis("a", "high"), Axis("b", "low"), Axis("b", "one")


def front(points, first=HIGH, second=LOW):
    return pareto_front([dict(zip("ab", point, strict=True)) for point in points], first, second)


@pytest.mark.parametrize("second", ["high", "low", "one"])
@pytest.mark.parametrize("first", ["high", "low", "one"])
def test_a_front_is_what_nobody_dominates(first, second):
    noise = torch.Generator().manual_seed(3)
    values = (torch.randint(0, 7, (60, 2), generator=noise) / 2).tolist()  # coarse: many ties
    turn = {"high": lambda v: -v, "low": lambda v: v, "one": lambda v: abs(v - 1)}
    bad = [(turn[first](a), turn[second](b)) for a, b in values]
    wanted = [
        not any(p[0] <= q[0] and p[1] <= q[1] and (p[0] < q[0] or p[1] < q[1]) for p in bad)
        for q in bad
    ]
    assert front(values, Axis("a", first), Axis("b", second)) == wanted
    assert 0 < sum(wanted) < 60


def test_equal_points_stand_or_fall_together():
    assert front([(1, 1), (1, 1), (0, 2), (0, 2)]) == [True, True, False, False]


def test_a_point_worse_on_one_axis_and_equal_on_the_other_is_beaten():
    assert front([(1, 1), (1, 2), (0.5, 1)]) == [True, False, False]


def test_trade_offs_are_all_on_the_front():
    assert front([(1, 3), (0.5, 2), (0.2, 1)]) == [True, True, True]


def test_nearest_to_one_is_best_from_both_sides():
    assert front([(1, 0.9), (1, 1.2), (1, 1.1)], HIGH, ONE) == [True, False, False]


def test_nan_and_missing_numbers_are_never_on_the_front_and_beat_nobody():
    points = [{"a": math.nan, "b": 0}, {"a": 9, "b": None}, {"b": 0}, {"a": 1, "b": 5}]
    assert pareto_front(points, HIGH, LOW) == [False, False, False, True]


def test_infinities_compare_as_numbers():
    assert front([(math.inf, 3), (1, 1), (-math.inf, 1)]) == [True, True, False]


def test_no_points_make_no_front():
    assert pareto_front([], HIGH, LOW) == []


def test_metrics_are_found_inside_rows():
    rows = [
        {"passes_per_sample": passes, "metrics": {"a": a}}
        for passes, a in ((1.0, 0.5), (2.0, 0.4), (3.0, 0.9))
    ]
    assert pareto_front(rows, PASSES, HIGH) == [True, False, True]


def test_an_unknown_direction_is_refused():
    with pytest.raises(InputError, match="'high', 'low', 'one'"):
        Axis("a", "up")  # type: ignore[arg-type]
