"""Fits and calibrations under conditions: the ratio given the label, in every class."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from conditional_boxes import QUICK, Plane, Tilt, boxes, draw_data, inside
from gantandem import (
    GAN,
    Direct,
    Metropolis,
    Normal,
    Refine,
    calibrate,
    diagnose,
    fit_ratio,
    sample,
    shape,
)
from gantandem.discriminator import candidates
from gantandem.discriminator.fitting import fit_network
from gantandem.discriminator.parts import split_real
from gantandem.errors import ConfigError, InputError
from gantandem.nets import build
from gantandem.nets.ratio import ratio_spec
from gantandem.ratios.calibrators import PerClass, Platt, make_calibrator

# -- fits ---------------------------------------------------------------------------------------

SHARES = (0.7, 0.1, 0.1, 0.1)


@pytest.mark.slow
def test_fit_ratio_recovers_the_ratio_given_the_label():
    """Though labels are asked for in equal shares and the data hold them in others."""
    x, label = draw_data(10_000, SHARES)
    gan = fit_ratio(boxes(), (x, label), **QUICK)
    ratio = gan.ratio(Direct())
    tried = [row["name"] for row in ratio.chosen["candidates"]]
    assert tried == ["network", "linear", "trees"]
    out = sample(boxes(), Direct(), 2000)
    with torch.no_grad():
        error = ratio.log_ratio(out.x, out.condition) - Tilt()(out.x, out.condition)
    for one in range(4):
        inner = (out.condition == one) & (inside(out.x, out.condition)[:, 0].abs() < 0.9)
        assert float(error[inner].square().mean().sqrt()) < 0.3
        assert abs(float(error[inner].mean())) < 0.2
    found = diagnose(gan, (x, label))
    assert set(found.by_class) == set("0123") and abs(found.z) < 4
    assert all(0.15 < brier < 0.26 for brier in found.by_class.values())


def test_fit_ratio_starts_from_a_conditional_guide(monkeypatch):
    start = []

    def fit(own, *args):
        start.append({name: value.clone() for name, value in own.state_dict().items()})
        return fit_network(own, *args)

    monkeypatch.setattr(candidates, "fit_network", fit)
    guide = build(ratio_spec((2,), cond_shape=(3,)))
    gan = GAN(Plane(), guide, Normal(2), condition=torch.eye(3))
    real = (draw_data(400)[0], torch.eye(3)[torch.arange(400) % 3])
    options = {**QUICK, "n": 300, "schedule": [(1, 1e-9)], "batch": 50}
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    rows = fit_ratio(gan, real, **options).ratio(Direct()).chosen["candidates"]
    assert [row["name"] for row in rows] == ["shipped", "network", "linear", "trees"]
    (found,) = start
    for name, value in guide.state_dict().items():
        assert torch.equal(value, found[name]) and torch.equal(value, before[name])


@pytest.mark.slow
def test_shaping_under_conditions():
    """A guide that knows its label leads every class to its own data."""
    noise = torch.Generator().manual_seed(0)
    label = torch.arange(1200) % 2
    x = torch.stack([2.0 * label - 1, torch.ones(1200)], 1)
    x += 0.3 * torch.randn(1200, 2, generator=noise)
    generator = Plane()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = build(ratio_spec((2,), classes=2))
    gan = GAN(generator, start, Normal(2), condition=torch.arange(2))
    refine = Refine(steps=10, step_size=0.2, stop="last")
    options = {"updates": 150, "batch": 128, "check_every": 50, "check_samples": 200}
    shaped = shape(gan, (x, label), refine=refine, learning_rate=3e-3, progress=False, **options)
    out = sample(shaped, shaped.proposal, 400, width=64, progress=False)
    for one in range(2):
        middle = out.x[out.condition == one].mean(0)
        assert torch.allclose(middle, torch.tensor([2.0 * one - 1, 1.0]), atol=0.35)
    assert shaped.real_logits is not None


def test_a_label_the_real_data_lack_still_has_a_row():
    x, label = draw_data(300, (0.5, 0.5, 0.0, 0.0))
    options = {**QUICK, "n": 300, "schedule": [(2, 1e-3)], "batch": 50}
    gan = fit_ratio(boxes(), (x, label), **options)
    assert sample(gan, Metropolis(proposals=2), 16, width=16).x.isfinite().all()
    with pytest.raises(InputError, match="label -1"):
        fit_ratio(boxes(condition=torch.tensor([0, -1])), (x, label), **options)


@pytest.mark.parametrize(
    "x_shape, classes, cond_shape",
    [((3,), 5, ()), ((1, 8, 8), 5, ()), ((3,), 0, (2, 2)), ((1, 8, 8), 0, (4,))]
    + [((3, 8, 8), 0, (2, 8, 8)), ((3,), 0, (1,)), ((3, 2), 0, (6,))],
    ids=str,
)
def test_ratio_networks_that_see_conditions(x_shape, classes, cond_shape):
    noise = torch.Generator().manual_seed(0)
    network = build(ratio_spec(x_shape, classes, cond_shape)).eval()
    x = torch.randn(6, *x_shape, generator=noise)
    cond = torch.arange(6) % 5 if classes else torch.randn(6, *cond_shape, generator=noise)
    logit = network(x, cond)
    assert logit.shape == (6,)
    assert not torch.allclose(logit, network(x, cond.roll(1, 0)))
    assert torch.allclose(logit.roll(1, 0), network(x.roll(1, 0), cond.roll(1, 0)), atol=1e-5)


def test_a_ratio_network_needs_one_kind_of_condition():
    with pytest.raises(ValueError, match="either classes or cond_shape"):
        build({"net": "conditional-ratio", "x_shape": [2]})


# -- calibration --------------------------------------------------------------------------------


def distorted() -> GAN:
    return boxes(Tilt([1.0, 0.5, 2.0, 1.0], [0.0, 1.5, -1.5, 0.5]))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_per_class(method):
    data = draw_data(12_000)
    real = split_real(data)
    real = replace(real, calibrate=data[0], conditions=replace(real.conditions, calibrate=data[1]))
    pooled = calibrate(distorted(), real, method=method).ratio(Direct())
    gan = calibrate(distorted(), real, method=method, per_class=True)
    ratio = gan.ratio(Direct())
    out = sample(gan, Direct(), 4000)
    with torch.no_grad():
        truth = Tilt()(out.x, out.condition).double()
        errors = [
            (r.log_ratio(out.x, out.condition) - truth)[truth > -1.5].abs().mean()
            for r in (ratio, pooled)
        ]
    assert errors[0] < 0.1 < 0.25 < errors[1]
    read = make_calibrator(ratio.calibrator.config())
    assert read == ratio.calibrator and isinstance(read, PerClass)


def test_small_classes_keep_the_pooled_map(caplog):
    x, label = draw_data(4000, (0.9, 0.02, 0.04, 0.04))
    real = split_real((x, label))
    gan = calibrate(distorted(), real, per_class=True)
    found = gan.ratio(Direct()).calibrator
    assert found.labels == (0,) and "labels [1, 2, 3] have fewer than 100" in caplog.text
    logit = torch.linspace(-1, 1, 4, dtype=torch.float64)
    assert torch.equal(found(logit, torch.full((4,), 2)), found.pooled(logit))
    assert torch.equal(found(logit, torch.full((4,), 7)), found.pooled(logit))
    assert not torch.equal(found(logit, torch.zeros(4).long()), found.pooled(logit))


def test_a_calibration_per_class_needs_labels():
    target = GAN(nn.Linear(2, 2), nn.Linear(2, 1), Normal(2))
    with pytest.raises(InputError, match="this GAN has no condition"):
        calibrate(target, torch.randn(100, 2), per_class=True)
    with pytest.raises(InputError, match="label of every sample"):
        PerClass((), (), Platt(1.0, 0.0, 1.0, 0.0))(torch.zeros(2))
    with pytest.raises(ConfigError):
        make_calibrator({"kind": "per-class", "labels": []})


# -- labels without data ------------------------------------------------------------------------


@pytest.mark.parametrize("call", [fit_ratio, calibrate, diagnose], ids=lambda c: c.__name__)
@pytest.mark.parametrize("asked", [torch.arange(4), lambda ids: ids % 4], ids=["rows", "function"])
def test_labels_without_a_real_sample_are_said_once(call, asked, caplog):
    x, label = draw_data(1200)
    few = label < 2
    gan = boxes(Tilt(), asked)
    for _ in range(2):
        call(gan, (x[few], label[few]), **SHORT.get(call, {}))
    assert caplog.text.count("no sample of 2 of the 4 labels in this GAN's condition (2, 3)") == 1
    caplog.clear()
    call(gan.with_condition(label[few]), (x[few], label[few]), **SHORT.get(call, {}))
    assert "no sample of" not in caplog.text


SHORT = {fit_ratio: {**QUICK, "n": 300, "schedule": [(1, 1e-9)], "batch": 50}}
