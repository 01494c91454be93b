"""Numbers of a diagnosis in closed form, their standard errors, and what raises a doubt."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import gantandem as gt
from awkward import fingerprint
from gantandem.discriminator import diagnostics
from gantandem.errors import LawMismatchError, NonFiniteError
from gantandem.ratios.doubts import doubts


class LogRatio(nn.Module):
    """G is N(0, 1)."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x[:, 0])


@pytest.fixture(scope="module", autouse=True)
def quick_measures():
    """Measured as they are."""


def made(function) -> gt.GAN:
    return gt.GAN(nn.Identity(), LogRatio(function), 1)


def real(n: int, shift: float, seed: int = 0) -> torch.Tensor:
    return shift + torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))


def exact(shift: float):
    return lambda x: shift * x - shift**2 / 2


def parts(n: int, shift: float, seed: int = 0) -> gt.Real:
    return gt.Real(*[real(n, shift, seed)] * 4)


@pytest.mark.parametrize("shift", [0.3, 0.6, 1.0])
def test_mean_share_and_loss_are_those_of_two_normals(shift):
    found = gt.diagnose(made(exact(shift)), parts(8_000, shift))
    errors = found.standard_errors
    assert abs(found.mean_ratio - 1) < 4 * errors["mean_ratio"]
    assert abs(found.effective_share - math.exp(-(shift**2))) < 4 * errors["effective_share"]
    grid = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    density = torch.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi) * (grid[1] - grid[0])
    log_r = exact(shift)(grid)
    halves = log_r.exp() * nn.functional.softplus(-log_r) + nn.functional.softplus(log_r)
    loss = float((density * halves).sum()) / 2
    assert abs(found.log_loss - loss) < 4 * errors["log_loss"]
    variance = math.exp(shift**2) - 1  # of r under N(0, 1)
    assert errors["mean_ratio"] == pytest.approx(math.sqrt(variance / 8_000), rel=0.15)
    assert found.warnings == [] and errors["z"] == 1


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_data(monkeypatch):
    n = 300
    names = ["brier", "auc", "log_loss", "mean_ratio", "effective_share"]
    gan = made(exact(0.8))
    asked = []
    for seed in range(20):
        if seed < 19:  # whose errors nobody looks at
            monkeypatch.setattr(diagnostics, "RESAMPLES", 2)
        else:
            monkeypatch.undo()
        found = gt.diagnose(gan, parts(n, 0.8, seed), n=n)
        asked.append([getattr(found, name) for name in names])
        errors = found.standard_errors
    # The proposals have one seed, so only what real samples move spreads: half of the variance.
    spread = np.std(asked, 0)
    for name, value in list(zip(names, spread, strict=False))[:3]:
        assert 0.3 * errors[name] < value < 1.3 * errors[name], name
    assert (spread[3:] < 1e-9).all()


@pytest.mark.slow
def test_the_true_ratio_and_a_ratio_of_one_have_no_doubt():
    for n in (200, 1000, 20_000):
        assert gt.diagnose(made(exact(1.0)), parts(n, 1.0)).warnings == []
        found = gt.diagnose(made(lambda x: 0 * x), parts(n, 0.0))
        assert found.warnings == [] and found.mean_ratio == 1 == found.effective_share
        assert found.log_loss == pytest.approx(math.log(2), abs=1e-6)


BAD = {
    "a heavy tail": (
        lambda x: x.abs() ** 3 - 3,
        0.0,
        ["carry all of its weight", "too low on the whole"],
    ),
    "twice the ratio": (lambda x: exact(1.0)(x) + math.log(2), 1.0, ["its mean over"]),
    "half the ratio": (lambda x: exact(1.0)(x) - math.log(2), 1.0, ["its mean over"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_ratio_is_said(kind, caplog):
    function, shift, words = BAD[kind]
    found = gt.diagnose(made(function), parts(4000, shift))
    told = "; ".join(found.warnings)
    assert all(word in told for word in words), told
    assert all(one in caplog.text for one in found.warnings)


def test_a_far_target_has_a_heavy_tail_though_its_ratio_is_true():
    found = gt.diagnose(made(exact(2.5)), parts(4000, 2.5))
    (said,) = found.warnings
    assert "carry all of its weight" in said


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
def test_a_strength_below_one_is_a_doubt(strength):
    found = replace(gt.diagnose(made(exact(0.5)), parts(2000, 0.5)), strength=strength)
    told = [one for one in doubts(found) if "acceptance uses" in one]
    assert len(told) == (strength < 1) and ("changes nothing" in "".join(told)) == (strength == 0)


def test_nothing_of_the_gan_changes():
    gan = made(exact(1.0))
    gan.law(gt.Direct())
    networks = [gan.generator, gan.guide.network]
    before = [fingerprint(network) for network in networks]
    (ratio,) = gan.ratios.values()
    known = dict(gan.ratios), gan.guide, gan.setup_passes, ratio.diagnosis
    found = gt.diagnose(gan, parts(500, 1.0))
    assert [fingerprint(network) for network in networks] == before
    assert (dict(gan.ratios), gan.guide, gan.setup_passes, ratio.diagnosis) == known
    new = gan.with_diagnosis(found)
    assert new.ratio(gt.Direct()).diagnosis == found and ratio.diagnosis is None


def test_a_diagnosis_belongs_to_its_law():
    gan = made(exact(1.0))
    found = replace(gt.diagnose(gan, parts(200, 1.0)), law="another")
    with pytest.raises(LawMismatchError, match="with_diagnosis: the diagnosis is of law another"):
        gan.with_diagnosis(found)


@pytest.mark.parametrize("n, kind", [(1000, "platt"), (3999, "platt"), (4000, "isotonic")])
def test_few_samples_are_calibrated_by_two_numbers(n, kind):
    gan = gt.calibrate(made(lambda x: 3 * x), parts(n, 1.0))
    assert gan.ratio(gt.Direct()).calibrator.kind == kind
    few = gt.calibrate(made(lambda x: 3 * x), parts(5000, 1.0), n=500)
    assert few.ratio(gt.Direct()).calibrator.kind == "platt"  # few generated ones count as well


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_network_that_leaves_the_numbers_is_named_and_not_scikit_learns_error(value):
    class Broken(nn.Module):
        def forward(self, x):
            return torch.where(x[:, 0] > 1, value, x[:, 0])

    gan = gt.GAN(nn.Identity(), Broken(), 2)
    for step in (gt.diagnose, gt.calibrate):
        with pytest.raises(NonFiniteError, match="Broken gives NaN or infinity for"):
            step(gan, torch.randn(400, 2, generator=torch.Generator().manual_seed(0)))
