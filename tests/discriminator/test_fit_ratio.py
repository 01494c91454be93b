"""Fitting: a known ratio is found, and real data are split once."""

from __future__ import annotations

import math

import pytest
import torch

from gantandem import (
    GAN,
    Direct,
    Real,
    Refine,
    diagnose,
    fit_ratio,
    sample,
)
from gantandem.discriminator.parts import split_real
from gantandem.errors import DataError, InputError
from gantandem.nets import MLPDiscriminator
from gantandem.nets.hashing import weights_hash
from small_scores import QUICK, small
from targets import data_of, gaussian, waves


@pytest.mark.slow
def test_fit_ratio_recovers_a_known_log_ratio():
    target = gaussian()
    gan = GAN(target.gan.generator, None, target.gan.latent)
    parts = split_real(data_of(target, 10_000))
    network = small()
    before, state = weights_hash(network), torch.get_rng_state()
    fitted = fit_ratio(gan, parts, network=network, **QUICK)
    assert weights_hash(network) == before and network.training and gan.ratios == {}
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        x = torch.cat([parts.test, sample(gan, Direct(), 1000).x])
        truth = target.gan.guide(x).double()
        error = (fitted.ratio(Direct()).log_ratio(x) - truth)[truth > -3]
    assert float(error.square().mean().sqrt()) < 0.2
    assert abs(diagnose(fitted, parts).z) < 4
    again = fit_ratio(gan, parts, network=small(), **QUICK)
    hashes = [weights_hash(g.ratio(Direct()).score.network) for g in (fitted, again)]
    assert hashes[0] == hashes[1]
    assert fitted.setup_passes >= QUICK["n"]


def test_fit_ratio_without_a_discriminator_can_make_a_guide():
    target = gaussian()
    gan = GAN(target.gan.generator, None, target.gan.latent)
    real = data_of(target, 500)
    options = {**QUICK, "n": 500, "schedule": [(20, 1e-3)], "batch": 100}
    fitted = fit_ratio(gan, real, as_guide=True, **options)
    assert fitted.guide is not None and gan.guide is None
    assert fitted.specs["guide"]["net"] == "mlp-ratio"
    out = sample(fitted, Refine(steps=2), 16, width=16)
    assert out.x.isfinite().all()


def test_fit_ratio_keeps_the_weights_of_the_lowest_held_out_loss():
    """A rate that ruins the network: what is returned is still no worse than the start."""
    target = waves()
    network = MLPDiscriminator(1, 16, 3)
    with torch.no_grad():
        network.main[-1].weight.zero_()  # ratio 1 everywhere: loss log 2
    parts = Real(*[data_of(target, 1000)] * 4)
    options = {**QUICK, "n": 1000, "schedule": [(1, 1e-9), (100, 50.0)], "batch": 100}
    fitted = fit_ratio(target.gan, parts, network=network, **options)
    loss = torch.nn.functional.softplus(-fitted.ratio(Direct()).logit(parts.select)).mean()
    assert float(loss) < 1


@pytest.mark.parametrize(
    "options, words",
    [({"n": 0}, "got 0"), ({"batch": 0}, "batch"), ({"schedule": []}, "schedule")],
    ids=str,
)
def test_fit_ratio_refuses(options, words):
    with pytest.raises(InputError, match=words):
        fit_ratio(waves().gan, torch.zeros(100, 1), **options)


def test_real_data_are_split_once_into_disjoint_parts():
    real = torch.arange(1000.0)[:, None]
    parts = split_real(real)
    values = torch.cat([parts.fit, parts.select, parts.calibrate, parts.test])
    assert torch.equal(values.sort(0).values, real)
    assert [len(p) for p in (parts.fit, parts.select, parts.calibrate, parts.test)] == [
        700,
        100,
        100,
        100,
    ]
    assert torch.equal(split_real(real).test, parts.test)
    assert split_real(parts) is parts


@pytest.mark.parametrize(
    "real",
    [torch.zeros(10, 2), torch.zeros(100), torch.full((100, 2), math.nan)],
    ids=["few", "flat", "nan"],
)
def test_real_data_that_cannot_be_used(real):
    with pytest.raises(DataError, match="real"):
        fit_ratio(waves().gan, real)
