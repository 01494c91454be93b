"""A bad diagnosis speaks wherever its ratio judges; a good one is silent."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.discriminator.diagnostics import diagnose_probs
from gantandem.ratios.doubts import doubts

SHIFT = 1.0
"""Real samples are N(1, 1), generated ones N(0, 1): the log ratio is x - 1/2."""


class LogRatio(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x[:, 0] - 0.5)


def real(n: int = 4000) -> torch.Tensor:
    return 1 + torch.randn(n, 1, generator=torch.Generator().manual_seed(0))


def said_by(gan: gt.GAN, caplog) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        gt.sample(gan, gt.OBRS(expected=2), 64, progress=False)
        gt.sample(gan, gt.OBRS(expected=2), 64, progress=False)
    return [m for m in caplog.messages if "diagnosed" in m]


BAD = {
    "reversed": (lambda v: -v, ["above real ones", "Brier score"]),
    "ten times too steep": (lambda v: 10 * v, ["off by"]),
    "too high": (lambda v: v + 2, ["off by", "too high on the whole"]),
    "too low": (lambda v: v - 2, ["off by", "too low on the whole"]),
    "a probability": (lambda v: v.sigmoid(), ["off by", "too high"]),
    "sure of real": (lambda v: 0 * v + 9, ["Brier score", "off by", "too high"]),
    "sure of generated": (lambda v: 0 * v - 9, ["Brier score", "off by", "too low"]),
    "noise": (lambda v: 6 * torch.sin(1000 * v), ["Brier score", "off by"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_diagnosis_replaces_the_warning_that_it_silences(kind, caplog):
    function, words = BAD[kind]
    gan = gt.GAN(nn.Identity(), LogRatio(function), 1)
    (said,) = said_by(gan, caplog)
    assert "never diagnosed" in said
    gan = gan.with_diagnosis(gt.diagnose(gan, real()))
    (said,) = said_by(gan, caplog)
    assert (
        "was diagnosed. Do not trust it" in said
        and "Next: " in said
        and all(word in said for word in words)
    ), said


@pytest.mark.parametrize("n", [200, 1000, 20_000])
def test_a_good_diagnosis_is_silent(n, caplog):
    gan = gt.GAN(nn.Identity(), LogRatio(lambda v: v), 1)
    found = gt.diagnose(gan, real(n))
    assert found.warnings == []
    gan = gan.with_diagnosis(found)
    assert said_by(gan, caplog) == []


def test_calibration_takes_the_doubt_away(caplog):
    gan = gt.GAN(nn.Identity(), LogRatio(lambda v: 3 * v + 2), 1)
    gan = gan.with_diagnosis(gt.diagnose(gan, real()))
    assert said_by(gan, caplog)
    gan = gt.calibrate(gan, real())
    gan = gan.with_diagnosis(gt.diagnose(gan, real()))
    assert said_by(gan, caplog) == []


def test_a_fitted_ratio_is_judged_like_a_shipped_one(caplog):
    gan = gt.GAN(nn.Identity(), None, 1)
    steep = nn.Linear(1, 1)
    with torch.no_grad():
        steep.weight.fill_(40.0)
    fit = {"network": steep, "schedule": [(1, 1e-9)], "n": 500, "batch": 50, "progress": False}
    gan = gt.fit_ratio(gan, real(), **fit)  # which calibrates it
    assert said_by(gan, caplog) == []
    gan = gan.with_diagnosis(gt.diagnose(gan, real()))
    assert said_by(gan, caplog) == []
    (law,) = gan.ratios
    gan = gan.with_ratio(law, replace(gan.ratios[law], calibrator=None, diagnosis=None))
    assert said_by(gan, caplog) == []
    gan = gan.with_diagnosis(gt.diagnose(gan, real()))
    assert "off by" in said_by(gan, caplog)[0]


@pytest.mark.parametrize("n", [60, 400, 10_000])
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0, 6.0])
def test_calibrated_probabilities_raise_no_doubt_by_chance(n, spread):
    rng = np.random.default_rng(0)
    raised = 0
    for _ in range(50):
        prob = 1 / (1 + np.exp(-spread * rng.normal(size=n)))
        label = (rng.random(n) < prob).astype(float)
        raised += 0 < label.sum() < n and bool(doubts(diagnose_probs(prob, label)))
    assert raised <= 1


@pytest.mark.slow
def test_the_noise_of_the_calibration_error_is_that_of_calibrated_samples():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        prob = rng.random(400)
        found.append(diagnose_probs(prob, (rng.random(400) < prob).astype(float)).ece)
    bins = diagnose_probs(prob, (rng.random(400) < prob).astype(float)).bins
    spread = [b["count"] * b["confidence"] * (1 - b["confidence"]) for b in bins]
    noise = math.sqrt(2 / math.pi) / 400 * sum(map(math.sqrt, spread))
    assert np.mean(found) == pytest.approx(noise, rel=0.1)
