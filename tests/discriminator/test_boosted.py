"""Boosted trees as a network: scikit-learn's own values, in a file, on any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import nn

import gantandem as gt
from gantandem.nets import build
from gantandem.nets.boosted import BoostedRatio, LinearRatio, columns
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio


def base(inputs: int = 3) -> LinearRatio:
    own = LinearRatio([inputs])
    with torch.no_grad():
        own.weight.copy_(torch.linspace(-1, 1, inputs)[None])
    return own


def seen(x: torch.Tensor, network: nn.Module, cond=None) -> np.ndarray:
    with torch.no_grad():
        logit = network(x) if cond is None else network(x, cond)
    return torch.cat([columns(x, cond), logit.double()[:, None]], 1).numpy()


def grown(
    count: int, n: int = 600, **settings
) -> tuple[BoostedRatio, HistGradientBoostingClassifier]:
    noise = torch.Generator().manual_seed(count)
    x = torch.randn(n, 3, generator=noise)
    label = (x[:, 0] * x[:, 1] + 0.3 * torch.randn(n, generator=noise) > 0).numpy()
    own = base()
    model = HistGradientBoostingClassifier(max_iter=40, **settings).fit(seen(x, own), label)
    return BoostedRatio.grown(own, model, count), model


def fresh(n: int = 500) -> torch.Tensor:
    return 2 * torch.randn(n, 3, generator=torch.Generator().manual_seed(99))


@pytest.mark.parametrize("count", [1, 17, 40])
@pytest.mark.parametrize("settings", [{}, {"max_leaf_nodes": 4}, {"max_depth": 1}], ids=str)
def test_the_values_are_those_of_scikit_learn(count, settings):
    own, model = grown(count, **settings)
    x = fresh()
    *_, wanted = [
        value
        for value, _ in zip(
            model.staged_decision_function(seen(x, own.base)), range(count), strict=False
        )
    ]
    assert np.allclose(own(x).detach().numpy(), wanted, atol=1e-6)


def test_no_tree_at_all_is_the_share_of_the_classes():
    own, _ = grown(0)
    with torch.no_grad():
        assert own(fresh()).unique().numel() == 1


def test_a_stump_that_cannot_split_is_a_leaf():
    x = torch.randn(30, 3)
    own = base()
    model = HistGradientBoostingClassifier(min_samples_leaf=40, max_iter=3)
    model.fit(seen(x, own), np.arange(30) % 2)
    walked = BoostedRatio.grown(own, model, 3)
    assert np.allclose(walked(x).detach(), model.decision_function(seen(x, own)), atol=1e-6)


@pytest.mark.slow
def test_bits_do_not_depend_on_the_batch():
    own, _ = grown(40)
    x = fresh(9000)
    whole = own.walk(torch.from_numpy(seen(x, own.base)))
    parts = [own.walk(torch.from_numpy(seen(part, own.base))) for part in x.split(7)]
    assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(own(x)[:64], own(x[:64]))


def test_the_gradient_is_that_of_the_base():
    own, _ = grown(40)
    x = fresh(20).requires_grad_()
    value = own(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert torch.allclose(gradient, own.base.weight.detach().expand(20, -1))
    with torch.no_grad():
        assert torch.equal(own(x), value)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_row_that_is_not_finite_has_no_value(bad):
    own, _ = grown(10)
    x = fresh(6)
    x[2, 1] = bad
    assert own(x).isnan().tolist() == [False, False, True, False, False, False]


def test_a_run_folder_keeps_every_bit(tmp_path):
    own, _ = grown(17)
    spec = own.spec({"net": "linear-ratio", "x_shape": [3]})
    plain = {"net": "mlp-generator", "data_dim": 3, "width": 8}
    gan = gt.GAN(build(plain), None, 2).replace(specs={"generator": plain})
    ratio = Ratio(Score(own.requires_grad_(False)), spec=spec, strength=0.5)
    gt.save_run(gan.with_ratio(gan.law(gt.Direct()), ratio), tmp_path)
    (back,) = gt.load_run(tmp_path)[0].ratios.values()
    x = fresh()
    with torch.no_grad():
        assert torch.equal(back.logit(x), own(x))
        assert torch.equal(back.log_ratio(x), 0.5 * own(x).double())
    assert back.spec == spec


def test_conditions_are_columns():
    x, labels = fresh(50), torch.arange(50) % 3
    assert columns(x, labels).shape == (50, 4)
    assert columns(x, torch.eye(3)[labels]).shape == (50, 6)
    assert columns(x.reshape(50, 3, 1), labels).dtype == torch.float64
    own = LinearRatio([3], conditional=True)
    assert own(x, labels).tolist() == [0.0] * 50
