"""One loop fits ratio networks: it looks often at first, and says what it cannot do."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gantandem as gt
from gantandem.discriminator.fitting import LOOK_EVERY, looks
from gantandem.errors import InputError

QUICK = {"n": 2000, "schedule": [(60, 1e-3)], "batch": 100, "progress": False}
LOG_2 = math.log(2)


class Same(nn.Module):
    def forward(self, z):
        return z


def cloud(n: int, size: int, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    return shift + torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def log_loss(gan: gt.GAN, real: torch.Tensor, made: torch.Tensor) -> float:
    """Of r itself, on samples that nothing saw."""
    ratio = gan.ratio(gt.Direct())
    with torch.no_grad():
        on_real, on_made = (ratio.calibrated(ratio.logit(x)) for x in (real, made))
    return float(F.softplus(-on_real).mean() + F.softplus(on_made).mean()) / 2


@pytest.mark.parametrize("total", [1, 5, 6, 40, 1500])
def test_the_loss_is_looked_at_often_at_first(total):
    found = sorted(looks(total))
    assert found[0] == 0 and found[-1] == total
    gaps = np.diff(found)
    assert all(gap <= LOOK_EVERY for gap in gaps)
    assert all(gap <= max(5, 0.25 * at + 1) for at, gap in zip(found, gaps, strict=False))


def test_few_points_in_many_dimensions_are_not_left_untrained():
    """1,000 points in 100 dimensions: a network soon knows them by heart, a line does not."""
    gan = gt.GAN(Same(), None, 100)
    shift = 0.08  # the line x . 1 separates N(shift, 1) from N(0, 1) by .8 standard deviations
    fitted = gt.fit_ratio(gan, cloud(1000, 100, 0, shift), **QUICK)
    ratio = fitted.ratio(gt.Direct())
    names = [row["name"] for row in ratio.chosen["candidates"]]
    assert names == ["network", "linear", "trees"] and ratio.chosen["name"] in names
    assert log_loss(fitted, cloud(4000, 100, 1, shift), cloud(4000, 100, 2)) < LOG_2 - 0.02


@pytest.mark.parametrize("size", [1, 20])
def test_where_nothing_can_be_told_the_ratio_is_one(size, caplog):
    gan = gt.GAN(Same(), None, size)
    with caplog.at_level(logging.WARNING):
        fitted = gt.fit_ratio(gan, cloud(1000, size), **QUICK)
    assert sum("no candidate tells held-out real from generated" in m for m in caplog.messages) == 1
    assert fitted.ratio(gt.Direct()).strength == 0
    out = gt.sample(fitted, gt.OBRS(expected=4, pilot=500), 200, width=64, progress=False)
    assert (out.attempts == 1).all() and out.accepted.all() and (out.log_ratio == 0).all()
    found = gt.diagnose(fitted, cloud(1000, size))
    assert any("changes nothing" in one for one in found.warnings)


def network(size: int = 2) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, 1))


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_a_rate_that_ruins_the_network_at_once_is_refused(rate):
    gan = gt.GAN(Same(), None, 2)
    words = "became NaN or infinite after .* Take a learning rate below"
    with pytest.raises(InputError, match=words):
        fit = {**QUICK, "schedule": [(40, rate)], "network": nn.Sequential(network(), Cubed())}
        gt.fit_ratio(gan, cloud(500, 2, 0, 1.0), **fit)


class Cubed(nn.Module):
    """Leaves the finite numbers where a linear layer would only be large."""

    def forward(self, x):
        return x**3


def test_a_rate_that_breaks_later_keeps_the_best_weights(caplog):
    gan = gt.GAN(Same(), None, 2)
    own = nn.Sequential(network(), Cubed())
    fit = {**QUICK, "schedule": [(50, 3e-3), (40, 1e30)], "network": own}
    with caplog.at_level(logging.WARNING):
        fitted = gt.fit_ratio(gan, cloud(1000, 2, 0, 1.0), **fit)
    (said,) = [m for m in caplog.messages if "NaN or infinite" in m]
    assert "are kept" in said
    assert log_loss(fitted, cloud(2000, 2, 1, 1.0), cloud(2000, 2, 2)) < LOG_2 - 0.1


@pytest.mark.parametrize("door", ["network", "discriminator"])
def test_weights_that_the_user_froze_stay(door):
    own = network()
    own[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    gan = gt.GAN(Same(), own if door == "discriminator" else None, 2)
    given = {"network": own} if door == "network" else {}
    fitted = gt.fit_ratio(gan, cloud(600, 2, 0, 1.0), as_guide=True, **QUICK, **given)
    for name, value in own.state_dict().items():
        assert torch.equal(value, before[name])
    assert not own[0].weight.requires_grad and own[2].weight.requires_grad
    trained = fitted.guide.network
    if trained is not own:
        assert torch.equal(trained[0].weight, own[0].weight)
        assert door == "discriminator" or not torch.equal(trained[2].weight, own[2].weight)


def test_small_weights_of_half_precision_are_trained_too():
    """AdamW's own numbers are 0 in float16, where a step would be NaN."""
    gan = gt.GAN(Same(), None, 2)
    own = network().half()
    fitted = gt.fit_ratio(gan, cloud(1000, 2, 0, 1.0), network=own, **QUICK)
    assert fitted.ratio(gt.Direct()).score.network[0].weight.dtype == torch.float16
    assert log_loss(fitted, cloud(2000, 2, 1, 1.0), cloud(2000, 2, 2)) < LOG_2 - 0.1
