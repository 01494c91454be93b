"""Calibration and diagnosis against what is known in closed form."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from gantandem import (
    GAN,
    Direct,
    Metropolis,
    Real,
    Refine,
    calibrate,
    diagnose,
    sample,
)
from gantandem.discriminator.diagnostics import diagnose_probs
from gantandem.errors import ConfigError, InputError, LawMismatchError
from gantandem.ratios.calibrators import fit_isotonic, fit_platt, make_calibrator
from targets import Formula, data_of, gaussian, waves

# -- calibrators --------------------------------------------------------------------------------


def two_gaussians(n_real: int, n_made: int, seed: int = 0):
    """Points and labels of N(1, 1) against N(-1, 1): the log ratio is 2 x."""
    noise = np.random.default_rng(seed)
    x = np.concatenate([noise.normal(1, 1, n_real), noise.normal(-1, 1, n_made)])
    return x, np.repeat([1.0, 0.0], [n_real, n_made])


GRID = torch.linspace(-1.5, 1.5, 61, dtype=torch.float64)
DISTORTIONS = {
    "none": lambda d: d,
    "sharpened": lambda d: 3 * d + 1,
    "flattened": lambda d: 0.25 * d - 2,
    "bent": lambda d: d**3,
}


@pytest.mark.parametrize("counts", [(20_000, 20_000), (30_000, 10_000), (5_000, 35_000)], ids=str)
@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_isotonic_recovers_the_log_ratio(distortion, counts):
    """Whatever the monotone error, and whatever the two counts."""
    x, label = two_gaussians(*counts)
    bend = DISTORTIONS[distortion]
    gap = fit_isotonic(bend(2 * x), label)(bend(2 * GRID)) - 2 * GRID
    assert float(gap.square().mean().sqrt()) < 0.15
    assert abs(float(gap.mean())) < 0.05


@pytest.mark.parametrize("counts", [(20_000, 20_000), (30_000, 10_000), (5_000, 35_000)], ids=str)
@pytest.mark.parametrize("distortion", ["none", "sharpened", "flattened"])
def test_platt_recovers_the_log_ratio(distortion, counts):
    x, label = two_gaussians(*counts)
    bend = DISTORTIONS[distortion]
    assert (fit_platt(bend(2 * x), label)(bend(2 * GRID)) - 2 * GRID).abs().max() < 0.12


def test_platt_recovers_its_constants():
    x, label = two_gaussians(40_000, 40_000)
    fitted = fit_platt(3 * (2 * x) + 1, label)
    assert fitted.slope == pytest.approx(1 / 3, rel=0.03)
    assert fitted.intercept == pytest.approx(-1 / 3, abs=0.03)


EXTREMES = torch.tensor([-math.inf, -1e300, -1e5, 0, 1e5, 1e300, math.inf], dtype=torch.float64)


@pytest.mark.parametrize("fit", [fit_isotonic, fit_platt])
@pytest.mark.parametrize("counts", [(50, 50), (10, 40)])
def test_values_are_clipped_and_never_infinite(fit, counts):
    """Separable scores, where an unclipped calibrator gives probabilities 0 and 1."""
    n = sum(counts)
    label = np.repeat([1.0, 0.0], counts)
    calibrator = fit(np.where(label > 0, 3.0, -3.0) + np.linspace(0, 1, n), label)
    values = calibrator(EXTREMES)
    assert values.isfinite().all()
    prob = torch.sigmoid(values + calibrator.correction)
    assert 1 / (2 * n) * (1 - 1e-9) <= float(prob.min()) <= 1 / counts[1]
    assert 1 - 1 / counts[0] <= float(prob.max()) <= 1 - 1 / (2 * n) * (1 - 1e-9)
    if fit is fit_platt:
        assert float(prob.max()) == pytest.approx(1 - 1 / (2 * n), rel=1e-9)
    assert calibrator.correction == pytest.approx(math.log(counts[0] / counts[1]))
    assert calibrator(torch.tensor([math.nan], dtype=torch.float64)).isnan().all()


@pytest.mark.parametrize("seed", range(6))
def test_the_best_few_real_samples_do_not_get_a_huge_ratio(seed):
    """Data of density 2 x against uniform: the ratio is at most 2, and 1 in the mean."""
    noise = np.random.default_rng(seed)
    made, real = noise.random(1000), np.sqrt(noise.random(1000))  # densities 1 and 2 x
    label = np.repeat([1.0, 0.0], 1000)
    calibrator = fit_isotonic(np.log(2 * np.concatenate([real, made])), label)
    fresh = torch.tensor(np.log(2 * noise.random(20_000)))
    ratio = calibrator(fresh).exp()
    assert float(ratio.max()) < 8
    assert float(ratio.mean()) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("fit", [fit_isotonic, fit_platt])
def test_useless_scores_give_ratio_one(fit):
    noise = np.random.default_rng(0)
    label = np.repeat([1.0, 0.0], [3000, 1000])
    values = fit(noise.normal(size=4000), label)(torch.linspace(-1, 1, 5, dtype=torch.float64))
    assert float(values.abs().max()) < 0.35
    constant = fit_isotonic(np.zeros(4000), label)(EXTREMES)
    assert torch.allclose(constant, torch.zeros_like(constant), atol=2e-3)


@pytest.mark.parametrize("fit", [fit_isotonic, fit_platt])
def test_calibrators_are_monotone_and_survive_json(fit):
    x, label = two_gaussians(500, 300)
    calibrator = fit(2 * x, label)
    values = calibrator(torch.linspace(-9, 9, 500, dtype=torch.float64))
    assert bool((values.diff() >= 0).all())
    assert make_calibrator(json.loads(json.dumps(calibrator.config()))) == calibrator


@pytest.mark.parametrize("config", [{}, {"kind": "beta"}, {"kind": "platt", "slope": 1.0}], ids=str)
def test_calibrators_that_cannot_be_read(config):
    with pytest.raises(ConfigError, match="calibrator"):
        make_calibrator(config)


# -- calibrate a GAN ----------------------------------------------------------------------------


def bent(target) -> GAN:
    inner = target.gan.guide.network
    return GAN(target.gan.generator, Formula(lambda x: 2 * inner(x) + 1), target.gan.latent)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibrate_mends_a_bent_ratio(method):
    target = gaussian()
    real = data_of(target, 4000)
    parts = Real(real[:10], real[:10], real[:3000], real[3000:])
    gan = bent(target)
    fixed = calibrate(gan, parts, method=method)
    ratio, before = fixed.ratio(Direct()), gan.ratio(Direct())
    assert before.calibrator is None  # the GAN that came in is as it was
    x = data_of(target, 500)
    truth = target.gan.guide(x).double()
    assert float((ratio.log_ratio(x) - truth).abs().mean()) < 0.15
    assert float((before.log_ratio(x) - truth).abs().mean()) > 1
    assert torch.equal(ratio.logit(x), before.logit(x))  # gradients stay those of the network
    assert fixed.setup_passes > gan.setup_passes
    assert abs(diagnose(fixed, parts, proposal=Direct()).z) < 4


def test_calibrated_ratios_enter_acceptance():
    target = gaussian()
    real = data_of(target, 3000)
    parts = Real(real, real, real, real)
    sampler, n = Metropolis(proposals=25), 2000
    wrong = sample(bent(target), sampler, n).x
    right = sample(calibrate(bent(target), parts, method="platt"), sampler, n).x
    assert target.worst(right) > 1e-3
    assert target.worst(wrong) < 1e-12


def test_counts_of_generated_samples_are_corrected():
    target = waves()
    parts = Real(*[data_of(target, 3000)] * 4)
    x = torch.linspace(-0.9, 0.9, 19)[:, None]
    for n in (1000, 9000):
        ratio = calibrate(target.gan, parts, n=n).ratio(Direct())
        gap = ratio.log_ratio(x) - target.gan.guide(x).double()
        assert abs(float(gap.mean())) < 0.1, n


def test_calibrate_refuses():
    target = waves()
    parts = Real(*[data_of(target, 100)] * 4)
    with pytest.raises(InputError, match="'isotonic' and 'platt'"):
        calibrate(target.gan, parts, method="beta")  # type: ignore
    with pytest.raises(LawMismatchError):
        calibrate(target.gan, parts, proposal=Refine(steps=2, step_size=0.1))


# -- diagnosis ----------------------------------------------------------------------------------


def forecasts(n: int = 40_000, seed: int = 0):
    """Probabilities, and labels that follow them exactly."""
    noise = np.random.default_rng(seed)
    prob = 1 / (1 + np.exp(-noise.normal(0, 1.5, n)))
    return prob, (noise.random(n) < prob).astype(float)


def test_calibrated_probabilities():
    found = diagnose_probs(*forecasts())
    assert abs(found.z) < 4
    assert found.ece < 0.015
    prob, _ = forecasts()
    assert found.brier == pytest.approx((prob * (1 - prob)).mean(), abs=0.005)


def test_z_is_standard_normal_when_calibrated():
    values = np.array([diagnose_probs(*forecasts(500, seed)).z for seed in range(60)])
    assert abs(values.mean()) < 4 / math.sqrt(60)
    assert 0.6 < values.std() < 1.4


@pytest.mark.parametrize("shift", [-0.05, 0.05])
def test_the_sign_of_z_says_which_way(shift):
    """Positive when the probability of real is too low."""
    noise = np.random.default_rng(0)
    truth = 0.2 + 0.6 * noise.random(40_000)
    label = (noise.random(len(truth)) < truth).astype(float)
    found = diagnose_probs(truth - shift, label)
    assert math.copysign(1, found.z) == math.copysign(1, shift) and abs(found.z) > 10
    assert found.ece == pytest.approx(0.05, abs=0.006)
    assert found.mce == pytest.approx(0.05, abs=0.03)


def test_too_sure_shows_in_ece_and_not_in_z():
    prob, label = forecasts()
    odds = np.log(prob / (1 - prob))
    found = diagnose_probs(1 / (1 + np.exp(-3 * odds)), label)
    assert found.ece > 0.1 and found.mce > 0.2 and found.brier_parts["reliability"] > 0.01


def test_murphys_decomposition_is_an_identity_for_binned_forecasts():
    noise = np.random.default_rng(0)
    prob = (noise.integers(0, 20, 5000) + 0.5) / 20
    label = (noise.random(5000) < prob**2).astype(float)
    found = diagnose_probs(prob, label)
    parts = found.brier_parts
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    assert found.brier == pytest.approx(total, abs=1e-12)
    assert found.brier == pytest.approx(((prob - label) ** 2).mean(), abs=1e-12)


def test_auc_is_the_share_of_pairs_in_order():
    prob, label = forecasts(400)
    prob = np.round(prob, 2)  # with ties, which count half
    real, made = prob[label == 1], prob[label == 0]
    wins = (real[:, None] > made) + 0.5 * (real[:, None] == made)
    assert diagnose_probs(prob, label).auc == pytest.approx(wins.mean(), abs=1e-12)


def test_bins_cover_every_sample_once():
    prob = np.array([0.0, 0.0499, 0.05, 0.5, 0.9999, 1.0])
    found = diagnose_probs(prob, np.array([0.0, 1, 0, 1, 0, 1]))
    assert sum(b["count"] for b in found.bins) == 6
    assert [(b["low"], b["count"]) for b in found.bins] == [
        (0.0, 2),
        (pytest.approx(0.05), 1),
        (pytest.approx(0.5), 1),
        (pytest.approx(0.95), 2),
    ]
    assert all(b["low"] <= b["confidence"] <= b["high"] for b in found.bins)
    assert math.isnan(found.mce)  # no bin has ten samples


def test_certain_and_wrong_is_finite():
    found = diagnose_probs(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert math.isfinite(found.z) and found.brier == 1


def test_one_class_alone_cannot_be_diagnosed():
    with pytest.raises(ValueError, match="both real and generated"):
        diagnose_probs(np.array([0.5, 0.5]), np.array([1.0, 1.0]))


@pytest.mark.parametrize("n", [2000, 600])
def test_diagnose_an_exact_ratio(n, caplog):
    target = gaussian()
    parts = Real(*[data_of(target, 2000)] * 4)
    found = diagnose(target.gan, parts, n=n)
    assert abs(found.z) < 4 and found.ece < 0.05
    assert (found.n_real, found.n_generated) == (2000, n)
    assert found.law == target.gan.law(Direct())
    assert diagnose(bent(target), parts).ece > 0.1
    assert json.loads(json.dumps(found.to_dict()))["auc"] == found.auc
    caplog.clear()
    for gan, told in ((target.gan.replace(), True), (target.gan.with_diagnosis(found), False)):
        gan.networks._said.clear()
        caplog.clear()
        sample(gan, Metropolis(proposals=2), 16)
        assert ("never diagnosed" in caplog.text) == told == bool(caplog.text)
