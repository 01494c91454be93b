"""The 2D metrics against values worked out by hand or in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gantandem.data.mixtures import Mixture, gdpp_ring_7, grid_25, imbalanced_8
from gantandem.errors import InputError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.mixture import (
    js,
    kl,
    mixture_floor,
    mixture_metrics,
    mode_counts,
    within_mode_std,
)

TWO = Mixture(torch.tensor([[0.0, 0.0], [10.0, 0.0]]), torch.tensor([0.75, 0.25]), 1.0)


def draw(n: int, mixture: Mixture = TWO, seed: int = 0) -> Tensor:
    return mixture.draw(n, torch.Generator().manual_seed(seed))


def test_good_means_within_four_standard_deviations_of_the_nearest_mode() -> None:
    x = torch.tensor([[0.0, 3.99], [0.0, 4.01], [10.0, -3.99], [5.0, 0.0]])
    assert mode_counts(x, TWO).tolist() == [1, 1]
    assert mixture_metrics(x, TWO)["good"] == 0.5


def test_kl_is_of_the_model_from_the_truth_over_good_samples() -> None:
    counts = torch.tensor([50.0, 50.0])
    assert kl(counts, TWO) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    assert kl(torch.tensor([7.0, 0.0]), TWO) == pytest.approx(math.log(1 / 0.75))
    assert math.isnan(kl(torch.zeros(2), TWO))


def test_only_the_two_majority_modes_give_a_kl_of_log_of_one_over_nine_tenths() -> None:
    counts = torch.tensor([45.0, 45.0, 0, 0, 0, 0, 0, 0])
    assert kl(counts, imbalanced_8()) == pytest.approx(math.log(1 / 0.9), rel=1e-5)


def test_js_counts_what_lies_outside() -> None:
    outside = math.exp(-8)
    shares = [0.75 * (1 - outside), 0.25 * (1 - outside), outside]
    truth = torch.tensor(shares, dtype=torch.float64)
    model = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    middle = (truth + model) / 2
    wanted = (model * (model / middle).log() + truth * (truth / middle).log()).sum() / 2
    assert js(torch.tensor([50.0, 25.0]), 100, TWO) == pytest.approx(wanted.item(), abs=1e-12)
    assert js(torch.zeros(2), 100, TWO) == pytest.approx(math.log(2), abs=0.01)
    assert js(truth[:2] * 1e6, 1_000_000, TWO) == pytest.approx(0, abs=1e-12)


def test_a_mode_is_hit_by_a_thousandth_of_all_samples() -> None:
    near, far = torch.zeros(998, 2), torch.tensor([[10.0, 0.0]])
    assert mixture_metrics(torch.cat([near, far, far]), TWO)["modes"] == 2
    assert mixture_metrics(torch.cat([near, near, far]), TWO)["modes"] == 1


@pytest.mark.slow
def test_spread_within_modes_sees_collapse_that_good_kl_and_js_do_not() -> None:
    x = draw(20_000)
    centre = TWO.means[torch.cdist(x, TWO.means).argmin(1)]
    collapsed = centre + 0.3 * (x - centre)
    assert within_mode_std(x, TWO) == pytest.approx([1, 1], abs=0.03)
    assert within_mode_std(collapsed, TWO) == pytest.approx([0.3, 0.3], abs=0.01)
    assert mixture_metrics(collapsed, TWO)["js"] < 1e-3
    assert mixture_metrics(collapsed, TWO)["sliced_w1"] > 10 * mixture_metrics(x, TWO)["sliced_w1"]


def test_spread_is_not_reported_for_a_mode_with_too_few_samples() -> None:
    x = torch.cat([draw(3000), torch.zeros(1, 2)])
    few = torch.cat([x[x[:, 0] < 5], x[x[:, 0] > 5][:99]])
    spread = within_mode_std(few, TWO)
    assert spread[0] == pytest.approx(1, abs=0.05) and spread[1].isnan()
    assert mixture_metrics(few, TWO)["within_mode_std"] == pytest.approx(spread[0].item())


def test_main_modes_are_the_two_of_largest_true_weight() -> None:
    means = torch.tensor([[0.0, 0.0], [20.0, 0.0], [40.0, 0.0]])
    mixture = Mixture(means, torch.tensor([0.2, 0.3, 0.5]), 1.0)
    x = draw(3000, mixture)
    wanted = within_mode_std(x, mixture)[[2, 1]].tolist()
    assert mixture_metrics(x, mixture)["within_mode_std_main"] == wanted


def test_sliced_w1_of_a_shift_is_the_mean_projected_length() -> None:
    x = draw(500)
    assert sliced_wasserstein(x, x) == 0
    shift = sliced_wasserstein(x, x + torch.tensor([3.0, 0.0]))
    # The mean of |cos| over the circle is 2/pi; 50 directions leave about 5% of it to chance.
    assert shift == pytest.approx(3 * 2 / math.pi, rel=0.15)
    assert sliced_wasserstein(x, x + torch.tensor([6.0, 0.0])) == pytest.approx(2 * shift, rel=1e-4)
    assert sliced_wasserstein(x.flip(0), x) == 0


def test_sliced_w1_takes_sets_of_different_size() -> None:
    x, y = draw(4000), draw(1000, seed=1)
    assert sliced_wasserstein(x, y) == sliced_wasserstein(x, y) < 0.5
    assert sliced_wasserstein(x, y + 5) > 2


def test_metrics_depend_on_the_seed_only_where_they_compare_with_a_fresh_draw() -> None:
    x = draw(2000)
    first, second = mixture_metrics(x, TWO, seed=0), mixture_metrics(x, TWO, seed=1)
    for name in ("sliced_w1", "c2st"):
        assert first.pop(name) != second.pop(name)
    assert first == second


def test_mean_distance_of_real_points_is_that_of_a_rayleigh_law() -> None:
    assert mixture_metrics(draw(20_000), TWO)["mean_distance"] == pytest.approx(
        math.sqrt(math.pi / 2), rel=0.02
    )


@pytest.mark.slow
def test_floor_of_the_imbalanced_circle_is_the_published_one() -> None:
    floor = mixture_floor(10_000, imbalanced_8())
    assert floor["good"] == pytest.approx(1 - math.exp(-8), abs=2e-4)
    assert floor["kl"] == pytest.approx(7 / 2 / 10_000, rel=0.5)  # 7 free shares, chi-square / 2n
    assert floor["js"] == pytest.approx(0.0001, abs=5e-5)
    assert floor["modes"] == 8
    assert floor["within_mode_std"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("shape", [(0, 2), (5, 3), (5,)])
def test_samples_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"allowed is \(N, 2\)"):
        mixture_metrics(torch.zeros(shape), TWO)


def test_log_density_integrates_to_one() -> None:
    mixture = grid_25(std=0.2)
    axis = torch.arange(-4, 4, 0.02)
    mass = mixture.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * 0.02**2
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_geometry_of_the_circle_and_of_the_published_seven_mode_ring() -> None:
    circle = imbalanced_8()
    assert circle.means.norm(dim=1) == pytest.approx([10 / math.sqrt(2)] * 8)
    assert circle.std == pytest.approx(0.1414, abs=1e-4)
    assert circle.weights.tolist() == pytest.approx([0.45, 0.45] + [0.1 / 6] * 6)
    published = torch.linspace(0, 2 * math.pi, 8)
    seven = gdpp_ring_7()
    gaps = torch.cdist(torch.stack([published.sin(), published.cos()], 1), seven.means)
    assert gaps.argmin(1).tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert gaps.amin(1).max() < 1e-5
    assert seven.weights.tolist() == pytest.approx([0.25] + [0.125] * 6)
